"""What a GRPCRoute must hold beyond its types."""

from __future__ import annotations

import re
from collections.abc import Iterator

from galley.checks.gateway_api.filters import check_filters
from galley.checks.gateway_api.http_route import check_regex, check_values
from galley.checks.gateway_api.references import check_backend, check_hostnames, check_parents, check_rule_name
from galley.document import Path
from galley.finding import Finding
from galley.kinds.gateway_api.grpc_route import GRPCMethodMatch, GRPCRoute, GRPCRouteRule
from galley.kinds.gateway_api.http_route import ValueMatchType

_SERVICE = re.compile(r"(?i)\.?[a-z_][a-z_0-9]*(\.[a-z_][a-z_0-9]*)*")
_METHOD = re.compile(r"[A-Za-z_][A-Za-z_0-9]*")


def check_grpc_route(spec: GRPCRoute) -> Iterator[Finding]:
    """All findings of one GRPCRoute."""
    yield from check_parents(spec.parent_refs, ("spec", "parentRefs"), mesh=True)
    yield from check_hostnames(spec.hostnames, ("spec", "hostnames"))
    for index, rule in enumerate(spec.rules):
        yield from _rule(rule, ("spec", "rules", index))


def _rule(rule: GRPCRouteRule, path: Path) -> Iterator[Finding]:
    yield from check_rule_name(rule.name, path)
    for index, match in enumerate(rule.matches):
        here = (*path, "matches", index)
        if match.method is not None:
            yield from _method(match.method, (*here, "method"))
        yield from check_values(match.headers, (*here, "headers"))
    yield from check_filters(rule.filters, (*path, "filters"), backend=False)
    for index, backend in enumerate(rule.backend_refs):
        yield from check_backend(backend, (*path, "backendRefs", index))
        yield from check_filters(backend.filters, (*path, "backendRefs", index, "filters"), backend=True)


def _method(match: GRPCMethodMatch, path: Path) -> Iterator[Finding]:
    if not match.service and not match.method:
        yield Finding(path, "one or both of service or method must be specified", "name one, or leave it out")
    for name, value, form in (("service", match.service, _SERVICE), ("method", match.method, _METHOD)):
        if value and match.type is ValueMatchType.RegularExpression:
            yield from check_regex(value, (*path, name))
        elif value and not form.fullmatch(value):
            yield Finding((*path, name), f"{value!r} is not the name of a {name}", "write it as the .proto file has it")
