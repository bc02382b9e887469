"""What Mixer's handlers do to requests through real Envoys, and what their far ends are told of them.

Far ends are sockets that speak statsd, Fluentd's forward protocol and OTLP, in a thread of this process.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import attrs
import pytest

from tests.e2e.world import DEADLINE, LOOPBACK, Instance, Mesh, Sidecar, eventually
from tests.servers.http import call
from tests.servers.ports import free_ports
from tests.servers.redis import Redis
from tests.unit.mixer.handlers.far_ends import Collector, Datagrams, Forward, collector, fluentd, statsd

pytestmark = pytest.mark.e2e

TRACE = {"x-b3-traceid": "0af7651916cd43dd8448eb211c80319c", "x-b3-spanid": "b7ad6b7169203331"}
TELEMETRY = Path(__file__).parents[2] / "deploy/mixer/telemetry.yaml"


class FarEnds:
    """All far ends, served until `close`."""

    def __init__(self) -> None:
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._done = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),), name="far ends")
        self._thread.start()
        assert self._ready.wait(DEADLINE)

    async def _serve(self) -> None:
        async with AsyncExitStack() as stack:
            self.statsd: Datagrams = await stack.enter_async_context(statsd())
            self.fluentd: Forward = await stack.enter_async_context(fluentd())
            self.collector: Collector = await stack.enter_async_context(collector("http"))
            self._ready.set()
            await self._done.wait()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._done.set)
        self._thread.join(DEADLINE)
        self._loop.close()


RULES = """\
apiVersion: config.istio.io/v1alpha2
kind: handler
metadata: {name: users, namespace: istio-system}
spec:
  compiledAdapter: listchecker
  params: {providerUrl: "file://LIST", refreshInterval: 0.1s, cachingInterval: 0s}
---
apiVersion: config.istio.io/v1alpha2
kind: instance
metadata: {name: user, namespace: istio-system}
spec: {compiledTemplate: listentry, params: {value: 'request.headers["x-user"] | "nobody"'}}
---
apiVersion: config.istio.io/v1alpha2
kind: rule
metadata: {name: handlers-list, namespace: istio-system}
spec:
  match: destination.service.host == "listed.service.consul" && request.url_path.startsWith("/members")
  actions: [{handler: users, instances: [user]}]
---
apiVersion: config.istio.io/v1alpha2
kind: handler
metadata: {name: readers, namespace: istio-system}
spec:
  compiledAdapter: policy
  params:
    policies:
    - {name: read, when: action.method == "GET"}
    - {name: secrets, when: 'action.path.startsWith("/secret")', effect: DENY, message: not for you}
---
apiVersion: config.istio.io/v1alpha2
kind: instance
metadata: {name: access, namespace: istio-system}
spec:
  compiledTemplate: authorization
  params: {action: {method: request.method, path: request.url_path}}
---
apiVersion: config.istio.io/v1alpha2
kind: rule
metadata: {name: handlers-policy, namespace: istio-system}
spec:
  match: destination.service.host == "readable.service.consul"
  actions: [{handler: readers, instances: [access]}]
---
apiVersion: config.istio.io/v1alpha2
kind: handler
metadata: {name: shared, namespace: istio-system}
spec:
  compiledAdapter: redisquota
  params:
    redisServerUrl: REDIS
    quotas: [{name: visits, maxAmount: 2, validDuration: 300s, whenAway: DENY}]
---
apiVersion: config.istio.io/v1alpha2
kind: instance
metadata: {name: visits, namespace: istio-system}
spec: {compiledTemplate: quota, params: {dimensions: {user: 'request.headers["x-user"] | "nobody"'}}}
---
apiVersion: config.istio.io/v1alpha2
kind: rule
metadata: {name: handlers-visits, namespace: istio-system}
spec:
  actions: [{handler: shared, instances: [visits]}]
---
apiVersion: config.istio.io/v1alpha2
kind: QuotaSpec
metadata: {name: handlers-visit, namespace: istio-system}
spec:
  rules:
  - match: [{clause: {request.path: {prefix: /visit}}}]
    quotas: [{quota: visits, charge: 1}]
---
apiVersion: config.istio.io/v1alpha2
kind: QuotaSpecBinding
metadata: {name: handlers-visit, namespace: istio-system}
spec:
  services: [{service: readable.service.consul}]
  quotaSpecs: [{name: handlers-visit}]
---
apiVersion: config.istio.io/v1alpha2
kind: instance
metadata: {name: hits, namespace: istio-system}
spec:
  compiledTemplate: metric
  params: {value: "1", dimensions: {service: destination.workload.name | "unknown"}}
---
apiVersion: config.istio.io/v1alpha2
kind: instance
metadata: {name: entry, namespace: istio-system}
spec:
  compiledTemplate: logentry
  params:
    severity: '"info"'
    timestamp: request.time
    variables: {path: request.path | "", code: response.code | 0}
---
apiVersion: config.istio.io/v1alpha2
kind: instance
metadata: {name: trace, namespace: istio-system}
spec:
  compiledTemplate: tracespan
  params:
    traceId: request.headers["x-b3-traceid"] | ""
    spanId: request.headers["x-b3-spanid"] | ""
    spanName: request.path | "/"
    startTime: request.time
    endTime: response.time
    httpStatusCode: response.code | 0
---
apiVersion: config.istio.io/v1alpha2
kind: handler
metadata: {name: lines, namespace: istio-system}
spec:
  compiledAdapter: statsd
  params: {address: "127.0.0.1:STATSD", metrics: {hits: {type: COUNTER, nameTemplate: "hits.{{.service}}"}}}
---
apiVersion: config.istio.io/v1alpha2
kind: handler
metadata: {name: entries, namespace: istio-system}
spec: {compiledAdapter: fluentd, params: {address: "127.0.0.1:FLUENTD", pushIntervalDuration: 0.1s}}
---
apiVersion: config.istio.io/v1alpha2
kind: handler
metadata: {name: otlp, namespace: istio-system}
spec:
  compiledAdapter: opentelemetry
  params: {endpoint: OTLP, interval: 0.1s, metrics: {hits: {kind: COUNTER}}}
---
apiVersion: config.istio.io/v1alpha2
kind: rule
metadata: {name: handlers-told, namespace: istio-system}
spec:
  match: context.protocol == "http" && context.reporter.kind == "inbound"
  actions:
  - {handler: lines, instances: [hits]}
  - {handler: entries, instances: [entry]}
  - {handler: otlp, instances: [hits, entry, trace]}
"""


@attrs.define
class World:
    far: FarEnds
    users: Path
    client: Sidecar
    instances: tuple[Instance, Instance]
    http: str
    redis: Redis

    def metrics(self) -> str:
        return call("GET", f"http://{self.http}/metrics").text


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("handlers")
    users = folder / "users.txt"
    users.write_text("ada\n", encoding="utf-8")
    mixer_port, mixer_http = free_ports(2)
    far = FarEnds()
    try:
        with Mesh(folder) as mesh, Redis(folder / "redis") as redis:
            rules = RULES.replace("LIST", str(users)).replace("OTLP", far.collector.endpoint)
            rules = rules.replace("STATSD", str(far.statsd.port)).replace("FLUENTD", str(far.fluentd.port))
            rules = rules.replace("REDIS", redis.url)
            mesh.write("handlers.yaml", rules)
            mesh.write("telemetry.yaml", TELEMETRY.read_text(encoding="utf-8"))
            mesh.consul.start()
            control = mesh.make_control("--components", "pilot", "--mixer-server", f"{LOOPBACK}:{mixer_port}")
            mixer = mesh.second_process(
                "mixer",
                *("--components", "mixer", "--mixer-addr", f"{LOOPBACK}:{mixer_port}"),
                *("--http-addr", f"{LOOPBACK}:{mixer_http}"),
            )
            mixer.start()
            control.start()
            ready = f"http://{LOOPBACK}:{mixer_http}/readyz"
            mixer.wait_until(lambda: call("GET", ready).text.strip() == "ready", "ready", seconds=DEADLINE)
            instances = mesh.instance("listed", sidecar=True), mesh.instance("readable", sidecar=True)
            client = mesh.client()
            for each in instances:
                client.wait_served_by(each.service, each)
            assert not control.debug("problems")["configuration"]
            yield World(far, users, client, instances, f"{LOOPBACK}:{mixer_http}", redis)
    finally:
        far.close()


def test_a_list_in_a_file_decides_and_is_followed(world: World) -> None:
    def status(user: str) -> int:
        return world.client.get("listed", "/members", headers={"x-user": user}).status

    assert (status("ada"), status("eve")) == (200, 404)
    world.users.write_text("eve\n", encoding="utf-8")
    eventually(lambda: (status("ada"), status("eve")) == (404, 200), "the list read again")


def test_policies_decide(world: World) -> None:
    assert world.client.get("readable", "/books").status == 200
    refused = world.client.get("readable", "/secret")
    assert (refused.status, refused.text) == (403, "readers.istio-system:not for you")


def test_a_quota_in_redis_is_spent_and_redis_may_go_and_come_back(world: World) -> None:
    def status(user: str) -> int:
        return world.client.get("readable", "/visit", headers={"x-user": user}).status

    assert [status("ada") for _ in range(3)] == [200, 200, 429]
    assert status("eve") == 200
    world.redis.stop()
    assert [status("eve"), status("bob")] == [429, 429]
    world.redis.start()
    eventually(lambda: status("bob") == 200, "Redis used again", seconds=5)


def test_far_ends_are_told_of_what_has_passed(world: World) -> None:
    assert world.client.get("readable", "/told", headers=TRACE).status == 200
    far = world.far
    eventually(lambda: "hits.readable:1|c" in far.statsd.lines, "told to statsd")
    eventually(lambda: any(each[2]["path"] == "/told" for each in far.fluentd.entries), "told to Fluentd")
    eventually(lambda: any(each.name == "/told" for each in far.collector.spans), "a span at the collector")
    span = next(each for each in far.collector.spans if each.name == "/told")
    assert (span.trace_id.hex(), span.span_id.hex()) == (TRACE["x-b3-traceid"], TRACE["x-b3-spanid"])
    assert span.end_time_unix_nano >= span.start_time_unix_nano > 0
    eventually(lambda: bool(far.collector.records), "a record at the collector")
    eventually(lambda: far.collector.metric("hits") is not None, "a metric at the collector")


def test_istios_standard_metrics_are_shown(world: World) -> None:
    assert world.client.get("readable", "/counted").status == 200

    def counted() -> list[str]:
        lines = [line for line in world.metrics().splitlines() if line.startswith("istio_requests_total{")]
        return [line for line in lines if 'destination_service="readable.service.consul"' in line]

    eventually(lambda: {'reporter="source"', 'reporter="destination"'} <= _words(counted()), "told by both sides")
    assert any('response_code="200"' in line and 'request_protocol="http"' in line for line in counted())
    assert "istio_request_duration_seconds_bucket{" in world.metrics()


def _words(lines: list[str]) -> set[str]:
    return {word for line in lines for word in line.partition("{")[2].partition("}")[0].split(",")}
