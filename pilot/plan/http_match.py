"""Decides what a request must be like for a match of a virtual service to take it. Pure."""

from __future__ import annotations

from galley.config import ConfigObject
from galley.kinds import virtual_service as kind
from pilot import ir
from pilot.model.service import has_labels
from pilot.plan.bindings import match_applies_to
from pilot.plan.client import Client


def applies(client: Client, rule: ConfigObject[kind.VirtualService], match: kind.HTTPMatchRequest, port: int) -> bool:
    """The parts of a match that are known before any request: port, client and gateway."""
    return (
        match.port in (0, port)
        and match.source_namespace in ("", client.view.namespace)
        and has_labels(client.view.labels, match.source_labels)
        and match_applies_to(match.gateways, rule.namespace, client.gateway)
    )


def route_match(match: kind.HTTPMatchRequest) -> ir.RouteMatch:
    """The parts that are known of a request only."""
    pseudo = ((":method", match.method), (":authority", match.authority), (":scheme", match.scheme))
    headers = [ir.HeaderMatch(name, string_match(value)) for name, value in pseudo if value]
    headers += [ir.HeaderMatch(name.lower(), string_match(value)) for name, value in match.headers]
    headers += [ir.HeaderMatch(name.lower(), string_match(value), invert=True) for name, value in match.without_headers]
    path = string_match(match.uri, match.ignore_uri_case) if match.uri else ir.RouteMatch().path
    queries = tuple(ir.HeaderMatch(name, string_match(value)) for name, value in match.query_params)
    return ir.RouteMatch(path, tuple(headers), queries)


def string_match(match: kind.StringMatch, ignore_case: bool = False) -> ir.StringMatch:
    """An empty match asks only that the value is there (Istio: `x-user: {}`)."""
    if match.exact is not None:
        return ir.StringMatch(ir.MatchKind.EXACT, match.exact, ignore_case)
    if match.prefix is not None:
        return ir.StringMatch(ir.MatchKind.PREFIX, match.prefix, ignore_case)
    if match.elements is not None:
        return ir.StringMatch(ir.MatchKind.ELEMENTS, match.elements)
    if match.regex is not None:
        return ir.StringMatch(ir.MatchKind.REGEX, match.regex)
    return ir.StringMatch(ir.MatchKind.PRESENT)
