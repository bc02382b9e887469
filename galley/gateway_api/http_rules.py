"""HTTPRoutes become rules of VirtualServices, one for each match. Pure.

What the two say alike is carried over; what a VirtualService has no word for is said by its derived fields.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta

import attrs

from galley.config import ConfigObject
from galley.gateway_api.backends import Backends
from galley.gateway_api.entrance import Entrance
from galley.gateway_api.filter_rules import cors_policy, headers, mirrors
from galley.gateway_api.path_rules import by_path, path_match
from galley.gateway_api.ranking import Ranked, age
from galley.kinds import virtual_service as istio
from galley.kinds.gateway_api.http_route import (
    HTTPRetry,
    HTTPRoute,
    HTTPRouteMatch,
    HTTPRouteRule,
    HTTPTimeouts,
    ValueMatch,
    ValueMatchType,
)
from galley.kinds.gateway_api.references import BackendReference

NOWHERE_TO_GO = 500
DEFAULT_ATTEMPTS = 2
"""Istio's."""
_RETRY_ON = "connect-failure,refused-stream,unavailable,cancelled"


def http_rules(route: ConfigObject[HTTPRoute], backends: Backends, entrance: Entrance) -> Iterator[Ranked]:
    """All rules of the route, in its own order."""
    for index, rule in enumerate(route.spec.rules):
        whole = _whole(route, index, rule, backends)
        for match in rule.matches or (HTTPRouteMatch(),):
            conditions = _match(match)
            for each in by_path(match.path, rule.filters, entrance):
                here = attrs.evolve(conditions, uri=each.uri)
                changed = attrs.evolve(whole, match=(here,), redirect=each.redirect, rewrite=each.rewrite)
                yield Ranked(changed, conditions, age(route))


def _whole(route: ConfigObject[HTTPRoute], index: int, rule: HTTPRouteRule, backends: Backends) -> istio.HTTPRoute:
    """All of a rule but its matches, and what depends on them."""
    destinations = tuple(
        istio.HTTPRouteDestination(backends.destination(each), each.weight, headers(each.filters))
        for each in rule.backend_refs
    )
    redirects = any(each.request_redirect for each in rule.filters)
    timeouts = rule.timeouts or HTTPTimeouts()
    return istio.HTTPRoute(
        name=rule_name(route, index, rule.name),
        route=destinations if takes_traffic(rule.backend_refs) else (),
        direct_response=None if redirects else nowhere(rule.backend_refs, NOWHERE_TO_GO),
        headers=headers(rule.filters),
        mirrors=tuple(mirrors(rule.filters, backends)),
        cors_policy=next((cors_policy(each.cors) for each in rule.filters if each.cors), None),
        origin=str(route),
        missing_status=NOWHERE_TO_GO,
        timeout=_timeout(timeouts, rule.retry),
        retries=_retries(timeouts, rule.retry),
    )


def rule_name(route: ConfigObject[object], index: int, name: str) -> str:
    """`NAMESPACE.ROUTE.RULE`, the rule by its place where it has no name."""
    return f"{route.namespace}.{route.name}.{name or index}"


def takes_traffic(backends: Iterable[BackendReference]) -> bool:
    return any(each.weight for each in backends)


def nowhere(backends: Iterable[BackendReference], status: int) -> istio.HTTPDirectResponse | None:
    """The answer where there is nowhere to go."""
    return None if takes_traffic(backends) else istio.HTTPDirectResponse(status)


def _timeout(timeouts: HTTPTimeouts, retry: HTTPRetry | None) -> timedelta | None:
    """Of the whole; without retries the one try is that."""
    one_try = timeouts.backend_request if retry and retry.attempts == 0 else None
    return one_try or timeouts.request or None


def _retries(timeouts: HTTPTimeouts, retry: HTTPRetry | None) -> istio.HTTPRetry | None:
    """Istio's where nothing is said; codes are tried again besides what certainly was not processed."""
    one_try = timeouts.backend_request or None
    if retry is None:
        return istio.HTTPRetry(DEFAULT_ATTEMPTS, one_try) if one_try else None
    attempts = DEFAULT_ATTEMPTS if retry.attempts is None else retry.attempts
    retry_on = ",".join((_RETRY_ON, *map(str, retry.codes))) if retry.codes else ""
    return istio.HTTPRetry(attempts, one_try, retry_on, backoff=retry.backoff)


def _match(match: HTTPRouteMatch) -> istio.HTTPMatchRequest:
    return istio.HTTPMatchRequest(
        uri=path_match(match.path),
        method=istio.StringMatch(exact=match.method) if match.method else None,
        headers=value_matches(match.headers, ignore_case=True),
        query_params=value_matches(match.query_params, ignore_case=False),
    )


def value_matches(matches: Iterable[ValueMatch], *, ignore_case: bool) -> istio.StringMatchMap:
    """By name; of one name given twice the first counts."""
    found: dict[str, istio.StringMatch] = {}
    for each in matches:
        name = each.name.lower() if ignore_case else each.name
        is_regex = each.type is ValueMatchType.RegularExpression
        found.setdefault(name, istio.StringMatch(regex=each.value) if is_regex else istio.StringMatch(exact=each.value))
    return tuple(sorted(found.items(), key=lambda pair: pair[0]))
