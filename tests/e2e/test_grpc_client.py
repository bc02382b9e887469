"""A gRPC client that is its own proxy: grpcio's `xds:///` resolver, and the real control plane."""

from __future__ import annotations

import collections
import contextlib
import math
from collections.abc import Iterator, Mapping

import grpc
import pytest

from tests.e2e.grpc_mesh import FAIL, HOST, Caller, GrpcMesh, Instance, calling
from tests.e2e.world import eventually

pytestmark = pytest.mark.e2e

CALLS = 1000
SUBSETS = f"""
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: echo, namespace: default}}
spec:
  host: {HOST}
  subsets:
  - {{name: v1, labels: {{version: v1}}}}
  - {{name: v2, labels: {{version: v2}}}}
---
"""
V1, V2 = ({"destination": {"host": HOST, "subset": name}} for name in ("v1", "v2"))


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GrpcMesh]:
    found = GrpcMesh(tmp_path_factory.mktemp("grpc"))
    found.start()
    yield found
    found.process.kill()


@pytest.fixture(scope="module")
def one() -> Instance:
    return Instance("one", "v1")


@pytest.fixture(scope="module")
def two() -> Instance:
    return Instance("two", "v2")


@pytest.fixture
def mesh(running: GrpcMesh, one: Instance, two: Instance, monkeypatch: pytest.MonkeyPatch) -> Iterator[GrpcMesh]:
    """Two instances and no rules; whatever a test tells of them, the client refuses nothing."""
    running.rule("")
    running.have(one, two)
    monkeypatch.setenv("GRPC_XDS_BOOTSTRAP_CONFIG", running.bootstrap({}))
    yield running
    assert "rejected" not in running.log


@pytest.fixture
def caller(mesh: GrpcMesh) -> Iterator[Caller]:
    with calling() as found:
        found.wait_served_by("one", "two")
        yield found


def routes(*http: object) -> str:
    """A virtual service with these HTTP routes, and the subsets that they may name."""
    return f"""{SUBSETS}
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: echo, namespace: default}}
spec: {{hosts: [{HOST}], http: {list(http)}}}
"""


def policy(**blocks: object) -> str:
    """A destination rule with this traffic policy."""
    return f"""
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: echo, namespace: default}}
spec: {{host: {HOST}, trafficPolicy: {blocks}}}
"""


def assert_share(found: collections.Counter[str], name: str, wanted: float) -> None:
    """Within three standard deviations."""
    count = found.total()
    assert abs(found[name] - count * wanted) <= 3 * math.sqrt(count * wanted * (1 - wanted)), found


@pytest.mark.parametrize("metadata", [{}, {"GENERATOR": "grpc", "NAMESPACE": "shop", "LABELS": {"app": "shop"}}])
def test_a_client_resolves_its_target_and_takes_turns(
    mesh: GrpcMesh, monkeypatch: pytest.MonkeyPatch, metadata: Mapping[str, object]
) -> None:
    monkeypatch.setenv("GRPC_XDS_BOOTSTRAP_CONFIG", mesh.bootstrap(metadata))
    with calling() as caller:
        caller.wait_served_by("one", "two")
        assert_share(caller.shares(200), "one", 0.5)


def test_a_split_between_subsets_and_the_rule_that_replaces_it(mesh: GrpcMesh, caller: Caller) -> None:
    mesh.rule(routes({"route": [V1 | {"weight": 100}]}))
    caller.wait_served_by("one")
    mesh.rule(routes({"route": [V1 | {"weight": 80}, V2 | {"weight": 20}]}))
    caller.wait_served_by("one", "two")
    assert_share(caller.shares(CALLS), "two", 0.2)
    mesh.rule(routes({"route": [V2]}))
    caller.wait_served_by("two")


def test_an_instance_that_goes_away_gets_nothing_and_comes_back(
    mesh: GrpcMesh, caller: Caller, one: Instance, two: Instance
) -> None:
    mesh.have(two)
    caller.wait_served_by("two")
    mesh.have(one, two)
    caller.wait_served_by("one", "two")


def test_without_any_instance_calls_fail_at_once_and_recover(mesh: GrpcMesh, caller: Caller, one: Instance) -> None:
    mesh.have()
    eventually(lambda: caller.status() is grpc.StatusCode.UNAVAILABLE, "failing")
    mesh.have(one)
    caller.wait_served_by("one")


def test_calls_go_on_while_the_control_plane_is_away_and_it_is_heard_again(mesh: GrpcMesh, caller: Caller) -> None:
    mesh.process.kill()
    assert_share(caller.shares(200), "one", 0.5)
    mesh.rule(routes({"route": [V2]}))
    mesh.start()
    caller.wait_served_by("two")


def test_instances_get_what_they_weigh(mesh: GrpcMesh, caller: Caller, one: Instance) -> None:
    heavy = Instance("heavy", "v1", weight=3)
    mesh.have(one, heavy)
    caller.wait_served_by("one", "heavy")
    assert_share(caller.shares(400), "heavy", 0.75)


def test_a_call_is_routed_by_its_headers_and_by_what_every_call_says(mesh: GrpcMesh, caller: Caller) -> None:
    to_two = {"match": [{"method": {"exact": "POST"}, "headers": {"x-user": {"exact": "ada"}}}], "route": [V2]}
    never = {"match": [{"method": {"exact": "GET"}}, {"queryParams": {"q": {"exact": "1"}}}], "route": [V2]}
    without = {"match": [{"withoutHeaders": {"x-old": {}}}], "route": [V1]}
    mesh.rule(routes(never, to_two, without, {"route": [V2]}))
    caller.wait_served_by("one")
    assert set(caller.shares(20, {"x-user": "ada"})) == {"two"}
    assert set(caller.shares(20, {"x-old": "1"})) == {"two"}


def test_faults_are_the_clients_own(mesh: GrpcMesh, caller: Caller, one: Instance) -> None:
    always = {"percentage": {"value": 100}}
    abort = {"match": [{"headers": {"x-abort": {}}}], "fault": {"abort": {"grpcStatus": "DATA_LOSS", **always}}}
    delay = {"match": [{"headers": {"x-delay": {}}}], "fault": {"delay": {"fixedDelay": "5s", **always}}}
    mesh.rule(routes(abort | {"route": [V1]}, delay | {"route": [V1]}, {"route": [V1]}))
    caller.wait_served_by("one")
    before = one.calls
    assert caller.status({"x-abort": "1"}) is grpc.StatusCode.DATA_LOSS
    assert caller.status({"x-delay": "1"}, timeout=0.3) is grpc.StatusCode.DEADLINE_EXCEEDED
    assert one.calls == before


def test_a_timeout_bounds_a_call_that_has_a_longer_one(mesh: GrpcMesh, caller: Caller) -> None:
    late = {"delay": {"fixedDelay": "10s", "percentage": {"value": 100}}}
    mesh.rule(routes({"match": [{"headers": {"x-late": {}}}], "timeout": "0.3s", "fault": late, "route": [V1]}))
    eventually(lambda: caller.status({"x-late": "1"}) is grpc.StatusCode.DEADLINE_EXCEEDED, "bounded")


def test_a_call_is_tried_again_as_often_as_the_rule_says(mesh: GrpcMesh, caller: Caller, one: Instance) -> None:
    mesh.rule(routes({"route": [V1], "retries": {"attempts": 3, "retryOn": "unavailable,5xx"}}))
    caller.wait_served_by("one")
    before = one.calls
    assert caller.status({FAIL: "one"}) is grpc.StatusCode.UNAVAILABLE
    assert one.calls - before == 4
    mesh.rule(routes({"route": [V1], "retries": {"attempts": 0}}))

    def tried_once() -> bool:
        now = one.calls
        return caller.status({FAIL: "one"}) is grpc.StatusCode.UNAVAILABLE and one.calls - now == 1

    eventually(tried_once, "tried once")


def test_a_hash_of_a_header_keeps_a_user_at_one_instance(mesh: GrpcMesh, caller: Caller) -> None:
    mesh.rule(policy(loadBalancer={"consistentHash": {"httpHeaderName": "x-user"}}))
    users = [f"user-{number}" for number in range(20)]

    def kept() -> bool:
        return all(len(caller.shares(5, {"x-user": user})) == 1 for user in users)

    eventually(kept, "each user at one instance")
    assert len({caller.who({"x-user": user}) for user in users}) == 2


@pytest.mark.parametrize(
    "route",
    [
        {"rewrite": {"authority": "elsewhere"}, "route": [V1]},
        {"redirect": {"uri": "/elsewhere"}},
        {"directResponse": {"status": 200}},
    ],
)
def test_what_a_client_can_not_do_to_a_call_makes_it_fail(
    mesh: GrpcMesh, caller: Caller, route: Mapping[str, object]
) -> None:
    mesh.rule(routes(route))
    eventually(lambda: caller.status() is grpc.StatusCode.UNAVAILABLE, "failing")


@pytest.mark.parametrize("block", [{"tls": {"mode": "SIMPLE"}}, {"proxyProtocol": {"version": "V2"}}])
def test_a_service_is_not_called_without_the_protection_that_a_rule_asks_for(
    mesh: GrpcMesh, caller: Caller, one: Instance, two: Instance, block: Mapping[str, object]
) -> None:
    mesh.rule(policy(**block))
    eventually(lambda: caller.status() is grpc.StatusCode.UNAVAILABLE, "failing")
    before = one.calls + two.calls
    assert caller.status() is grpc.StatusCode.UNAVAILABLE
    assert one.calls + two.calls == before


def test_a_policy_of_what_only_envoys_know_refuses_nothing(mesh: GrpcMesh, caller: Caller, one: Instance) -> None:
    pool = {"tcp": {"maxConnections": 10, "connectTimeout": "1s"}, "http": {"http2MaxRequests": 50}}
    ejection = {"consecutive5xxErrors": 3, "interval": "1s"}
    mesh.rule(policy(loadBalancer={"simple": "LEAST_REQUEST", "warmup": {"duration": "5s"}}, connectionPool=pool))
    caller.wait_served_by("one", "two")
    mesh.rule(policy(loadBalancer={"simple": "RANDOM"}, outlierDetection=ejection))
    mesh.have(one)
    caller.wait_served_by("one")


def test_a_name_that_the_client_looks_up(mesh: GrpcMesh, one: Instance) -> None:
    mesh.rule(f"""
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: named, namespace: default}}
spec:
  hosts: [named.example]
  resolution: DNS
  ports: [{{number: 80, name: grpc, protocol: GRPC}}]
  endpoints: [{{address: localhost, ports: {{grpc: {one.port}}}}}]
""")
    with calling("xds:///named.example:80") as caller:
        caller.wait_served_by("one")


def test_a_target_that_is_unknown_fails(mesh: GrpcMesh) -> None:
    with calling("xds:///nobody.example:80") as caller, contextlib.suppress(grpc.RpcError):
        caller.who(timeout=1)
        raise AssertionError("nobody answered")
