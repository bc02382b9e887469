"""What a sidecar's Envoy knows of the workload beside it by its environment: for spans and metrics that it tells. Pure.

By environment and not by xDS, since every proxy would otherwise be told something of its own. Variables that the
operator sets come first (`pilot.sidecar.launch`); an Envoy that the operator starts is given the same ones by hand.
"""

from __future__ import annotations

from urllib.parse import quote

from pilot.sidecar.settings import SidecarSettings

APP_LABELS = ("service.istio.io/canonical-name", "app.kubernetes.io/name", "app")
VERSION_LABELS = ("service.istio.io/canonical-revision", "app.kubernetes.io/version", "version")
LATEST = "latest"


def self_description(settings: SidecarSettings) -> dict[str, str]:
    """MESH_… and OTEL_RESOURCE_ATTRIBUTES (values percent-encoded, as OpenTelemetry has it)."""
    labels = dict(settings.labels)
    app = next((labels[name] for name in APP_LABELS if labels.get(name)), settings.service)
    version = next((labels[name] for name in VERSION_LABELS if labels.get(name)), LATEST)
    resource = {
        "service.name": f"{app}.{settings.namespace}",
        "service.namespace": settings.namespace,
        "service.version": version,
        "service.instance.id": settings.name,
    }
    return {
        "MESH_APP": app,
        "MESH_VERSION": version,
        "MESH_WORKLOAD": settings.service,
        "MESH_NAMESPACE": settings.namespace,
        "OTEL_RESOURCE_ATTRIBUTES": ",".join(f"{key}={quote(value, safe='')}" for key, value in resource.items()),
    }
