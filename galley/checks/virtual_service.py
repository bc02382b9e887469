"""What a VirtualService must hold beyond its types."""

from __future__ import annotations

from collections.abc import Iterator

from galley.checks.http_match import check_http_match
from galley.checks.http_route import check_direct_response, check_headers, check_retries, check_rewrite
from galley.checks.values import check_duration, check_export_to, check_host, check_port, check_port_selector
from galley.document import Path
from galley.finding import Finding
from galley.kinds.virtual_service import (
    Destination,
    HTTPRoute,
    HTTPRouteDestination,
    RouteDestination,
    TCPRoute,
    VirtualService,
)


def check_virtual_service(spec: VirtualService) -> Iterator[Finding]:
    """All findings of one VirtualService, paths starting at `spec`."""
    path: Path = ("spec",)
    yield from _hosts(spec.hosts, (*path, "hosts"))
    yield from _gateways(spec.gateways, (*path, "gateways"))
    yield from check_export_to(spec.export_to, (*path, "exportTo"))
    if not (spec.http or spec.tcp or spec.tls):
        yield Finding(path, "must have at least one of http, tcp and tls", "add a route")
    for index, route in enumerate(spec.http):
        yield from _http_route(route, (*path, "http", index))
    for index, tcp_route in enumerate(spec.tcp):
        yield from _tcp_route(tcp_route, (*path, "tcp", index))


def _hosts(hosts: tuple[str, ...], path: Path) -> Iterator[Finding]:
    if not hosts:
        yield Finding(path, "virtual service must have at least one host", "list the hosts whose traffic it routes")
    seen: set[str] = set()
    for index, host in enumerate(hosts):
        here = (*path, index)
        if host == "*":
            message = "wildcard host '*' is not allowed for virtual services bound to the mesh gateway"
            yield Finding(here, message, "name the hosts, or write '*.' in front of a domain")
        else:
            yield from check_host(host, here, wildcard=True)
        if host and host.lower() in seen:
            yield Finding(here, f"duplicate host {host!r} in virtual service", "list it once")
        seen.add(host.lower())


def _gateways(gateways: tuple[str, ...], path: Path) -> Iterator[Finding]:
    if gateways not in ((), ("mesh",)):
        message = f"{', '.join(map(repr, gateways))} is not supported by this version of mesh-adapter"
        yield Finding(path, message, "remove it, or make it ['mesh']: the routes then apply to sidecars")


def _http_route(route: HTTPRoute, path: Path) -> Iterator[Finding]:
    yield from _action(route, path)
    for index, match in enumerate(route.match):
        yield from check_http_match(match, (*path, "match", index))
    yield from _destinations(route.route, (*path, "route"))
    for index, destination in enumerate(route.route):
        yield from check_headers(destination.headers, (*path, "route", index, "headers"))
    yield from check_duration(route.timeout, (*path, "timeout"))
    yield from check_retries(route.retries, (*path, "retries"))
    yield from check_rewrite(route.rewrite, route.match, (*path, "rewrite"))
    yield from check_direct_response(route.direct_response, (*path, "directResponse"))
    yield from check_headers(route.headers, (*path, "headers"))


def _action(route: HTTPRoute, path: Path) -> Iterator[Finding]:
    if route.route and route.direct_response is not None:
        yield Finding(path, "cannot contain both route and directResponse", "keep one of the two")
    elif not route.route and route.direct_response is None:
        yield Finding(path, "needs one of route and directResponse", "add a route with a destination")


def _tcp_route(route: TCPRoute, path: Path) -> Iterator[Finding]:
    if not route.route:
        yield Finding(path, "needs a route", "add a route with a destination")
    for index, match in enumerate(route.match):
        if match.port:
            yield from check_port(match.port, (*path, "match", index, "port"))
    yield from _destinations(route.route, (*path, "route"))


def _destinations(routes: tuple[HTTPRouteDestination | RouteDestination, ...], path: Path) -> Iterator[Finding]:
    for index, each in enumerate(routes):
        yield from _destination(each.destination, (*path, index))
        if each.weight < 0:
            yield Finding((*path, index, "weight"), f"{each.weight} is negative", "weights are shares of 100")
    weights = [each.weight for each in routes]
    total = sum(weights)
    if len(weights) > 1 and min(weights) >= 0 and total not in (0, 100):
        mend = "make them sum to 100, or leave all weights out to split evenly"
        yield Finding(path, f"weights sum to {total}, not 100", mend)


def _destination(destination: Destination | None, path: Path) -> Iterator[Finding]:
    if destination is None:
        yield Finding(path, "has no destination", "say where the traffic goes: destination.host")
        return
    here = (*path, "destination")
    yield from check_host(destination.host, (*here, "host"), wildcard=False)
    yield from check_port_selector(destination.port, (*here, "port"))
