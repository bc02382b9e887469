"""Decides load assignments: which endpoints of a service a cluster has, and what each may take. Pure.

Unhealthy endpoints stay in the assignment, marked, so that Envoy can fall back on them where a panic threshold asks
for it, and so that a flapping check moves traffic without opening connections anew. One with weight 0 is draining.
"""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Sequence

from galley.kinds.destination_rule import Subset
from pilot import ir
from pilot.model.proxy import OutboundView
from pilot.model.service import Endpoint, Health, Labels, Port, Resolution, Service, has_labels
from pilot.plan import names
from pilot.plan.locality import by_locality, distributed, rank, shares
from pilot.plan.mesh_tls import is_istio_mutual, takes_mesh_tls
from pilot.plan.networks import through_gateways
from pilot.plan.peers import NOTHING_SAID, Peers
from pilot.plan.policy import Policy, Rule, policy, subsets

UNIX = "unix://"
MAX_WEIGHT = 2**32 - 1
_RANK = {Health.HEALTHY: 0, Health.DRAINING: 1, Health.UNHEALTHY: 2}


def load_assignments(
    service: Service, rules: Sequence[Rule], view: OutboundView, peers: Peers = NOTHING_SAID
) -> tuple[ir.LoadAssignment, ...]:
    """One per cluster that `outbound_clusters` makes of the same arguments, in the same order."""
    found = []
    for port in service.distinct_ports:
        found.append(_assignment(service, port, None, policy(rules, port.number), view, peers))
        for subset, _ in subsets(rules):
            found.append(_assignment(service, port, subset, policy(rules, port.number, subset), view, peers))
    return tuple(found)


@functools.lru_cache(maxsize=65536)
def is_address(text: str) -> bool:
    """Whether `text` is an IP address or a Unix domain socket, the only things Envoy takes by EDS."""
    if text.startswith(UNIX):
        return True
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def needs_dns(service: Service) -> bool:
    """Whether an endpoint is a name, or the service is to be looked up: the proxies themselves resolve it then."""
    if service.resolution is not Resolution.ENDPOINTS:
        return True
    return not all(is_address(endpoint.address) for endpoint in service.endpoints)


def _assignment(
    service: Service, port: Port, subset: Subset | None, rule: Policy, view: OutboundView, peers: Peers
) -> ir.LoadAssignment:
    name = names.outbound_cluster(service.host, port.number, subset.name if subset else "")
    if view.identity is None and is_istio_mutual(rule.tls):
        return ir.LoadAssignment(name)  # Nobody, rather than anybody in plain text.
    chosen = through_gateways(_chosen(service, port, subset.labels if subset else ()), port.protocol, view.network)

    def printed(endpoint: Endpoint, number: int) -> ir.LbEndpoint:
        mesh_tls = view.identity is not None and takes_mesh_tls(endpoint, number, service, peers)
        return _endpoint(endpoint, number, mesh_tls)

    found = by_locality(((endpoint, printed(endpoint, number)) for endpoint, number in chosen), rank(rule, view))
    percent = shares(rule, view.locality)
    return ir.LoadAssignment(name, found if percent is None else distributed(found, percent))


def _chosen(service: Service, port: Port, wanted: Labels) -> list[tuple[Endpoint, int]]:
    """Endpoints with the port and the labels, each address once (two platforms may tell of one), the healthier one."""
    found: dict[tuple[str, int], Endpoint] = {}
    for endpoint in service.endpoints:
        number = endpoint.port(port.name)
        if number is None or not has_labels(endpoint.labels, wanted):
            continue
        known = found.get((endpoint.address, number))
        if known is None or _preference(endpoint) < _preference(known):
            found[endpoint.address, number] = endpoint
    return [(endpoint, number) for (_, number), endpoint in sorted(found.items(), key=lambda item: item[0])]


def _preference(endpoint: Endpoint) -> tuple[int, int]:
    return _RANK[endpoint.health], endpoint.priority


def _endpoint(endpoint: Endpoint, port: int, mesh_tls: bool) -> ir.LbEndpoint:
    health = Health.DRAINING if endpoint.weight == 0 and endpoint.health is Health.HEALTHY else endpoint.health
    weight = min(max(endpoint.weight, 1), MAX_WEIGHT)
    return ir.LbEndpoint(endpoint.address, port, weight, health.value, mesh_tls)
