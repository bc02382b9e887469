"""Decides load assignments: which endpoints of a service a cluster has, and what each may take. Pure.

Unhealthy endpoints stay in the assignment, marked, so that Envoy can fall back on them where a panic threshold asks
for it, and so that a flapping check moves traffic without opening connections anew. One with weight 0 is draining.
"""

from __future__ import annotations

import functools
import ipaddress
from collections import defaultdict
from collections.abc import Sequence

from pilot import ir
from pilot.model.service import Endpoint, Health, Labels, Locality, Port, Service, has_labels
from pilot.plan import names
from pilot.plan.policy import Rule, subsets

MAX_WEIGHT = 2**32 - 1
_RANK = {Health.HEALTHY: 0, Health.DRAINING: 1, Health.UNHEALTHY: 2}


def load_assignments(service: Service, rules: Sequence[Rule]) -> tuple[ir.LoadAssignment, ...]:
    """One per cluster that `outbound_clusters` makes of the same service and rules, in the same order."""
    found = []
    for port in service.distinct_ports:
        found.append(_assignment(service, port, "", ()))
        found.extend(_assignment(service, port, subset.name, subset.labels) for subset, _ in subsets(rules))
    return tuple(found)


@functools.lru_cache(maxsize=65536)
def is_address(text: str) -> bool:
    """Whether `text` is an IP address, the only thing Envoy takes by EDS."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def needs_dns(service: Service) -> bool:
    """Whether some endpoint is a name: such a service is resolved by the proxies themselves."""
    return not all(is_address(endpoint.address) for endpoint in service.endpoints)


def _assignment(service: Service, port: Port, subset: str, wanted: Labels) -> ir.LoadAssignment:
    by_locality: defaultdict[Locality, list[ir.LbEndpoint]] = defaultdict(list)
    for endpoint, number in _chosen(service, port, wanted):
        by_locality[endpoint.locality].append(_endpoint(endpoint, number))
    localities = (
        ir.LocalityEndpoints(where.region, where.zone, where.subzone, tuple(members))
        for where, members in sorted(by_locality.items(), key=lambda item: str(item[0]))
    )
    return ir.LoadAssignment(names.outbound_cluster(service.host, port.number, subset), tuple(localities))


def _chosen(service: Service, port: Port, wanted: Labels) -> list[tuple[Endpoint, int]]:
    """Endpoints with the port and the labels, each address once (two platforms may tell of one), the healthier one."""
    found: dict[tuple[str, int], Endpoint] = {}
    for endpoint in service.endpoints:
        number = endpoint.port(port.name)
        if number is None or not has_labels(endpoint.labels, wanted):
            continue
        known = found.get((endpoint.address, number))
        if known is None or _RANK[endpoint.health] < _RANK[known.health]:
            found[endpoint.address, number] = endpoint
    return [(endpoint, number) for (_, number), endpoint in sorted(found.items(), key=lambda item: item[0])]


def _endpoint(endpoint: Endpoint, port: int) -> ir.LbEndpoint:
    health = Health.DRAINING if endpoint.weight == 0 and endpoint.health is Health.HEALTHY else endpoint.health
    weight = min(max(endpoint.weight, 1), MAX_WEIGHT)
    return ir.LbEndpoint(endpoint.address, port, weight, health.value)
