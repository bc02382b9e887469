"""What a sidecar's Envoy is told of its workload by its environment."""

from __future__ import annotations

from pilot.sidecar.self_description import self_description
from pilot.sidecar.settings import SidecarSettings


def test_labels_name_the_app_and_its_version_as_in_istio() -> None:
    found = self_description(
        SidecarSettings(service="web", namespace="shop", instance="web-1", labels=(("app", "front"), ("version", "v2")))
    )
    assert found["MESH_APP"] == "front"
    assert found["MESH_VERSION"] == "v2"
    assert found["MESH_WORKLOAD"] == "web"
    assert found["OTEL_RESOURCE_ATTRIBUTES"] == (
        "service.name=front.shop,service.namespace=shop,service.version=v2,service.instance.id=web-1"
    )


def test_without_labels_the_service_is_the_app_and_text_is_quoted() -> None:
    found = self_description(SidecarSettings(service="web,x", namespace="default"))
    assert found["MESH_APP"] == "web,x"
    assert found["MESH_VERSION"] == "latest"
    assert "service.name=web%2Cx.default" in found["OTEL_RESOURCE_ATTRIBUTES"]
