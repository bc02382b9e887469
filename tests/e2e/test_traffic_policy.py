"""Destination rules through a real Envoy: hashing, ejection by each counter, panic, budgets, warm-up, HTTP/2."""

from __future__ import annotations

import collections
import contextlib
import math
import time

import pytest

from tests.e2e.documents import destination_rules
from tests.e2e.traffic import Connection
from tests.e2e.world import Instance, Mesh, Sidecar, eventually, host
from tests.servers.ports import free_port

pytestmark = pytest.mark.e2e

POLICIES = {
    "hash-header": "{loadBalancer: {consistentHash: {httpHeaderName: x-user}}}",
    "hash-maglev": "{loadBalancer: {consistentHash: {httpHeaderName: x-user, maglev: {tableSize: 65537}}}}",
    "hash-cookie": "{loadBalancer: {consistentHash: {httpCookie: {name: seat, path: /, ttl: 60s}}}}",
    "hash-query": "{loadBalancer: {consistentHash: {httpQueryParameterName: user}}}",
    "hash-source": "{loadBalancer: {consistentHash: {useSourceIp: true}}}",
    "gateway-errors": "{outlierDetection: {consecutiveGatewayErrors: 3, consecutive5xxErrors: 0,"
    " maxEjectionPercent: 100, interval: 1s, baseEjectionTime: 300s}}",
    "some-codes": "{outlierDetection: {consecutive5xxErrors: 3, outlierDetectionHttpErrorCodes: [429, 418],"
    " maxEjectionPercent: 100, interval: 1s, baseEjectionTime: 300s}}",
    "local-origin": "{outlierDetection: {splitExternalLocalOriginErrors: true, consecutiveLocalOriginFailures: 3,"
    " maxEjectionPercent: 100, interval: 1s, baseEjectionTime: 300s}}",
    "panicking": "{outlierDetection: {minHealthPercent: 60}}",
    "calm": "{outlierDetection: {minHealthPercent: 0}}",
    "budgeted": "{retryBudget: {percent: 0, minRetryConcurrency: 1}}",
    "warming": "{loadBalancer: {simple: ROUND_ROBIN, warmup: {duration: 6s}}}",
    "upgraded": "{connectionPool: {http: {h2UpgradePolicy: UPGRADE}}}",
}
WARM_UP = 6.0
USERS = [f"user-{number}" for number in range(200)]


@pytest.fixture(scope="module", autouse=True)
def rules(shared: Mesh) -> None:
    """In force before there is any of the services."""
    shared.apply("traffic-policies.yaml", destination_rules(POLICIES))


@pytest.fixture(scope="module", autouse=True)
def warming(shared: Mesh, client: Sidecar, rules: None) -> tuple[Instance, float]:
    """An instance that warms up while other tests run, and the time since when it is there for sure."""
    old = shared.instance("warming", "warming-old")
    client.wait_served_by("warming", old)
    return old, time.monotonic()


def wait_members(client: Sidecar, service: str, count: int) -> None:
    """Until the client's Envoy knows of so many healthy instances."""
    name = f"cluster.outbound|80||{host(service)}.membership_healthy"
    eventually(lambda: client.stat(name) == count, f"{count} healthy instances of {service}")


def seats(client: Sidecar, service: str) -> dict[str, str]:
    """Which instance each user is served by."""
    with contextlib.closing(Connection(client.outbound_port, host(service))) as connection:
        return {user: connection.send(headers={"x-user": user}).instance for user in USERS}


@pytest.mark.parametrize(("service", "most_moved"), [("hash-header", 0.30), ("hash-maglev", 0.05)])
def test_who_is_not_served_by_the_one_that_leaves_stays_where_he_is(
    shared: Mesh, client: Sidecar, service: str, most_moved: float
) -> None:
    """Envoy's ring gives a host more places when there are fewer hosts, so that some move; the table keeps most."""
    instances = [shared.instance(service, f"{service}-{number}") for number in range(4)]
    client.wait_served_by(service, *instances)
    before = seats(client, service)
    assert seats(client, service) == before
    shares = collections.Counter(before.values())
    assert min(shares.values()) > len(USERS) / 4 / 2
    leaver = instances[0]
    shared.deregister(leaver)
    gone = f"127.0.0.1:{leaver.port}::"
    eventually(lambda: f"|{host(service)}::{gone}" not in client.admin("/clusters"), f"{leaver.name} gone")
    eventually(lambda: leaver.name not in seats(client, service).values(), f"{leaver.name} out of the ring")
    after = seats(client, service)
    stayed = [user for user in USERS if before[user] != leaver.name]
    moved = [user for user in stayed if after[user] != before[user]]
    assert len(moved) / len(stayed) < most_moved
    shared.register(leaver)
    eventually(lambda: seats(client, service) == before, "everyone back in his seat")


def test_a_client_without_the_cookie_is_given_one_that_leads_back(shared: Mesh, client: Sidecar) -> None:
    for number in range(3):
        shared.instance("hash-cookie", f"seat-{number}")
    wait_members(client, "hash-cookie", 3)
    served = set()
    for _ in range(12):
        first = client.get("hash-cookie")
        cookie, *attributes = first.headers["set-cookie"].split("; ")
        assert set(attributes) >= {"Max-Age=60", "Path=/"}
        again = [client.get("hash-cookie", headers={"cookie": cookie}) for _ in range(5)]
        assert {reply.instance for reply in again} == {first.instance}
        assert all("set-cookie" not in reply.headers for reply in again)
        served.add(first.instance)
    assert len(served) > 1


def test_a_query_parameter_and_the_source_decide(shared: Mesh, client: Sidecar) -> None:
    for service in ("hash-query", "hash-source"):
        for number in range(3):
            shared.instance(service, f"{service}-{number}")
        wait_members(client, service, 3)
    by_user = {user: {client.get("hash-query", f"/?user={user}").instance for _ in range(3)} for user in USERS[:20]}
    assert all(len(served) == 1 for served in by_user.values())
    assert len(set.union(*by_user.values())) == 3
    assert len(client.shares("hash-source", 40)) == 1


@pytest.mark.parametrize(
    ("service", "harmless", "ejecting", "counter"),
    [
        ("gateway-errors", 500, 502, "consecutive_gateway_failure"),
        ("some-codes", 500, 429, "consecutive_5xx"),
    ],
)
def test_only_the_statuses_that_count_eject(
    shared: Mesh, client: Sidecar, service: str, harmless: int, ejecting: int, counter: str
) -> None:
    good, bad = shared.instance(service, f"{service}-good"), shared.instance(service, f"{service}-bad")
    client.wait_served_by(service, good, bad)
    prefix = f"cluster.outbound|80||{host(service)}.outlier_detection."
    bad.behave(failures=-1, status=harmless)
    replies = client.batch(service, 60, connections=1)
    assert sum(reply.status == harmless for reply in replies) > 10
    assert client.stat(prefix + "ejections_active") == 0
    bad.behave(failures=-1, status=ejecting)
    client.wait_served_by(service, good)
    assert client.stat(prefix + f"ejections_enforced_{counter}") == 1


def test_connections_that_fail_eject_by_a_counter_of_their_own(shared: Mesh, client: Sidecar) -> None:
    good = shared.instance("local-origin", "origin-good")
    client.wait_served_by("local-origin", good)
    nobody = Instance("local-origin", "origin-nobody", free_port(), good.process)
    shared.register(nobody)
    counter = f"cluster.outbound|80||{host('local-origin')}.outlier_detection."

    def ejected() -> bool:
        client.batch("local-origin", 20, connections=1)
        return client.stat(counter + "ejections_enforced_consecutive_local_origin_failure") == 1

    eventually(ejected, "the one that nobody answers for ejected")


def test_in_panic_the_unhealthy_get_traffic_too(shared: Mesh, client: Sidecar) -> None:
    """One of two is healthy: less than the 60 % below which one rule panics, while the other never does."""
    for service in ("panicking", "calm"):
        well, ill = shared.instance(service, f"{service}-well"), shared.instance(service, f"{service}-ill")
        client.wait_served_by(service, well, ill)
        shared.fail_check(ill)
        wait_members(client, service, 1)
        if service == "panicking":
            client.wait_served_by(service, well, ill)
        else:
            client.wait_served_by(service, well)
            shared.fail_check(well)
            eventually(lambda: client.get("calm").text == "no healthy upstream", "nobody left")
    assert client.stat(f"cluster.outbound|80||{host('panicking')}.lb_healthy_panic") > 0


def test_a_retry_goes_to_another_host(shared: Mesh, client: Sidecar) -> None:
    """One of two fails always. Envoy looks for another six times, which one time in 64 leads to the same again."""
    good, bad = shared.instance("excluding", "excluding-good"), shared.instance("excluding", "excluding-bad")
    client.wait_served_by("excluding", good, bad)
    bad.behave(failures=-1, status=503)
    before = bad.count()
    assert client.shares("excluding", 200, connections=1) == {good.name: 200}
    attempts = collections.Counter(headers["x-envoy-attempt-count"] for headers in bad.seen("/")[before:])
    assert attempts["1"] > 200 / 4
    assert attempts["2"] < attempts["1"] / 5


def test_no_more_retries_than_the_budget_has_go_out_at_once(shared: Mesh, client: Sidecar) -> None:
    """Ten requests fail at the same time; one retry may be under way, the others are answered as they failed."""
    failing = shared.instance("budgeted")
    client.wait_served_by("budgeted", failing)
    failing.behave(failures=-1, status=503, delay=0.5)
    before = failing.count()
    replies = client.batch("budgeted", 10, connections=10)
    assert {reply.status for reply in replies} == {503}
    retries = failing.count() - before - 10
    assert 1 <= retries <= 4
    overflow = f"cluster.outbound|80||{host('budgeted')}.upstream_rq_retry_overflow"
    eventually(lambda: client.stat(overflow) >= 10 - retries, "the others counted")


def test_a_new_endpoint_warms_up(shared: Mesh, client: Sidecar, warming: tuple[Instance, float]) -> None:
    """A tenth of its share at first (Istio's minimum), the whole of it in the end; the old one is warm by then."""
    old, since = warming
    eventually(lambda: time.monotonic() > since + WARM_UP, "the old one warm")
    new = shared.instance("warming", "warming-new")
    client.wait_served_by("warming", old, new)
    early = client.shares("warming", 300)[new.name] / 300
    assert 0 < early < 0.35

    def even() -> bool:
        return abs(client.shares("warming", 300)[new.name] - 150) <= 3 * math.sqrt(300 * 0.25)

    eventually(even, "the new one with its whole share")


def test_connections_are_upgraded_to_http2(shared: Mesh, client: Sidecar) -> None:
    """To a peer whose sidecar speaks both; the workload behind it knows HTTP/1.1 only."""
    upgraded = shared.instance("upgraded", sidecar=True)
    client.wait_served_by("upgraded", upgraded)
    prefix = f"cluster.outbound|80||{host('upgraded')}.upstream_cx_"
    assert client.stat(prefix + "http2_total") > 0
    assert client.stat(prefix + "http1_total") == 0
