"""Decides the virtual hosts of a router: what virtual services make of requests for the hosts of a server. Pure.

A host is served where a server and a virtual service for its Gateway both name it; all others are 404. Several virtual
services of one host are taken one after the other, as Istio does. A server may send all its hosts to HTTPS instead.
"""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from pilot import ir
from pilot.model.service import Protocol
from pilot.plan.gateways import Family, GatewayPort, GatewayServer
from pilot.plan.routes import http_routes

BLACKHOLE = ir.VirtualHost("blackhole:80", ("*",), ())


def gateway_routes(port: GatewayPort) -> tuple[ir.RouteConfiguration, ...]:
    """Of a port for HTTP the one that its servers share; of one for TLS those of each server that speaks HTTPS."""
    if port.family is Family.HTTP:
        return (_routes(http_route_name(port.servers[0]), port.servers),)
    ends_tls = (each for each in port.servers if speaks_https(each))
    return tuple(_routes(https_route_name(server), (server,)) for server in ends_tls)


def speaks_https(server: GatewayServer) -> bool:
    """Whether requests can be seen: HTTPS, ended here."""
    return server.protocol is Protocol.HTTPS and not server.passes_tls_on


def http_route_name(server: GatewayServer) -> str:
    """`http.80`, with an address where it listens on one."""
    return ".".join(filter(None, ("http", str(server.port.number), server.spec.bind)))


def https_route_name(server: GatewayServer) -> str:
    """`https.443.PORT.GATEWAY.NAMESPACE`, with an address where it listens on one."""
    gateway = server.gateway
    parts = ("https", str(server.port.number), server.port.name, gateway.name, gateway.namespace, server.spec.bind)
    return ".".join(filter(None, parts))


@attrs.define
class _Host:
    routes: tuple[ir.Route, ...] = ()
    require_tls: bool = False

    def add(self, routes: tuple[ir.Route, ...]) -> None:
        """Behind those of the virtual services before, unless these take everything."""
        if not self.routes or self.routes[-1].match != ir.RouteMatch():
            self.routes += routes


def _routes(name: str, servers: Iterable[GatewayServer]) -> ir.RouteConfiguration:
    hosts: dict[str, _Host] = {}
    number = 0
    for server in servers:
        number = server.port.number
        redirected = set(server.hosts) if server.redirects_to_https else set()
        for rule in server.rules:
            routes = http_routes(server.client, rule, number)
            for host in server.shared_hosts(rule) if routes else ():
                hosts.setdefault(host, _Host()).add(routes)
                redirected |= {host} if redirected else set()
        for host in sorted(redirected):
            hosts.setdefault(host, _Host()).require_tls = True
    found = (
        ir.VirtualHost(f"{host}:{number}", (host,), each.routes, require_tls=each.require_tls)
        for host, each in sorted(hosts.items())
    )
    return ir.RouteConfiguration(name, tuple(found) or (BLACKHOLE,), ignore_port=True)
