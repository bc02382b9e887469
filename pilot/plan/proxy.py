"""The plan for a proxy, in the parts that are shared differently: outbound by all alike, upstreams, inbound, gateways.

The entry point of planning, called by `pilot.generate`; pure. Each part is a Plan; what a proxy is told is their union.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import attrs

from galley.kinds.gateway import ServerTLSSettings
from pilot import ir
from pilot.model.proxy import NOWHERE, Inbound, OutboundView, ProxyView, Upstream
from pilot.model.security import PERMISSIVE, Identity, Security
from pilot.model.service import Protocol, Service, ServiceKey
from pilot.plan import names
from pilot.plan.authorization import guarded
from pilot.plan.client import Client
from pilot.plan.clusters import inbound_cluster, outbound_clusters, passthrough_cluster
from pilot.plan.credentials import cluster_refs, server_secrets, told
from pilot.plan.egress import plan_egress
from pilot.plan.endpoints import load_assignments, needs_dns
from pilot.plan.gateway_chains import gateway_listener
from pilot.plan.gateway_routes import gateway_routes
from pilot.plan.gateways import Family, GatewayServer, gateway_ports, selected
from pilot.plan.index import Index
from pilot.plan.listeners import inbound_listener, outbound_listener, upstream_listener
from pilot.plan.mesh_tls import file_secrets
from pilot.plan.mixer import mixer_clusters, of_gateway, of_outbound, with_denials, with_mixer
from pilot.plan.patches import picked
from pilot.plan.reach import reachable, reachable_service, services
from pilot.plan.resolution import resolved
from pilot.plan.sidecar_scope import scoped
from pilot.plan.telemetry import CLIENT, SERVER, observed, telemetry_for
from pilot.plan.virtual_hosts import outbound_routes, service_routes


def reduce_view(index: Index, view: ProxyView) -> ProxyView:
    """The view without what no rule asks for, labels, place and version among it, so that more proxies are equal."""
    kept = tuple((key, value) for key, value in view.outbound.labels if key in index.source_labels)
    place = view.outbound.locality if index.asks_for_locality else NOWHERE
    view = attrs.evolve(view, gateways=selected(index, view.outbound)) if view.router else scoped(index, view)
    if view.inbound or view.router:
        view = attrs.evolve(view, security=_security(index, view))
    patches = picked(index, view)
    # A gRPC client brings its own credentials: what it is told has nothing to show.
    identity = None if view.proxyless else view.outbound.identity
    told_of = telemetry_for(index, view)
    outbound = attrs.evolve(view.outbound, labels=kept, locality=place, telemetry=told_of, identity=identity)
    return attrs.evolve(view, outbound=outbound, version="", metadata=(), patches=patches)


def _security(index: Index, view: ProxyView) -> Security:
    """For a view whose `gateways` are known."""
    namespace, labels = view.outbound.namespace, view.outbound.labels
    names = index.policies.names(namespace, labels, view.gateways)
    return attrs.evolve(index.peers.security(namespace, labels), authorization=names)


def plan_outbound(index: Index, view: OutboundView) -> ir.Plan:
    """Clusters and endpoints of every service, and the listener and routes by host."""
    client = Client(index, view)
    called = plan_services(index, view)
    egress = plan_egress(client)
    default = outbound_listener(view, services(index, view, view.scope.hosts))
    return attrs.evolve(
        called,
        listeners=observed(index, view, with_mixer((default, *egress.listeners), of_outbound(index, view)), CLIENT),
        routes=(outbound_routes(client), *egress.routes),
    )


def plan_services(index: Index, view: OutboundView) -> ir.Plan:
    """Clusters and endpoints of every service that the proxy may call; what it tells of its calls changes nothing."""
    view = attrs.evolve(view, telemetry=())
    found = reachable(index, view)

    def make() -> tuple[tuple[Service, ...], ir.Plan]:
        return found, _plan_services(index, view, found)

    # By the identity of the services: all that there are stay the same tuple while none of them changes.
    plan = index.routes_memo.get((id(found), view, index.peers), make)[1]
    secrets = told(index, view, cluster_refs(plan.clusters)) if view.secrets else ()
    return attrs.evolve(plan, secrets=(*plan.secrets, *secrets)) if secrets else plan


def _plan_services(index: Index, view: OutboundView, found: tuple[Service, ...]) -> ir.Plan:
    clusters: list[ir.Cluster] = []
    endpoints: list[ir.LoadAssignment] = []
    for service in found:
        planned = _plan_service(index, view, service)
        clusters += planned.clusters
        endpoints += planned.endpoints
    if view.scope.forward_unknown and not view.scope.egress_proxy:
        clusters.append(passthrough_cluster())
    return ir.Plan(clusters=tuple(clusters), endpoints=tuple(endpoints), secrets=file_secrets(view.identity))


def _plan_service(index: Index, view: OutboundView, service: Service) -> ir.Plan:
    """Kept by the identity of the service, since to compare its endpoints costs more than to plan them."""
    rules = index.destination_rules_for(service, view)

    def make() -> tuple[Service, ir.Plan]:
        clusters, endpoints = resolved(
            service,
            outbound_clusters(service, rules, view, index.peers),
            load_assignments(service, rules, view, index.peers),
        )
        return service, ir.Plan(clusters=tuple(clusters), endpoints=tuple(endpoints))

    # The service is kept too, so that no other can come by its identity meanwhile.
    return index.services_memo.get((id(service), rules, view, index.peers), make)[1]


def plan_gateways(
    index: Index, view: OutboundView, gateways: tuple[str, ...], security: Security = PERMISSIVE
) -> ir.Plan:
    """The listeners and routes of a router that these Gateways select."""
    ports = gateway_ports(index, view, gateways)
    listeners = (
        guarded(found, index.policies, security.authorization, port.number, index.peers)
        for port in ports
        if (found := gateway_listener(port))
    )
    return ir.Plan(
        listeners=observed(index, view, with_mixer(listeners, of_gateway(index, view)), CLIENT),
        routes=tuple(found for port in ports for found in gateway_routes(port)),
        secrets=server_secrets(index, view, _ended(server for port in ports for server in port.servers)),
    )


def _ended(servers: Iterable[GatewayServer]) -> Iterator[ServerTLSSettings]:
    """Settings of the servers that end TLS."""
    return (each.spec.tls for each in servers if each.spec.tls and each.family is Family.TLS and not each.passes_tls_on)


def plan_endpoints(index: Index, view: OutboundView, key: ServiceKey) -> tuple[ir.LoadAssignment, ...]:
    """Of one service only: all that a change of its endpoints can change for this view."""
    service = reachable_service(index, view, key.host)
    if service is None or needs_dns(service):
        return ()
    return load_assignments(service, index.destination_rules_for(service, view), view, index.peers)


def plan_upstreams(index: Index, view: OutboundView, upstreams: tuple[Upstream, ...]) -> ir.Plan:
    """A listener for each, and the routes of those that may carry HTTP."""
    client = Client(index, view)
    listeners: list[ir.Listener] = []
    routes = {}
    for upstream in upstreams:
        service = index.hosts.find(upstream.host, view.namespace)
        port = service.port(upstream.port) if service else None
        listener = upstream_listener(client, upstream, service, port)
        listeners += with_mixer((listener,), of_outbound(index, view, service))
        if service and port and (port.protocol.is_http or port.protocol is Protocol.UNSPECIFIED):
            found = service_routes(client, service, port)
            routes[found.name] = found
    return ir.Plan(listeners=observed(index, view, listeners, CLIENT), routes=tuple(routes.values()))


def plan_inbound(
    index: Index,
    namespace: str,
    inbound: tuple[Inbound, ...],
    telemetry: tuple[str, ...] = (),
    security: Security = PERMISSIVE,
    identity: Identity | None = None,
) -> ir.Plan:
    """A listener and a cluster for each local port; the protocol is the one said, else the service's."""
    clusters = {}
    listeners: list[ir.Listener] = []
    for each in inbound:
        protocol = _protocol(index, namespace, each)
        cluster = inbound_cluster(each, protocol)
        clusters[cluster.name] = cluster
        listener = inbound_listener(each, protocol, security, identity)
        listener = guarded(listener, index.policies, security.authorization, each.name_port, index.peers)
        listeners.append(with_denials(index, namespace, each, listener))
    view = OutboundView(namespace, telemetry=telemetry)
    return ir.Plan(clusters=tuple(clusters.values()), listeners=observed(index, view, listeners, SERVER))


def inbound_hosts(index: Index, namespace: str, inbound: tuple[Inbound, ...]) -> tuple[tuple[str, str], ...]:
    """The clusters of the local ports by name, each with the host of the service that it is of; sorted."""
    found = {
        names.inbound_cluster(each.name_port): index.hosts.full_name(each.service, namespace)
        for each in inbound
        if each.service
    }
    return tuple(sorted(found.items()))


def plan_mixer(index: Index) -> ir.Plan:
    """The way to Mixer, the same for all."""
    return ir.Plan(clusters=mixer_clusters(index))


def _protocol(index: Index, namespace: str, inbound: Inbound) -> Protocol:
    if inbound.protocol is not Protocol.UNSPECIFIED or not inbound.service:
        return inbound.protocol
    service = index.hosts.find(inbound.service, namespace)
    return _single_protocol(service) if service else Protocol.UNSPECIFIED


def _single_protocol(service: Service) -> Protocol:
    """What all ports of the service agree on; where they differ, the bytes decide."""
    protocols = {port.protocol for port in service.ports}
    return protocols.pop() if len(protocols) == 1 else Protocol.UNSPECIFIED
