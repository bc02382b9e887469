"""Which Telemetry objects hold for a workload, and what they come to."""

from __future__ import annotations

from typing import Any

import pytest

from galley.config import ConfigObject
from galley.kinds.mesh_config import (
    DefaultProviders,
    EnvoyFileAccessLogProvider,
    ExtensionProvider,
    MeshConfig,
    OpenTelemetryProvider,
    ZipkinProvider,
)
from galley.kinds.selector import WorkloadSelector
from galley.kinds.telemetry import (
    AccessLogging,
    LogFilter,
    ModeSelector,
    ProviderRef,
    Telemetry,
    Tracing,
    WorkloadMode,
)
from pilot import ir
from pilot.model.proxy import Inbound, OutboundView, ProxyView
from pilot.model.service import Port, Protocol
from pilot.plan.index import Index
from pilot.plan.proxy import plan_inbound, plan_outbound, reduce_view
from tests.unit.pilot.plan.world import service, snapshot

GRPC = Port("grpc", 4317, Protocol.GRPC)
HTTP = Port("http", 9411, Protocol.HTTP)
WEB = (("app", "web"),)


def telemetry(name: str, namespace: str = "default", labels: Any = (), **spec: Any) -> ConfigObject[Telemetry]:
    selector = WorkloadSelector(labels) if labels else None
    return ConfigObject("Telemetry", namespace, name, Telemetry(selector=selector, **spec))


def mesh(**more: Any) -> ConfigObject[MeshConfig]:
    providers = (
        ExtensionProvider("otel", opentelemetry=OpenTelemetryProvider("otel.example", 4317)),
        ExtensionProvider("zipkin", zipkin=ZipkinProvider("zipkin.example", 9411)),
        ExtensionProvider("a", envoy_file_access_log=EnvoyFileAccessLogProvider("/a")),
        ExtensionProvider("b", envoy_file_access_log=EnvoyFileAccessLogProvider("/b")),
        ExtensionProvider("lost", opentelemetry=OpenTelemetryProvider("zipkin.example", 9411)),
    )
    return ConfigObject("MeshConfig", "", "mesh", MeshConfig(extension_providers=providers, **more))


def logs(*names: str, condition: str = "", **more: Any) -> AccessLogging:
    said = LogFilter(condition) if condition else None
    return AccessLogging(providers=tuple(map(ProviderRef, names)), filter=said, **more)


def traced(name: str = "", **more: Any) -> Tracing:
    return Tracing(providers=(ProviderRef(name),) if name else (), **more)


def managers(*objects: ConfigObject[Any]) -> tuple[ir.HttpConnectionManager, ir.HttpConnectionManager]:
    """Of the way out, and of the way in, of a workload that is `app: web`."""
    world = snapshot(service("otel.example", GRPC), service("zipkin.example", HTTP), *objects)
    index = Index.of(world)
    inbound = (Inbound(8080, protocol=Protocol.HTTP),)
    view = reduce_view(index, ProxyView(OutboundView(labels=WEB), inbound=inbound))
    outbound = plan_outbound(index, view.outbound).listeners[0]
    (taken,) = plan_inbound(index, "default", inbound, view.outbound.telemetry).listeners
    found = [each.chains[0].filter for each in (outbound, taken)]
    assert all(isinstance(each, ir.HttpConnectionManager) for each in found)
    return found[0], found[1]  # type: ignore[return-value]


def paths(*objects: ConfigObject[Any]) -> list[tuple[str, str]]:
    return [(each.path, each.condition) for each in managers(*objects)[0].access_logs]


def test_nothing_is_told_unless_asked_for() -> None:
    assert all(not each.access_logs and each.tracing is None for each in managers(mesh()))


@pytest.mark.parametrize(
    ("objects", "expected"),
    [
        ([mesh(access_log_file="/c")], [("/c", "")]),
        ([mesh(access_log_file="/c", default_providers=DefaultProviders(access_logging=("a",)))], [("/a", "")]),
        ([mesh(access_log_file="/c"), telemetry("x", access_logging=(logs("a"),))], [("/a", "")]),
        (
            [mesh(), telemetry("x", access_logging=(logs("a", condition="response.code > 1"),))],
            [("/a", "response.code > 1")],
        ),
        ([mesh(), telemetry("x", access_logging=(logs("a", "b"), logs("a", disabled=True)))], [("/b", "")]),
        (
            [
                mesh(),
                telemetry("r", "istio-system", access_logging=(logs("a"),)),
                telemetry("x", access_logging=(logs("b"),)),
            ],
            [("/b", "")],
        ),
        (
            [
                mesh(),
                telemetry("r", "istio-system", access_logging=(logs("a"),)),
                telemetry("x", access_logging=(logs(disabled=True),)),
            ],
            [],
        ),
        (
            [
                mesh(),
                telemetry("x", access_logging=(logs("a"),)),
                telemetry("w", labels=WEB, access_logging=(logs(condition="true"),)),
            ],
            [("/a", "true")],
        ),
        ([mesh(), telemetry("w", labels=(("app", "db"),), access_logging=(logs("a"),))], []),
        ([mesh(), telemetry("x", "other", access_logging=(logs("a"),))], []),
        ([mesh(), telemetry("x", access_logging=(logs("a", match=ModeSelector(WorkloadMode.SERVER)),))], []),
        ([mesh(), telemetry("x", access_logging=(logs("unknown", "otel"),))], []),
    ],
)
def test_logs_by_the_narrowest_object(objects: list[ConfigObject[Any]], expected: list[tuple[str, str]]) -> None:
    assert paths(*objects) == expected


def test_tracing_is_overridden_field_by_field() -> None:
    root = telemetry(
        "r", "istio-system", tracing=(traced("otel", random_sampling_percentage=50.0, enable_istio_tags=False),)
    )
    narrow = telemetry("w", labels=WEB, tracing=(traced("zipkin", match=ModeSelector(WorkloadMode.CLIENT)),))
    calling, called = (each.tracing for each in managers(mesh(), root, narrow))
    assert calling is not None
    assert called is not None
    assert (calling.tracer, calling.sampling, calling.cluster) == (
        ir.Tracer.ZIPKIN,
        50.0,
        "outbound|9411||zipkin.example",
    )
    assert (called.tracer, called.sampling, called.tags) == (ir.Tracer.OPENTELEMETRY, 50.0, ())


def test_a_default_provider_traces_one_in_a_hundred_and_can_be_switched_off() -> None:
    default = mesh(default_providers=DefaultProviders(tracing=("otel",)))
    (calling, _) = managers(default)
    assert calling.tracing is not None
    assert calling.tracing.sampling == 1.0
    off = telemetry("x", tracing=(traced(disable_span_reporting=True),))
    assert all(each.tracing is None for each in managers(default, off))


def test_a_provider_that_is_not_there_or_does_not_speak_grpc_is_told_nothing() -> None:
    assert all(each.tracing is None for each in managers(mesh(), telemetry("x", tracing=(traced("lost"),))))
    assert all(each.tracing is None for each in managers(mesh(), telemetry("x", tracing=(traced("a"),))))


def test_proxies_under_the_same_objects_share_their_view() -> None:
    index = Index.of(snapshot(mesh(), telemetry("w", labels=WEB, access_logging=(logs("a"),))))
    one, two, other = (
        reduce_view(index, ProxyView(OutboundView(labels=labels)))
        for labels in (WEB, (*WEB, ("version", "v2")), (("app", "db"),))
    )
    assert one == two
    assert one != other
