"""What a VirtualService must hold beyond its types."""

from __future__ import annotations

from collections.abc import Iterator

from galley.checks.cors import check_cors
from galley.checks.destination import check_split
from galley.checks.http_action import check_action
from galley.checks.http_fault import check_fault
from galley.checks.http_match import check_delegating_match, check_http_match
from galley.checks.http_route import check_authority, check_headers, check_older_headers, check_retries, check_rewrite
from galley.checks.l4_match import check_l4_match, check_tls_match
from galley.checks.mirror import check_mirrors
from galley.checks.values import check_duration, check_export_to, check_gateways, check_host
from galley.document import Path
from galley.finding import Finding
from galley.kinds.virtual_service import HTTPRoute, TCPRoute, TLSRoute, VirtualService


def check_virtual_service(spec: VirtualService) -> Iterator[Finding]:
    """All findings of one VirtualService, paths starting at `spec`."""
    path: Path = ("spec",)
    if spec.hosts:
        yield from _hosts(spec, (*path, "hosts"))
    else:
        yield from _delegate(spec, path)
    yield from check_gateways(spec.gateways, (*path, "gateways"))
    yield from check_export_to(spec.export_to, (*path, "exportTo"), nobody=True)
    if spec.hosts and not (spec.http or spec.tcp or spec.tls):
        yield Finding(path, "must have at least one of http, tcp and tls", "add a route")
    for index, route in enumerate(spec.http):
        yield from _http_route(route, (*path, "http", index), delegate=not spec.hosts)
    for index, tls_route in enumerate(spec.tls):
        yield from _tls_route(tls_route, spec.hosts, (*path, "tls", index))
    for index, tcp_route in enumerate(spec.tcp):
        yield from _tcp_route(tcp_route, (*path, "tcp", index))


def _hosts(spec: VirtualService, path: Path) -> Iterator[Finding]:
    seen: set[str] = set()
    for index, host in enumerate(spec.hosts):
        here = (*path, index)
        if host != "*":
            yield from check_host(host, here, wildcard=True)
        elif not spec.gateways or "mesh" in spec.gateways:
            message = "wildcard host '*' is not allowed for virtual services bound to the mesh gateway"
            yield Finding(here, message, "name the hosts, or write '*.' in front of a domain")
        if host and host.lower() in seen:
            yield Finding(here, f"duplicate host {host!r} in virtual service", "list it once")
        seen.add(host.lower())


def _delegate(spec: VirtualService, path: Path) -> Iterator[Finding]:
    """Without hosts it is a delegate: others refer to it from their HTTP routes, and say for which gateways."""
    mend = "list the hosts whose traffic it routes; without hosts it is a delegate of others"
    if not spec.http:
        yield Finding((*path, "hosts"), "virtual service must have at least one host", mend)
        return
    for name, value in (("gateways", spec.gateways), ("tls", spec.tls), ("tcp", spec.tcp)):
        if value:
            yield Finding((*path, name), f"a delegate virtual service (it has no hosts) must have no {name}", mend)


def _http_route(route: HTTPRoute, path: Path, *, delegate: bool) -> Iterator[Finding]:
    yield from check_action(route, path, delegate=delegate)
    for index, match in enumerate(route.match):
        yield from check_http_match(match, (*path, "match", index))
        if delegate or route.delegate is not None:
            yield from check_delegating_match(match, (*path, "match", index))
    yield from check_split(route.route, (*path, "route"))
    for index, destination in enumerate(route.route):
        yield from check_headers(destination.headers, (*path, "route", index, "headers"))
        yield from check_authority(None, destination.headers, (*path, "route", index, "headers"))
        yield from check_older_headers(destination, (*path, "route", index))
    yield from check_duration(route.timeout, (*path, "timeout"))
    yield from check_retries(route.retries, (*path, "retries"))
    yield from check_rewrite(route.rewrite, route.match, (*path, "rewrite"))
    yield from check_fault(route.fault, (*path, "fault"))
    yield from check_mirrors(route, path)
    yield from check_cors(route.cors_policy, (*path, "corsPolicy"))
    yield from check_headers(route.headers, (*path, "headers"))
    yield from check_authority(route.rewrite, route.headers, path)
    yield from check_older_headers(route, path)


def _tls_route(route: TLSRoute, hosts: tuple[str, ...], path: Path) -> Iterator[Finding]:
    if not route.match:
        yield Finding(path, "TLS route must have at least one match condition", "add a match with sniHosts")
    for index, match in enumerate(route.match):
        yield from check_tls_match(match, hosts, (*path, "match", index))
    if not route.route:
        yield Finding(path, "TLS route is required", "add a route with a destination")
    yield from check_split(route.route, (*path, "route"))


def _tcp_route(route: TCPRoute, path: Path) -> Iterator[Finding]:
    if not route.route:
        yield Finding(path, "needs a route", "add a route with a destination")
    for index, match in enumerate(route.match):
        yield from check_l4_match(match, (*path, "match", index))
    yield from check_split(route.route, (*path, "route"))
