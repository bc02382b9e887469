"""GRPCRoutes become rules of VirtualServices, one for each match: a method is a path. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

import attrs

from galley.config import ConfigObject
from galley.gateway_api.backends import Backends
from galley.gateway_api.filter_rules import headers, mirrors
from galley.gateway_api.http_rules import nowhere, rule_name, takes_traffic, value_matches
from galley.gateway_api.ranking import Ranked, age
from galley.kinds import virtual_service as istio
from galley.kinds.gateway_api.grpc_route import GRPCMethodMatch, GRPCRoute, GRPCRouteMatch, GRPCRouteRule
from galley.kinds.gateway_api.http_route import ValueMatchType

UNAVAILABLE = 503
"""The HTTP status that gRPC clients take for UNAVAILABLE."""
_ANY = "[^/]+"


def grpc_rules(route: ConfigObject[GRPCRoute], backends: Backends) -> Iterator[Ranked]:
    """All rules of the route, in its own order."""
    for index, rule in enumerate(route.spec.rules):
        whole = _whole(route, index, rule, backends)
        for each in rule.matches or (GRPCRouteMatch(),):
            match = istio.HTTPMatchRequest(
                uri=_path(each.method) if each.method else istio.StringMatch(prefix="/"),
                headers=value_matches(each.headers, ignore_case=True),
            )
            yield Ranked(attrs.evolve(whole, match=(match,)), match, age(route))


def _whole(route: ConfigObject[GRPCRoute], index: int, rule: GRPCRouteRule, backends: Backends) -> istio.HTTPRoute:
    """All of a rule but its matches."""
    destinations = tuple(
        istio.HTTPRouteDestination(backends.destination(each), each.weight, headers(each.filters))
        for each in rule.backend_refs
    )
    return istio.HTTPRoute(
        name=rule_name(route, index, rule.name),
        route=destinations if takes_traffic(rule.backend_refs) else (),
        direct_response=nowhere(rule.backend_refs, UNAVAILABLE),
        headers=headers(rule.filters),
        mirrors=tuple(mirrors(rule.filters, backends)),
        origin=str(route),
        missing_status=UNAVAILABLE,
    )


def _path(match: GRPCMethodMatch) -> istio.StringMatch:
    if match.type is ValueMatchType.RegularExpression:
        return istio.StringMatch(regex=f"/{match.service or _ANY}/{match.method or _ANY}")
    if not match.service:
        return istio.StringMatch(regex=f"/{_ANY}/{re.escape(match.method)}")
    if not match.method:
        return istio.StringMatch(prefix=f"/{match.service}/")
    return istio.StringMatch(exact=f"/{match.service}/{match.method}")
