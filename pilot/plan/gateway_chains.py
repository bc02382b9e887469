"""Decides the listeners of a router: how each server of a port takes connections, and where it hands them on. Pure.

HTTP by routes; TLS by the server name that the client asks for, ended here or passed on as it is; others by the TCP
routes of the first virtual service that has any. A server that nothing leads on from has no chain, and a port without
any is not listened on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import attrs

from galley.hostnames import ANY_HOST, shared_hosts
from galley.kinds import gateway as kind
from pilot import ir
from pilot.model.service import Protocol
from pilot.plan.alt_names import alt_name
from pilot.plan.connections import with_connection_policies
from pilot.plan.credentials import server_cas, server_pairs
from pilot.plan.gateway_routes import http_route_name, https_route_name, speaks_https
from pilot.plan.gateways import Family, GatewayPort, GatewayServer
from pilot.plan.l4_routes import L4Route, tcp_routes, tls_routes
from pilot.plan.listeners import listener_name, manager

HTTP_ALPN = ("h2", "http/1.1")
TLS = "tls"
_VERSIONS = {
    kind.TLSProtocol.TLSV1_0: "TLSv1_0",
    kind.TLSProtocol.TLSV1_1: "TLSv1_1",
    kind.TLSProtocol.TLSV1_2: "TLSv1_2",
    kind.TLSProtocol.TLSV1_3: "TLSv1_3",
}


def gateway_listener(port: GatewayPort) -> ir.Listener | None:
    """The listener of the port; None where no chain would lead on from it."""
    chains = tuple(_distinct(_chains(port)))
    if not chains:
        return None
    return ir.Listener(
        name=listener_name(port.address, port.number),
        address=port.address,
        port=port.number,
        direction=ir.Direction.OUTBOUND,
        chains=chains,
        tls_inspector=port.family is Family.TLS,
        origin=str(port.servers[0].gateway),
    )


def _chains(port: GatewayPort) -> Iterator[ir.FilterChain]:
    first = port.servers[0]
    if port.family is Family.HTTP:
        yield ir.FilterChain(_manager(first, http_route_name(first)))
        return
    for server in port.servers:
        if speaks_https(server):
            name = https_route_name(server)
            yield _secured(server, ir.FilterChain(_manager(server, name), name=name))
        else:
            yield from with_connection_policies(server.client, _opaque_chains(server))


def _manager(server: GatewayServer, route: str) -> ir.HttpConnectionManager:
    """Clients are strangers here: what they say of who they are is not believed."""
    client = server.client
    found = manager(_stat(server), route, client.index.hosts.visible(client.view.namespace))
    return attrs.evolve(found, use_remote_address=True, grpc_web=server.protocol is Protocol.GRPC_WEB or found.grpc_web)


def _stat(server: GatewayServer) -> str:
    return server.spec.name or f"{server.gateway.namespace}.{server.gateway.name}.{server.port.name}"


def _opaque_chains(server: GatewayServer) -> Iterator[ir.FilterChain]:
    if server.family is Family.TLS and server.passes_tls_on:
        for rule in server.rules:
            hosts = server.hosts_for(rule.namespace)
            for route in tls_routes(server.client, rule, server.port.number):
                names = shared_hosts(hosts, route.server_names or (ANY_HOST,))
                if names:
                    yield attrs.evolve(_chain(server, route), server_names=_sni(names), transport_protocol=TLS)
        return
    tables = (tcp_routes(server.client, rule, server.port.number) for rule in server.rules)
    for route in next(filter(None, tables), ()):
        chain = _chain(server, route)
        yield _secured(server, chain) if server.family is Family.TLS else chain


def _chain(server: GatewayServer, route: L4Route) -> ir.FilterChain:
    return ir.FilterChain(ir.TcpProxy(_stat(server), route.clusters), destinations=route.destinations)


def _secured(server: GatewayServer, chain: ir.FilterChain) -> ir.FilterChain:
    """The chain behind the server's certificate, for clients that ask for one of its hosts."""
    http = isinstance(chain.filter, ir.HttpConnectionManager)
    settings = server.spec.tls or kind.ServerTLSSettings()
    return attrs.evolve(
        chain,
        server_names=_sni(server.hosts),
        transport_protocol=TLS,
        tls=server_tls(settings, HTTP_ALPN if http else ()),
    )


def _sni(hosts: Iterable[str]) -> tuple[str, ...]:
    """Any host is any name, or none."""
    names = tuple(hosts)
    return () if ANY_HOST in names else names


def server_tls(settings: kind.ServerTLSSettings, alpn: tuple[str, ...]) -> ir.ServerTls:
    """How TLS is ended. Certificates of clients count in the two mutual modes only."""
    required = settings.mode is kind.ServerTLSmode.MUTUAL
    asks = required or settings.mode is kind.ServerTLSmode.OPTIONAL_MUTUAL
    return ir.ServerTls(
        secrets=server_pairs(settings),
        ca=server_cas(settings),
        require_client_certificate=required,
        alt_names=tuple(map(alt_name, settings.subject_alt_names)) if asks else (),
        spki=settings.verify_certificate_spki if asks else (),
        hashes=settings.verify_certificate_hash if asks else (),
        min_version=_VERSIONS.get(settings.min_protocol_version, ""),
        max_version=_VERSIONS.get(settings.max_protocol_version, ""),
        cipher_suites=settings.cipher_suites,
        alpn=alpn,
    )


def _distinct(chains: Iterable[ir.FilterChain]) -> Iterator[ir.FilterChain]:
    """Each server name with the first that claims it: Envoy refuses a listener of which two chains take the same."""
    taken: set[tuple[str, str]] = set()
    for chain in chains:
        places = chain.destinations or ("",)
        names = [name for name in chain.server_names or ("",) if not any((where, name) in taken for where in places)]
        taken |= {(where, name) for where in places for name in names}
        if names:
            yield attrs.evolve(chain, server_names=tuple(filter(None, names)))
