"""Decides the virtual hosts of the explicit outbound listener: which host names lead to which service. Pure.

A host may be said whole, with its port, or short (`web`, `web.default`), as a resolver with search domains would allow.
Envoy refuses a configuration in which two virtual hosts claim one domain, whatever the letter case, and one without
any: whole names go first, then short names in the client's own namespace, then the others; the first to claim a name
has it, and who comes away with none is left out.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence

import attrs

from galley.config import ConfigObject
from galley.kinds.virtual_service import VirtualService
from pilot import ir
from pilot.model.service import Port, Protocol, Service
from pilot.plan import names
from pilot.plan.client import Client
from pilot.plan.reach import services as services_in
from pilot.plan.reach import takes_host
from pilot.plan.routes import default_routes, http_routes

HTTP_PORT = 80
UNKNOWN_HOST = ir.VirtualHost(
    "block_all",
    ("*",),
    (
        ir.Route(
            "block_all",
            ir.RouteMatch(),
            ir.DirectResponse(502, "no service of the mesh goes by the host of this request\n"),
        ),
    ),
)
"""What no platform knows is refused, as Istio's BlackHole does: an explicit proxy has no original destination."""


def outbound_routes(client: Client) -> ir.RouteConfiguration:
    """The routes of the outbound listener, named by its port as Istio names them."""
    view = client.view
    in_scope = services_in(client.index, view, view.scope.hosts)
    strangers = [
        (host, rule)
        for host, rule in client.index.hosts_without_service(view.namespace)
        if rule.spec.http and takes_host(view.scope.hosts, rule.namespace, host)
    ]
    return _by_host(client, str(view.port), in_scope, strangers)


def egress_routes(client: Client, name: str, port: int, services: Iterable[Service]) -> ir.RouteConfiguration:
    """The routes of a listener for some hosts on one port: that port of the services that have it, by host."""
    narrowed = (attrs.evolve(each, ports=tuple(p for p in each.ports if p.number == port)) for each in services)
    return _by_host(client, name, tuple(narrowed), ())


def _by_host(
    client: Client,
    name: str,
    members: tuple[Service, ...],
    strangers: Sequence[tuple[str, ConfigObject[VirtualService]]],
) -> ir.RouteConfiguration:
    served = _served(client, members, tuple(host for host, _ in strangers))
    found = [_virtual_host(client, service, port, claimed) for service, port, claimed in served.services if claimed]
    found += (
        _without_service(client, host, rule, claimed)
        for (host, rule), claimed in zip(strangers, served.strangers, strict=True)
        if claimed
    )
    unknown = _unknown_host(client)
    return ir.RouteConfiguration(name, (*sorted(found, key=lambda each: each.name), unknown))


@attrs.frozen(eq=False)
class _AllServed:
    """Each port of each service, and each further host, with the domains that it has; perhaps none."""

    services: tuple[tuple[Service, Port, tuple[str, ...]], ...]
    strangers: tuple[tuple[str, ...], ...]


def _served(client: Client, members: tuple[Service, ...], strangers: tuple[str, ...]) -> _AllServed:
    """Kept by the identity of the services, which stay the same tuple while none changes."""

    def make() -> tuple[tuple[Service, ...], _AllServed]:
        return members, _share_out(client.view.namespace, members, strangers)

    return client.index.services_memo.get((id(members), strangers, client.view.namespace), make)[1]


def _share_out(namespace: str, members: tuple[Service, ...], strangers: tuple[str, ...]) -> _AllServed:
    served = [_Served(service, ports) for service in members if (ports := http_ports(service))]
    domains = _Domains()
    for each in served:
        domains.claim(each, each.service.host)
    for each in served:
        for alias in each.service.aliases:
            domains.claim(each, alias)
        for address in each.service.addresses:
            domains.claim(each, _written(address))
    for host in strangers:
        domains.claim_one(host, HTTP_PORT, (host, names.host_route(host, HTTP_PORT)))
    for each in sorted(served, key=lambda each: (each.service.namespace != namespace, each.service.key)):
        for host in () if each.service.configured else each.service.hosts:
            for short in _short_names(host):
                domains.claim(each, short)
    return _AllServed(
        tuple(
            (each.service, port, domains.of(each.service.host, port.number)) for each in served for port in each.ports
        ),
        tuple(domains.of(host, HTTP_PORT) for host in strangers),
    )


def _unknown_host(client: Client) -> ir.VirtualHost:
    """What becomes of requests for hosts that have no virtual host; sent on without retries, as nothing is known."""
    scope = client.view.scope
    if not scope.forward_unknown:
        return UNKNOWN_HOST
    cluster = scope.egress_proxy or names.PASSTHROUGH
    action = ir.Forward((ir.WeightedCluster(cluster, 100),))
    return ir.VirtualHost("allow_any", ("*",), (ir.Route("allow_any", ir.RouteMatch(), action),))


def service_routes(client: Client, service: Service, port: Port) -> ir.RouteConfiguration:
    """The routes of a listener of its own for one port of one service: whatever host the client says."""
    name = names.host_route(service.host, port.number)
    return ir.RouteConfiguration(name, (_virtual_host(client, service, port, ("*",)),))


def http_ports(service: Service) -> tuple[Port, ...]:
    """Ports that may be spoken HTTP to; an unspecified protocol is, since this listener speaks nothing else."""
    return tuple(
        port for port in service.distinct_ports if port.protocol.is_http or port.protocol is Protocol.UNSPECIFIED
    )


def _virtual_host(client: Client, service: Service, port: Port, domains: tuple[str, ...]) -> ir.VirtualHost:
    rule = client.index.virtual_service(service, client.view.namespace)
    if rule and (rule.spec.http or not (rule.spec.tls or rule.spec.tcp)):
        # None are left where all were delegated to what is missing: nothing is routed then, rather than everything.
        routes = http_routes(client, rule, port.number)
    else:
        routes = default_routes(client, service.host, port.number)
    return ir.VirtualHost(names.host_route(service.host, port.number), domains, routes)


def _without_service(
    client: Client, host: str, rule: ConfigObject[VirtualService], domains: tuple[str, ...]
) -> ir.VirtualHost:
    return ir.VirtualHost(names.host_route(host, HTTP_PORT), domains, http_routes(client, rule, HTTP_PORT))


@attrs.frozen(eq=False)
class _Served:
    """A service, and its ports that may be spoken HTTP to: at least one."""

    service: Service
    ports: tuple[Port, ...]

    @functools.cached_property
    def default(self) -> Port:
        """The port of a request that names none: 80 if there is one, else the lowest."""
        lowest = min(self.ports, key=lambda port: port.number)
        return next((port for port in self.ports if port.number == HTTP_PORT), lowest)


@attrs.define
class _Domains:
    """Who has which domain, by host and port; none is given twice."""

    _taken: set[str] = attrs.field(factory=set)
    _found: dict[tuple[str, int], list[str]] = attrs.field(factory=dict)

    def claim(self, served: _Served, name: str) -> None:
        """`name` for the service's default port, `name:port` for each."""
        for port in served.ports:
            with_port = names.host_route(name, port.number)
            domains = (name, with_port) if port is served.default else (with_port,)
            self.claim_one(served.service.host, port.number, domains)

    def claim_one(self, host: str, port: int, domains: Iterable[str]) -> None:
        mine = self._found.setdefault((host, port), [])
        for domain in domains:
            if domain.lower() not in self._taken:
                self._taken.add(domain.lower())
                mine.append(domain)

    def of(self, host: str, port: int) -> tuple[str, ...]:
        return tuple(self._found[host, port])


def _written(address: str) -> str:
    """An address as a URL has it: one of IPv6 in brackets."""
    return f"[{address}]" if ":" in address else address


def _short_names(host: str) -> Iterator[str]:
    """`a.b.c` → `a.b`, `a`: every name that a search domain could complete."""
    parts = host.split(".")
    return (".".join(parts[:count]) for count in range(len(parts) - 1, 0, -1))
