"""Decides routes for gRPC clients: those for Envoys, narrowed to what gRPC knows. Pure.

What changes the meaning of a call and can't be done (a rewritten path or host) makes its calls fail, as redirects and
direct responses do; what goes along with a call (headers, mirrors, origins) is left out. The list of it is in
docs/reference/xds.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import attrs

from pilot import ir

_RETRY_ON = ("cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable")
_SAID_LATER = (":method", ":scheme", ":authority")
"""Known of every call before it is made, and not to be asked for by a route: gRPC says them after it is routed."""
_NOT_DONE = ir.DirectResponse(501, "gRPC clients do not rewrite\n")


def narrowed(value: ir.RouteConfiguration) -> ir.RouteConfiguration:
    """The routes that a call may take whose target is the name of the route configuration."""
    said = {":method": "POST", ":scheme": "http", ":authority": value.name}
    return attrs.evolve(value, virtual_hosts=tuple(_virtual_host(each, said) for each in value.virtual_hosts))


def _virtual_host(value: ir.VirtualHost, said: Mapping[str, str]) -> ir.VirtualHost:
    return attrs.evolve(value, routes=tuple(_route(each) for each in value.routes if _may_match(each.match, said)))


def _may_match(match: ir.RouteMatch, said: Mapping[str, str]) -> bool:
    """A call has no query."""
    known = [each for each in match.headers if each.name in said]
    return not match.query_parameters and all(_holds(each.match, said[each.name]) for each in known)


def _holds(match: ir.StringMatch, value: str) -> bool:
    if match.kind is ir.MatchKind.EXACT:
        return value == match.value
    if match.kind is ir.MatchKind.PREFIX:
        return value.startswith(match.value)
    return match.kind is ir.MatchKind.PRESENT or _is_all_of(match.value, value)


def _is_all_of(pattern: str, value: str) -> bool:
    """What only RE2 can read matches nothing here."""
    try:
        return re.fullmatch(pattern, value) is not None
    except re.error:
        return False


def _route(value: ir.Route) -> ir.Route:
    headers = tuple(each for each in value.match.headers if each.name not in _SAID_LATER)
    path = value.match.path
    if path.kind is ir.MatchKind.ELEMENTS:  # which gRPC does not know
        path = ir.StringMatch(ir.MatchKind.REGEX, f"{re.escape(path.value)}(/.*)?")
    return ir.Route(
        name=value.name,
        match=attrs.evolve(value.match, path=path, headers=headers),
        action=_action(value.action),
        fault=value.fault,
        origin=value.origin,
    )


def _action(value: ir.Action) -> ir.Action:
    if not isinstance(value, ir.Forward):
        return value
    if value.prefix_rewrite or value.regex_rewrite or value.host_rewrite or any(c.host_rewrite for c in value.clusters):
        return _NOT_DONE
    return ir.Forward(
        clusters=tuple(ir.WeightedCluster(each.cluster, each.weight) for each in value.clusters),
        max_stream_duration=value.timeout or None,
        retry=_retry(value.retry),
        hash_policies=tuple(each for each in value.hash_policies if each.of is ir.HashOf.HEADER),
    )


def _retry(value: ir.RetryPolicy | None) -> ir.RetryPolicy | None:
    """By the statuses that gRPC tries again on; None where none of them is asked for."""
    known = [word for word in value.retry_on.split(",") if word in _RETRY_ON] if value else []
    if value is None or not known:
        return None
    return ir.RetryPolicy(value.attempts, ",".join(known), previous_hosts=False, backoff=value.backoff)
