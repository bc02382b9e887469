"""Telemetry objects, seen at the far end: spans at collectors, with who called whom, and access logs at theirs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from tests.e2e.collectors import Collector, Zipkin, collector, zipkin
from tests.e2e.world import LOOPBACK, Instance, Mesh, Sidecar, eventually

pytestmark = pytest.mark.e2e

MESH = """
apiVersion: mesh.istio.io/v1alpha1
kind: MeshConfig
metadata: {name: mesh}
spec:
  extensionProviders:
  - {name: otel, opentelemetry: {service: otel.service.consul, port: 80}}
  - {name: zipkin, zipkin: {service: zipkin.service.consul, port: 80}}
  - name: failures
    envoyFileAccessLog: {path: LOG_FILE, logFormat: {labels: {status: "%RESPONSE_CODE%", path: "%REQ(:PATH)%"}}}
  - name: records
    envoyOtelAls: {service: otel.service.consul, port: 80, logFormat: {text: "%REQ(:PATH)% %RESPONSE_CODE%"}}
  - name: entries
    envoyHttpAls: {service: otel.service.consul, port: 80, additionalRequestHeadersToLog: [x-user]}
---
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: mesh, namespace: istio-system}
spec:
  tracing:
  - providers: [{name: otel}]
    randomSamplingPercentage: 100
    customTags:
      user: {header: {name: x-user, defaultValue: nobody}}
---
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: by-zipkin, namespace: default}
spec:
  selector: {matchLabels: {spans: zipkin}}
  tracing:
  - providers: [{name: zipkin}]
---
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: logging, namespace: default}
spec:
  selector: {matchLabels: {logs: "on"}}
  tracing:
  - disableSpanReporting: true
  accessLogging:
  - providers: [{name: failures}]
    filter: {expression: "response.code >= 400 && request.url_path.startsWith('/logged')"}
  - providers: [{name: records}, {name: entries}]
---
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: mute, namespace: default}
spec:
  selector: {matchLabels: {spans: mute}}
  tracing:
  - disableContextPropagation: true
"""


@attrs.frozen
class World:
    mesh: Mesh
    otlp: Collector
    zipkin: Zipkin
    log: Path
    web: Instance


def register(mesh: Mesh, name: str, port: int, protocol: str) -> None:
    body = {"ID": name, "Name": name, "Address": LOOPBACK, "Port": port, "Meta": {"protocol": protocol}}
    mesh.consul.put("/v1/agent/service/register", body)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("telemetry")
    with Mesh(folder) as mesh, collector() as otlp, zipkin() as spans:
        mesh.start()
        register(mesh, "otel", otlp.port, "grpc")
        register(mesh, "zipkin", spans.port, "http")
        for name in ("otel", "zipkin"):
            eventually(lambda name=name: bool(mesh.control.endpoints(name)), f"{name} known")  # type: ignore[misc]
        mesh.apply("telemetry.yaml", MESH.replace("LOG_FILE", str(folder / "access.log")))
        web = mesh.instance("web", sidecar=True)
        yield World(mesh, otlp, spans, folder / "access.log", web)


def caller(world: World, name: str, *options: str) -> Sidecar:
    found = world.mesh.client(*options, name=name)
    found.wait_served_by("web", world.web)
    return found


def test_spans_of_both_sides_by_otlp_hang_together(world: World) -> None:
    client = caller(world, "shopper")
    assert client.get("web", "/traced", headers={"x-user": "anna"}).status == 200

    def spans(service: str) -> list[object]:
        return [each for each in world.otlp.named(service) if _tags(each).get("http.url", "").endswith("/traced")]

    eventually(lambda: bool(spans("shopper.default") and spans("web.default")), "spans of both sides")
    (calling,), (called,) = spans("shopper.default"), spans("web.default")
    assert calling.trace_id == called.trace_id  # type: ignore[attr-defined]
    assert called.parent_span_id == calling.span_id  # type: ignore[attr-defined]
    assert _tags(called) | {"user": "anna", "istio.canonical_service": "web", "istio.namespace": "default"} == _tags(
        called
    )
    (arrived,) = world.web.seen("/traced")
    version, trace, parent, _ = arrived["traceparent"].split("-")
    assert (version, trace, parent) == ("00", called.trace_id.hex(), called.span_id.hex())  # type: ignore[attr-defined]


def _tags(span: object) -> dict[str, str]:
    return {each.key: each.value.string_value for each in span.attributes}  # type: ignore[attr-defined]


def test_zipkin_is_told_by_b3(world: World) -> None:
    server = world.mesh.instance("zipped", sidecar=True)
    client = world.mesh.client("--label", "spans=zipkin", name="zipper")
    client.wait_served_by("zipped", server)
    assert client.get("zipped", "/b3", headers={"x-user": "bert"}).status == 200

    def found() -> list[dict[str, object]]:
        return [each for each in world.zipkin.named("zipper.default") if each["tags"]["http.url"].endswith("/b3")]

    eventually(lambda: bool(found()), "a span at Zipkin")
    (span,) = found()
    assert span["kind"] == "CLIENT"
    assert span["tags"]["user"] == "bert"  # type: ignore[index]
    assert len(str(span["traceId"])) == 32
    (arrived,) = server.seen("/b3")
    assert arrived["x-b3-traceid"] == span["traceId"]


def test_context_is_kept_back_where_told_so(world: World) -> None:
    plain = world.mesh.instance("plainly")
    client = world.mesh.client("--label", "spans=mute", name="muted")
    client.wait_served_by("plainly", plain)
    assert client.get("plainly", "/mute").status == 200
    eventually(lambda: bool(world.otlp.named("muted.default")), "spans all the same")
    assert "traceparent" not in plain.seen("/mute")[0]


def test_logs_go_where_they_are_told_and_only_what_the_filter_takes(world: World) -> None:
    client = caller(world, "logger", "--label", "logs=on")
    world.web.behave(status=500, failures=2)
    statuses = [client.get("web", path).status for path in ("/logged/a", "/quiet", "/logged/b")]
    assert statuses == [500, 500, 200]
    client.get("web", "/entry", headers={"x-user": "carl"})
    eventually(lambda: bool(_records(world, "/entry 200")), "a record by OTLP")
    eventually(lambda: any(_entry(each) == ("/entry", "carl") for each in world.otlp.entries), "an entry by gRPC")
    eventually(lambda: world.log.read_text() != "", "the line of a failure")
    lines = [json.loads(line) for line in world.log.read_text().splitlines()]
    assert lines == [{"status": 500, "path": "/logged/a"}]


def _records(world: World, line: str) -> list[object]:
    return [each for each in world.otlp.records if each.body.string_value == line]


def _entry(entry: object) -> tuple[str, str]:
    request = entry.request  # type: ignore[attr-defined]
    return request.path, request.request_headers.get("x-user", "")
