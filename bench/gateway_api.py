"""What 500 HTTPRoutes cost a router in a mesh of 1,000 services, and what one changed route costs after that.

From a document to the bytes for the router, in process as bench.plan_scale is. All hosts of a router's port are one
route configuration, so a change sends it whole.
"""

from __future__ import annotations

import datetime
import gc
import sys
import time
from collections.abc import Iterator

import yaml

from bench.figures import Figure, report
from galley.document import Document, Loaded
from galley.process import State, fold
from pilot.generate import Generator
from pilot.model.catalog import Catalog
from pilot.model.proxy import parse_proxy
from pilot.model.service import Endpoint, Port, Protocol, Service, ServiceKey
from pilot.model.snapshot import Snapshot

SERVICES, ROUTES, ROUNDS = 1000, 500, 10
COLD_S = 3.0
NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
LABELS = {"LABELS": {"gateway.networking.k8s.io/gateway-name": "edge"}}


def main() -> int:
    return report("gateway_api", tuple(_figures()))


def _figures() -> Iterator[Figure]:
    catalog = Catalog({each.key: each for each in map(_service, range(SERVICES))})
    state = fold(State(), _loaded("gateway", _GATEWAY), NOW)
    for number in range(ROUTES):
        state = fold(state, _route(number, 10), NOW)
    assert len(state.config().http_routes) == ROUTES, state.problems()[:1]
    view = parse_proxy("router~10.9.9.9~edge.default~service.consul", LABELS).view

    gc.collect()
    generator, began = Generator(), time.perf_counter()
    generator.update(Snapshot(catalog, state.config()))
    generator.resources(view)
    cold = time.perf_counter() - began
    yield Figure("a router, cold", cold, "s", COLD_S, f"{SERVICES} services, {ROUTES} HTTPRoutes of a host each")

    took = []
    for number in range(ROUNDS):
        event = _route(number, 20)
        gc.collect()
        began = time.perf_counter()
        state = fold(state, event, NOW)
        generator.update(Snapshot(catalog, state.config()))
        generator.resources(view)
        took.append((time.perf_counter() - began) * 1000)
    every = ", ".join(f"{each:.0f}" for each in took)
    yield Figure("one HTTPRoute changed, to bytes", max(took), "ms", None, f"the most of: {every}")


def _service(number: int) -> Service:
    name = f"svc-{number:04}"
    endpoint = Endpoint(f"10.0.{number // 250}.{number % 250}", (("http", 8080),), name)
    return Service(ServiceKey("default", f"{name}.service.consul"), (Port("http", 80, Protocol.HTTP),), (endpoint,))


def _route(number: int, weight: int) -> Loaded:
    return _loaded(f"{number}", _ROUTE.format(number=number, weight=weight, name=f"svc-{number:04}"))


def _loaded(unit: str, text: str) -> Loaded:
    return Loaded(f"routes/{unit}.yaml", (Document(f"routes/{unit}.yaml", yaml.safe_load(text), {}),))


_GATEWAY = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec: {gatewayClassName: istio, listeners: [{name: http, port: 80, protocol: HTTP}]}
"""
_ROUTE = """
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: route-{number}}}
spec:
  parentRefs: [{{name: edge}}]
  hostnames: [host-{number}.example]
  rules:
  - matches: [{{path: {{value: /api}}, headers: [{{name: x-user, value: jason}}]}}]
    backendRefs: [{{name: {name}, port: 80}}]
  - backendRefs: [{{name: {name}, port: 80, weight: {weight}}}, {{name: svc-0999, port: 80, weight: 80}}]
    timeouts: {{request: 5s}}
"""


if __name__ == "__main__":
    sys.exit(main())
