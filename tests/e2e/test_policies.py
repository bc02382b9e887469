"""Destination rules, seen by what becomes of requests: subsets, ejection, limits, and whose turn it is."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.e2e.world import Mesh, Sidecar, eventually

pytestmark = pytest.mark.e2e

DOCUMENTS = """
apiVersion: networking.istio.io/v1beta1
kind: DestinationRule
metadata: {name: sorted}
spec:
  host: sorted.service.consul
  subsets:
  - {name: v1, labels: {version: v1}}
  - {name: canary, labels: {version: v2, stage: canary}}
---
apiVersion: networking.istio.io/v1beta1
kind: VirtualService
metadata: {name: sorted}
spec:
  hosts: [sorted.service.consul]
  http:
  - match: [{uri: {prefix: /canary}}]
    route: [{destination: {host: sorted.service.consul, subset: canary}}]
  - match: [{uri: {prefix: /v1}}]
    route: [{destination: {host: sorted.service.consul, subset: v1}}]
  - route: [{destination: {host: sorted.service.consul}}]
---
apiVersion: networking.istio.io/v1beta1
kind: DestinationRule
metadata: {name: ejecting}
spec:
  host: ejecting.service.consul
  trafficPolicy:
    outlierDetection: {consecutive5xxErrors: 3, interval: 1s, baseEjectionTime: 300s, maxEjectionPercent: 100}
---
apiVersion: networking.istio.io/v1beta1
kind: DestinationRule
metadata: {name: narrow}
spec:
  host: narrow.service.consul
  trafficPolicy:
    connectionPool: {tcp: {maxConnections: 1}, http: {http1MaxPendingRequests: 1}}
---
apiVersion: networking.istio.io/v1beta1
kind: VirtualService
metadata: {name: narrow}
spec:
  hosts: [narrow.service.consul]
  http:
  - route: [{destination: {host: narrow.service.consul}}]
    headers: {response: {set: {x-flags: "%RESPONSE_FLAGS%"}}}
---
apiVersion: networking.istio.io/v1beta1
kind: DestinationRule
metadata: {name: turns}
spec:
  host: turns.service.consul
  trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}
"""


@pytest.fixture(scope="module", autouse=True)
def rules(shared: Mesh) -> None:
    """In force before there is any of the services."""
    shared.apply("policies.yaml", DOCUMENTS)


def test_a_subset_is_who_has_all_of_its_labels(shared: Mesh, client: Sidecar) -> None:
    """Labels come from tags and meta alike."""
    everyone = (
        shared.instance("sorted", "stable", tags=("v1",)),
        shared.instance("sorted", "next", tags=("v2",)),
        shared.instance("sorted", "canary", tags=("v2", "stage=canary")),
        shared.instance("sorted", "meta-canary", meta={"version": "v2", "stage": "canary"}),
    )
    client.wait_served_by("sorted", *everyone)
    served = {path: {r.instance for r in client.batch("sorted", 60, path=path)} for path in ("/v1", "/canary")}
    assert served == {"/v1": {"stable"}, "/canary": {"canary", "meta-canary"}}


def test_an_instance_that_keeps_answering_5xx_is_ejected(shared: Mesh, client: Sidecar) -> None:
    """Envoy gathers changes of health for up to a second before its workers hear of them."""
    good, bad = shared.instance("ejecting", "good"), shared.instance("ejecting", "bad")
    client.wait_served_by("ejecting", good, bad)
    bad.behave(failures=-1, status=500)
    client.wait_served_by("ejecting", good)
    ejections = "cluster.outbound|80||ejecting.service.consul.outlier_detection.ejections_active"
    assert client.stat(ejections) == 1
    before = bad.count()
    client.shares("ejecting", 100)
    assert bad.count() == before >= 3


def test_more_requests_than_the_connection_pool_takes_overflow(shared: Mesh, client: Sidecar) -> None:
    """One is under way, one waits for the connection; the others are turned away at once, and none is retried."""
    narrow = shared.instance("narrow")
    client.wait_served_by("narrow", narrow)
    narrow.behave(delay=60)
    before = narrow.count()
    with ThreadPoolExecutor(1) as pool:
        sent = pool.submit(client.batch, "narrow", 10, connections=10)
        overflow = "cluster.outbound|80||narrow.service.consul.upstream_rq_pending_overflow"
        eventually(lambda: client.stat(overflow) == 8, "8 overflows counted")
        narrow.behave()
    turned_away = [reply for reply in sent.result() if reply.status == 503]
    assert len(turned_away) == 8
    assert all(reply.headers["x-envoy-overloaded"] == "true" for reply in turned_away)
    assert {reply.headers["x-flags"] for reply in turned_away} == {"UO"}
    assert narrow.count() == before + 2


def test_round_robin_gives_everyone_the_same_number_of_turns(shared: Mesh, client: Sidecar) -> None:
    instances = [shared.instance("turns", f"turns-{number}") for number in (1, 2, 3)]
    client.wait_served_by("turns", *instances)
    before = [each.count() for each in instances]
    client.shares("turns", 300, connections=1)
    assert [each.count() - was for each, was in zip(instances, before, strict=True)] == [100, 100, 100]
