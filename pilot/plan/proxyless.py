"""The plan for a gRPC client that is its own proxy: a listener for each target it may name, and what that leads to.

Called by `pilot.generate` for views that are `proxyless`; pure. A gRPC client asks for what it needs by name, so all is
planned and each stream takes its part. What gRPC knows is less than what Envoy knows, and it refuses some of the rest:
clusters are made anew of what it can carry out, routes are narrowed by `pilot.plan.proxyless_routes`. A cluster that it
could only reach without the TLS or the PROXY protocol that a rule asks for is left out, so that calls fail instead.
"""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from pilot import ir
from pilot.model.proxy import OutboundView
from pilot.model.service import Port, Service, ServiceKey
from pilot.plan import names
from pilot.plan.client import Client
from pilot.plan.clusters import outbound_clusters
from pilot.plan.endpoints import load_assignments, needs_dns
from pilot.plan.index import Index
from pilot.plan.proxyless_endpoints import balanced, only_endpoint
from pilot.plan.proxyless_routes import narrowed
from pilot.plan.reach import reachable, reachable_service, services
from pilot.plan.resolution import resolved
from pilot.plan.virtual_hosts import http_ports, service_routes

_HASHING = (ir.LoadBalancer.RING_HASH, ir.LoadBalancer.MAGLEV)
_DNS = (ir.Discovery.STRICT_DNS, ir.Discovery.LOGICAL_DNS)


def plan_proxyless(index: Index, view: OutboundView) -> ir.Plan:
    """All targets `host:port` in scope, and the clusters that their routes may lead to."""
    client = Client(index, view)
    pairs = [pair for service in reachable(index, view) for pair in _clusters(index, view, service)]
    targets = [(service, port) for service in services(index, view, view.scope.hosts) for port in http_ports(service)]
    return ir.Plan(
        clusters=tuple(cluster for cluster, _ in pairs),
        endpoints=tuple(assignment for _, assignment in pairs if assignment),
        api_listeners=tuple(_listener(service, host, port) for service, port in targets for host in service.hosts),
        routes=tuple(narrowed(service_routes(client, service, port)) for service, port in targets),
    )


def plan_proxyless_endpoints(index: Index, view: OutboundView, key: ServiceKey) -> tuple[ir.LoadAssignment, ...]:
    """Of one service only: all that a change of its endpoints can change for this view."""
    service = reachable_service(index, view, key.host)
    if service is None or needs_dns(service):
        return ()
    return tuple(assignment for _, assignment in _clusters(index, view, service) if assignment)


def _listener(service: Service, host: str, port: Port) -> ir.ApiListener:
    """Without the filters that gRPC does not have: it would refuse the whole listener."""
    target, route = names.host_route(host, port.number), names.host_route(service.host, port.number)
    http = ir.HttpConnectionManager(stat_prefix=target, route_name=route, upgrades=(), routes_may_fault=True)
    return ir.ApiListener(target, http)


def _clusters(
    index: Index, view: OutboundView, service: Service
) -> Iterator[tuple[ir.Cluster, ir.LoadAssignment | None]]:
    """Those of a service that gRPC can reach, each with its load assignment if it is told by EDS."""
    rules = index.destination_rules_for(service, view)
    planned, assignments = resolved(
        service,
        outbound_clusters(service, rules, view, index.peers),
        load_assignments(service, rules, view, index.peers),
    )
    told = {each.cluster: each for each in assignments}
    for cluster in planned:
        if cluster.tls or cluster.proxy_protocol:
            continue
        if cluster.discovery is ir.Discovery.EDS:
            yield _cluster(cluster), balanced(told[cluster.name], hashing=cluster.load_balancer in _HASHING)
        elif cluster.discovery in _DNS and cluster.endpoints and (single := only_endpoint(cluster.endpoints)):
            found = attrs.evolve(_cluster(cluster), discovery=ir.Discovery.LOGICAL_DNS, endpoints=single)
            yield found, None


def _cluster(cluster: ir.Cluster) -> ir.Cluster:
    """What gRPC can carry out of it: it takes turns or hashes on a ring, and bounds the calls under way."""
    hashing = cluster.load_balancer in _HASHING
    return ir.Cluster(
        name=cluster.name,
        discovery=cluster.discovery,
        load_balancer=ir.LoadBalancer.RING_HASH if hashing else ir.LoadBalancer.ROUND_ROBIN,
        minimum_ring_size=cluster.minimum_ring_size,
        circuit_breakers=ir.CircuitBreakers(max_requests=cluster.circuit_breakers.max_requests),
        origin=cluster.origin,
    )
