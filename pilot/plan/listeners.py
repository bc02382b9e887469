"""Decides listeners: the explicit outbound one, one per upstream, one per local port taken in. Pure."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from galley.kinds.destination_rule import TCPSettings
from pilot import ir
from pilot.model.proxy import INBOUND_PORT, Inbound, OutboundView, Upstream
from pilot.model.security import PERMISSIVE, Identity, Security
from pilot.model.service import Port, Protocol, Resolution, Service
from pilot.plan import names
from pilot.plan.client import Client
from pilot.plan.connections import with_connection_policies
from pilot.plan.inbound_tls import by_mode
from pilot.plan.l4_routes import L4Route, connection_routes

OUTBOUND = "virtualOutbound"
INBOUND = "virtualInbound"
DETECTED_HTTP = ("http/1.0", "http/1.1", "h2c")


def outbound_listener(view: OutboundView, services: Iterable[Service] = ()) -> ir.Listener:
    """HTTP by host, explicitly addressed by the workload; to `services`, and to others where the scope lets them."""
    scope = view.scope
    http = manager("outbound", str(view.port), services)
    if scope.forward_unknown and not scope.egress_proxy:
        http = attrs.evolve(http, dynamic_forward_proxy=True)
    return ir.Listener(OUTBOUND, view.address, view.port, ir.Direction.OUTBOUND, (ir.FilterChain(http),))


def manager(stat_prefix: str, route_name: str, services: Iterable[Service]) -> ir.HttpConnectionManager:
    """HTTP on the way out, with the filters that some of the services need."""
    found = tuple(services)
    return ir.HttpConnectionManager(
        stat_prefix=stat_prefix,
        route_name=route_name,
        routes_may_fault=True,
        routes_may_cors=True,
        dynamic_forward_proxy=any(each.resolution is Resolution.BY_REQUEST for each in found),
        grpc_web=any(port.protocol is Protocol.GRPC_WEB for each in found for port in each.ports),
    )


def listener_name(address: str, port: int) -> str:
    """Of a listener on the way out that is not for all hosts."""
    return f"{address}_{port}"


def upstream_listener(client: Client, upstream: Upstream, service: Service | None, port: Port | None) -> ir.Listener:
    """One service on a port of its own: HTTP by its routes, else TCP; a port that says nothing is looked into."""
    host = service.host if service else upstream.host
    stat = names.outbound_cluster(host, upstream.port)
    http = manager(stat, names.host_route(host, upstream.port), (service,) if service else ())
    routes = connection_routes(client, service, host, upstream.port)
    tcp = ir.TcpProxy(stat, routes[-1].clusters)
    chains = with_connection_policies(client, _chains(port.protocol if port else Protocol.TCP, http, tcp, routes))
    return ir.Listener(
        name=listener_name(upstream.bind_address, upstream.bind_port),
        address=upstream.bind_address,
        port=upstream.bind_port,
        direction=ir.Direction.OUTBOUND,
        chains=chains,
        http_inspector=any(chain.application_protocols for chain in chains),
        tls_inspector=any(chain.transport_protocol for chain in chains),
    )


def inbound_listener(
    inbound: Inbound,
    protocol: Protocol,
    security: Security = PERMISSIVE,
    identity: Identity | None = None,
) -> ir.Listener:
    """What peers send, handed to the workload; routes inline, since they depend on nothing else."""
    cluster = names.inbound_cluster(inbound.name_port)
    route = ir.Route(
        "default", ir.RouteMatch(), ir.Forward((ir.WeightedCluster(cluster, 100),)), origin=inbound.service
    )
    host = ir.VirtualHost(f"inbound|http|{inbound.name_port}", ("*",), (route,))
    http = ir.HttpConnectionManager(
        stat_prefix=f"inbound_{inbound.name_port}",
        routes=ir.RouteConfiguration(cluster, (host,)),
        use_remote_address=False,
        grpc_web=protocol is Protocol.GRPC_WEB,
    )
    pool = (inbound.pool.tcp if inbound.pool else None) or TCPSettings()
    tcp = ir.TcpProxy(
        cluster,
        (ir.WeightedCluster(cluster, 100),),
        idle_timeout=pool.idle_timeout,
        max_connection_duration=pool.max_connection_duration,
    )
    chains = _chains(protocol, http, tcp)
    listener = ir.Listener(
        name=INBOUND if inbound.listen == INBOUND_PORT else f"{INBOUND}_{inbound.listen}",
        address=inbound.address,
        port=inbound.listen,
        direction=ir.Direction.INBOUND,
        chains=chains,
        http_inspector=len(chains) > 1,
    )
    return by_mode(listener, security.mode_of(inbound.name_port), identity, tcp)


def _chains(
    protocol: Protocol, http: ir.HttpConnectionManager, tcp: ir.TcpProxy, routes: tuple[L4Route, ...] = ()
) -> tuple[ir.FilterChain, ...]:
    """HTTP for a port that says so; what is not looked into by `routes`, all as `tcp` says where there are none.

    For a port that names no protocol, HTTP where the first bytes look like it, else the same.
    """
    if protocol.is_http:
        return (ir.FilterChain(http),)
    routes = routes or (L4Route(tcp.clusters),)
    if len(routes) == 1 and routes[0].takes_all:
        found = [_opaque_chain(tcp, routes[0], "tcp" if protocol is Protocol.UNSPECIFIED else "")]
    else:
        found = [_opaque_chain(tcp, route, f"tcp_{index}") for index, route in enumerate(routes)]
    if protocol is Protocol.UNSPECIFIED:
        found = [*(_detected(http, chain) for chain in found), *found]
    return tuple(found)


def _detected(http: ir.HttpConnectionManager, beside: ir.FilterChain) -> ir.FilterChain:
    """What is HTTP by its first bytes, of the connections that would go to the other chain."""
    name = beside.name.replace("tcp", "http")
    return attrs.evolve(beside, filter=http, name=name, application_protocols=DETECTED_HTTP)


def _opaque_chain(tcp: ir.TcpProxy, route: L4Route, name: str) -> ir.FilterChain:
    return ir.FilterChain(
        attrs.evolve(tcp, clusters=route.clusters),
        name=name,
        transport_protocol="tls" if route.tls else "",
        server_names=route.server_names,
        destinations=route.destinations,
    )
