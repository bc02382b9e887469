"""Decides routes: what a virtual service, or none, makes of the requests for one port of one host. Pure.

Istio's defaults hold where nothing is said: no timeout, two retries of what certainly was not processed, a retry goes
to another host. A virtual service replaces the default route as a whole: what matches none of its rules is 404.
"""

from __future__ import annotations

from collections.abc import Iterator

from galley.kinds import virtual_service as kind
from pilot import ir
from pilot.plan import names
from pilot.plan.client import Client
from pilot.plan.cross_origin import cors
from pilot.plan.faults import fault
from pilot.plan.hashing import with_hash_policies
from pilot.plan.headers import route_headers
from pilot.plan.http_actions import action
from pilot.plan.http_match import applies, route_match
from pilot.plan.retries import DEFAULT_RETRY
from pilot.plan.split import Rule


def default_routes(client: Client, host: str, port: int) -> tuple[ir.Route, ...]:
    """Everything to the service itself."""

    def make() -> tuple[ir.Route, ...]:
        cluster = ir.WeightedCluster(names.outbound_cluster(host, port), 100)
        route = ir.Route("default", ir.RouteMatch(), ir.Forward((cluster,), retry=DEFAULT_RETRY))
        return with_hash_policies(client, (route,))

    return client.index.routes_memo.get((host, port, client.view, client.gateway), make)


def http_routes(client: Client, rule: Rule, port: int) -> tuple[ir.Route, ...]:
    """The rule's HTTP routes for requests to `port`, in order, up to the first that takes everything."""
    key = (rule, port, client.view, client.gateway)
    return client.index.routes_memo.get(key, lambda: _http_routes(client, rule, port))


def _http_routes(client: Client, rule: Rule, port: int) -> tuple[ir.Route, ...]:
    found: list[ir.Route] = []
    for route in _all_routes(client, rule, port):
        found.append(route)
        if route.match == ir.RouteMatch():
            break
    return with_hash_policies(client, found)


def _all_routes(client: Client, rule: Rule, port: int) -> Iterator[ir.Route]:
    for http in rule.spec.http:
        if not http.match:
            yield _route(client, rule, port, http, None)
        for match in http.match:
            if applies(client, rule, match, port):
                yield _route(client, rule, port, http, match)


def _route(
    client: Client, rule: Rule, port: int, http: kind.HTTPRoute, match: kind.HTTPMatchRequest | None
) -> ir.Route:
    return ir.Route(
        name=".".join(filter(None, (http.name, match.name if match else ""))),
        match=route_match(match) if match else ir.RouteMatch(),
        action=action(client, rule, port, http, match),
        headers=route_headers(http),
        fault=fault(http.fault),
        cors=cors(http.cors_policy),
        stat_prefix=match.stat_prefix if match else "",
        origin=http.origin or str(rule),
    )
