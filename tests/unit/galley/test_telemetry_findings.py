"""What the analysis says of Telemetry objects and MeshConfigs together."""

from __future__ import annotations

from galley.config import Config, ConfigObject
from galley.kinds.mesh_config import ExtensionProvider, MeshConfig, ZipkinProvider
from galley.kinds.selector import WorkloadSelector
from galley.kinds.telemetry import AccessLogging, ProviderRef, Telemetry, Tracing
from galley.telemetry_findings import telemetry_findings


def found(*objects: ConfigObject[object], hosts: tuple[str, ...] = ()) -> list[str]:
    return [f"{each.object}: {each.message}" for each in telemetry_findings(Config.of(objects), hosts.__contains__)]


def mesh(name: str = "mesh") -> ConfigObject[object]:
    providers = (ExtensionProvider("spans", zipkin=ZipkinProvider("shop/zipkin.example", 9411)),)
    return ConfigObject("MeshConfig", "", name, MeshConfig(extension_providers=providers))


def telemetry(name: str, **spec: object) -> ConfigObject[object]:
    return ConfigObject("Telemetry", "default", name, Telemetry(**spec))  # type: ignore[arg-type]


def test_providers_that_are_missing_or_for_something_else() -> None:
    spans = telemetry("a", tracing=(Tracing(providers=(ProviderRef("spans"),)),))
    assert not found(mesh(), spans, hosts=("zipkin.example",))
    assert found(spans) == [
        "Telemetry default/a: spec.tracing[0].providers[0].name refers to provider 'spans', not found"
    ]
    logs = telemetry("a", access_logging=(AccessLogging(providers=(ProviderRef("spans"), ProviderRef("envoy"))),))
    assert found(mesh(), logs, hosts=("zipkin.example",)) == [
        "Telemetry default/a: spec.accessLogging[0].providers[0].name refers to provider 'spans', "
        "which is for something else"
    ]


def test_a_provider_whose_service_nobody_knows() -> None:
    assert found(mesh()) == [
        "MeshConfig mesh: spec.extensionProviders[0].zipkin.service is host 'zipkin.example', not found"
    ]


def test_of_several_for_the_same_workloads_the_first_counts() -> None:
    selector = WorkloadSelector((("app", "web"),))
    assert found(telemetry("a"), telemetry("b"), telemetry("c", selector=selector)) == [
        "Telemetry default/b: is not read: Telemetry default/a () is for the same workloads"
    ]
    assert found(mesh("a"), mesh("b"), hosts=("zipkin.example",)) == [
        "MeshConfig b: is not read: MeshConfig a () comes first by name"
    ]
