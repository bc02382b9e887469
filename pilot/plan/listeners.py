"""Decides listeners: the explicit outbound one, one per upstream, one per local port taken in. Pure."""

from __future__ import annotations

from datetime import timedelta

from pilot import ir
from pilot.model.proxy import INBOUND_PORT, Inbound, OutboundView, Upstream
from pilot.model.service import Port, Protocol, Service
from pilot.plan import names
from pilot.plan.policy import policy
from pilot.plan.routes import Client, tcp_clusters

OUTBOUND = "virtualOutbound"
INBOUND = "virtualInbound"
DETECTED_HTTP = ("http/1.0", "http/1.1", "h2c")


def outbound_listener(view: OutboundView) -> ir.Listener:
    """HTTP by host, explicitly addressed by the workload."""
    route = str(view.port)
    manager = ir.HttpConnectionManager(stat_prefix="outbound", route_name=route)
    return ir.Listener(OUTBOUND, view.address, view.port, ir.Direction.OUTBOUND, (ir.FilterChain(manager),))


def upstream_listener(client: Client, upstream: Upstream, service: Service | None, port: Port | None) -> ir.Listener:
    """One service on a port of its own: HTTP by its routes, else TCP; a port that says nothing is looked into."""
    host = service.host if service else upstream.host
    stat = names.outbound_cluster(host, upstream.port)
    http = ir.HttpConnectionManager(stat_prefix=stat, route_name=names.host_route(host, upstream.port))
    tcp = ir.TcpProxy(
        stat, _upstream_clusters(client, upstream, service, host), _tcp_idle_timeout(client, upstream, service)
    )
    chains = _chains(port.protocol if port else Protocol.TCP, http, tcp)
    return ir.Listener(
        name=f"{upstream.bind_address}_{upstream.bind_port}",
        address=upstream.bind_address,
        port=upstream.bind_port,
        direction=ir.Direction.OUTBOUND,
        chains=chains,
        http_inspector=len(chains) > 1,
    )


def inbound_listener(inbound: Inbound, protocol: Protocol) -> ir.Listener:
    """What peers send, handed to the workload; routes inline, since they depend on nothing else."""
    cluster = names.inbound_cluster(inbound.port)
    route = ir.Route(
        "default", ir.RouteMatch(), ir.Forward((ir.WeightedCluster(cluster, 100),)), origin=inbound.service
    )
    host = ir.VirtualHost(f"inbound|http|{inbound.port}", ("*",), (route,))
    http = ir.HttpConnectionManager(
        stat_prefix=f"inbound_{inbound.port}", routes=ir.RouteConfiguration(cluster, (host,)), use_remote_address=False
    )
    tcp = ir.TcpProxy(cluster, (ir.WeightedCluster(cluster, 100),))
    chains = _chains(protocol, http, tcp)
    return ir.Listener(
        name=INBOUND if inbound.listen == INBOUND_PORT else f"{INBOUND}_{inbound.listen}",
        address=inbound.address,
        port=inbound.listen,
        direction=ir.Direction.INBOUND,
        chains=chains,
        http_inspector=len(chains) > 1,
    )


def _chains(protocol: Protocol, http: ir.HttpConnectionManager, tcp: ir.TcpProxy) -> tuple[ir.FilterChain, ...]:
    """One chain for a named protocol; for none, HTTP where the first bytes look like it, else TCP."""
    if protocol.is_http:
        return (ir.FilterChain(http),)
    if protocol is Protocol.UNSPECIFIED:
        return (ir.FilterChain(http, name="http", application_protocols=DETECTED_HTTP), ir.FilterChain(tcp, name="tcp"))
    return (ir.FilterChain(tcp),)


def _upstream_clusters(
    client: Client, upstream: Upstream, service: Service | None, host: str
) -> tuple[ir.WeightedCluster, ...]:
    rule = client.index.virtual_service(service, client.view.namespace) if service else None
    split = tcp_clusters(client, rule, upstream.port) if rule else ()
    return split or (ir.WeightedCluster(names.outbound_cluster(host, upstream.port), 100),)


def _tcp_idle_timeout(client: Client, upstream: Upstream, service: Service | None) -> timedelta | None:
    """What the destination rule of the service says; Envoy's hour where none does."""
    if service is None:
        return None
    rules = client.index.destination_rules.matching(service, client.view.namespace)
    pool = policy(rules, upstream.port).connection_pool
    return pool.tcp.idle_timeout if pool and pool.tcp else None
