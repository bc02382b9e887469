"""What a new view costs in a mesh of 1,000 services with 500 VirtualServices and 500 DestinationRules, and what one
changed VirtualService costs after that, from its document to the bytes for a proxy, and how many of those are sent.

In process, since the figures are about planning and encoding alone; the streams have bench.xds.
"""

from __future__ import annotations

import datetime
import gc
import statistics
import sys
import time
from collections.abc import Iterator

import yaml

from bench.figures import Figure, report
from galley.document import Document, Loaded
from galley.process import State, fold
from pilot.generate import Generator
from pilot.model.catalog import Catalog
from pilot.model.proxy import ProxyView, parse_proxy
from pilot.model.service import Endpoint, Locality, Port, Protocol, Service, ServiceKey, labels
from pilot.model.snapshot import Snapshot
from pilot.xds.resource import ORDER, Resources

SERVICES, RULES, ENDPOINTS, ROUNDS = 1000, 500, 4, 15
COLD_S, CHANGE_MS = 3.0, 50.0
NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def main() -> int:
    return report("plan_scale", tuple(_figures()))


def _figures() -> Iterator[Figure]:
    setting = f"{SERVICES} services of {ENDPOINTS} endpoints, {RULES} VirtualServices, {RULES} DestinationRules"
    catalog = Catalog({each.key: each for each in map(_service, range(SERVICES))})
    state = State()
    for number in range(RULES):
        state = fold(state, _rules(number, 10), NOW)
    assert len(state.config().virtual_services) == RULES, state.problems()[:1]
    view = parse_proxy("sidecar~10.9.9.9~client.default~service.consul", {}, Locality()).view

    colds = []
    for _ in range(3):
        gc.collect()
        generator, began = Generator(), time.perf_counter()
        generator.update(Snapshot(catalog, state.config()))
        told = generator.resources(view)
        colds.append(time.perf_counter() - began)
    size = sum(len(each.body) for set_ in told.values() for each in set_.resources.values())
    count = sum(len(set_.resources) for set_ in told.values())
    yield Figure("a new view, cold", max(colds), "s", COLD_S, f"{setting}; {count} resources, {size / 1e6:.1f} MB")
    yield from _changes(generator, catalog, state, view, told)


def _changes(
    generator: Generator, catalog: Catalog, state: State, view: ProxyView, told: Resources
) -> Iterator[Figure]:
    """One VirtualService after the other gets other weights."""
    took, busy, sent, octets = [], [], [], []
    for number in range(ROUNDS):
        event = _rules(number, 20)
        gc.collect()
        began, worked = time.perf_counter(), time.process_time()
        state = fold(state, event, NOW)
        generator.update(Snapshot(catalog, state.config()))
        now = generator.resources(view)
        took.append((time.perf_counter() - began) * 1000)
        busy.append((time.process_time() - worked) * 1000)
        changed = [each for type_url in ORDER for each in _changed(told, now, type_url)]
        sent.append(len(changed))
        octets.append(sum(map(len, changed)))
        told = now
    every = ", ".join(f"{each:.0f}" for each in took)
    yield Figure("one VirtualService changed, to bytes", max(took), "ms", CHANGE_MS, f"the most of: {every}")
    yield Figure("processor for one VirtualService changed", statistics.median(busy), "ms", note="median of the same")
    yield Figure("resources sent for it by delta", max(sent), "resources", 1, "the most in a round")
    yield Figure("bytes sent for it by delta", statistics.median(octets) / 1000, "kB")


def _changed(before: Resources, after: Resources, type_url: str) -> list[bytes]:
    old = before[type_url].resources
    return [each.body for name, each in after[type_url].resources.items() if old.get(name) is not each]


def _service(number: int) -> Service:
    endpoints = tuple(
        Endpoint(
            f"10.{number // 250}.{number % 250}.{each + 1}",
            (("http", 8080),),
            f"{number}/{each}",
            labels=labels({"version": f"v{each % 2 + 1}"}),
        )
        for each in range(ENDPOINTS)
    )
    return Service(ServiceKey("default", _host(number)), (Port("http", 80, Protocol.HTTP),), endpoints)


def _host(number: int) -> str:
    return f"svc-{number:04}.service.consul"


def _rules(number: int, weight: int) -> Loaded:
    """The file of one service: a split between two subsets, and the rule that defines them."""
    text = _RULES.format(name=f"svc-{number:04}", host=_host(number), some=weight, rest=100 - weight)
    documents = tuple(Document(f"rules/{number}.yaml", body, {}) for body in yaml.safe_load_all(text))
    return Loaded(f"rules/{number}.yaml", documents)


_RULES = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {name}}}
spec:
  hosts: [{host}]
  http:
  - match: [{{uri: {{prefix: /api}}, headers: {{x-user: {{exact: jason}}}}}}]
    route: [{{destination: {{host: {host}, subset: v2}}}}]
  - route:
    - {{destination: {{host: {host}, subset: v1}}, weight: {rest}}}
    - {{destination: {{host: {host}, subset: v2}}, weight: {some}}}
    timeout: 5s
    retries: {{attempts: 3, perTryTimeout: 2s}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: {name}}}
spec:
  host: {host}
  trafficPolicy:
    connectionPool: {{tcp: {{maxConnections: 100}}, http: {{http1MaxPendingRequests: 50}}}}
    outlierDetection: {{consecutive5xxErrors: 5, interval: 10s}}
  subsets:
  - {{name: v1, labels: {{version: v1}}}}
  - {{name: v2, labels: {{version: v2}}}}
"""


if __name__ == "__main__":
    sys.exit(main())
