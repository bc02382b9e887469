"""The plan for a proxy, in the three parts that are shared differently: outbound by all alike, upstreams, inbound.

The entry point of planning, called by `pilot.generate`; pure. Each part is a Plan; what a proxy is told is their union.
"""

from __future__ import annotations

import attrs

from pilot import ir
from pilot.model.proxy import Inbound, OutboundView, ProxyView, Upstream
from pilot.model.service import Protocol, Service, ServiceKey
from pilot.plan.clusters import inbound_cluster, outbound_clusters, resolved_by_proxy
from pilot.plan.endpoints import load_assignments, needs_dns
from pilot.plan.index import Index
from pilot.plan.listeners import inbound_listener, outbound_listener, upstream_listener
from pilot.plan.routes import Client
from pilot.plan.virtual_hosts import outbound_routes, service_routes


def reduce_view(index: Index, view: ProxyView) -> ProxyView:
    """The view without the labels that no rule asks for, so that more proxies are equal."""
    kept = tuple((key, value) for key, value in view.outbound.labels if key in index.source_labels)
    return attrs.evolve(view, outbound=attrs.evolve(view.outbound, labels=kept))


def plan_outbound(index: Index, view: OutboundView) -> ir.Plan:
    """Clusters and endpoints of every service, and the listener and routes by host."""
    client = Client(index, view)
    clusters: list[ir.Cluster] = []
    endpoints: list[ir.LoadAssignment] = []
    for service in index.hosts.visible(view.namespace):
        rules = index.destination_rules.matching(service, view.namespace)
        planned, assignments = outbound_clusters(service, rules), load_assignments(service, rules)
        if needs_dns(service):
            clusters += (resolved_by_proxy(*pair) for pair in zip(planned, assignments, strict=True))
        else:
            clusters += planned
            endpoints += assignments
    return ir.Plan(tuple(clusters), tuple(endpoints), (outbound_listener(view),), (outbound_routes(client),))


def plan_endpoints(index: Index, view: OutboundView, key: ServiceKey) -> tuple[ir.LoadAssignment, ...]:
    """Of one service only: all that a change of its endpoints can change for this view."""
    service = index.hosts.find(key.host, view.namespace)
    if service is None:
        return ()
    return load_assignments(service, index.destination_rules.matching(service, view.namespace))


def plan_upstreams(index: Index, view: OutboundView, upstreams: tuple[Upstream, ...]) -> ir.Plan:
    """A listener for each, and the routes of those that may carry HTTP."""
    client = Client(index, view)
    listeners, routes = [], {}
    for upstream in upstreams:
        service = index.hosts.find(upstream.host, view.namespace)
        port = service.port(upstream.port) if service else None
        listeners.append(upstream_listener(client, upstream, service, port))
        if service and port and (port.protocol.is_http or port.protocol is Protocol.UNSPECIFIED):
            found = service_routes(client, service, port)
            routes[found.name] = found
    return ir.Plan(listeners=tuple(listeners), routes=tuple(routes.values()))


def plan_inbound(index: Index, namespace: str, inbound: tuple[Inbound, ...]) -> ir.Plan:
    """A listener and a cluster for each local port; the protocol is the one said, else the service's."""
    clusters, listeners = {}, []
    for each in inbound:
        protocol = _protocol(index, namespace, each)
        cluster = inbound_cluster(each, protocol)
        clusters[cluster.name] = cluster
        listeners.append(inbound_listener(each, protocol))
    return ir.Plan(clusters=tuple(clusters.values()), listeners=tuple(listeners))


def _protocol(index: Index, namespace: str, inbound: Inbound) -> Protocol:
    if inbound.protocol is not Protocol.UNSPECIFIED or not inbound.service:
        return inbound.protocol
    service = index.hosts.find(inbound.service, namespace)
    return _single_protocol(service) if service else Protocol.UNSPECIFIED


def _single_protocol(service: Service) -> Protocol:
    """What all ports of the service agree on; where they differ, the bytes decide."""
    protocols = {port.protocol for port in service.ports}
    return protocols.pop() if len(protocols) == 1 else Protocol.UNSPECIFIED
