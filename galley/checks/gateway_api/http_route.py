"""What an HTTPRoute must hold beyond its types."""

from __future__ import annotations

import re
from collections.abc import Iterator

from galley.checks.gateway_api.filters import METHODS, check_filters
from galley.checks.gateway_api.references import check_backend, check_hostnames, check_parents, check_rule_name
from galley.checks.http_match import check_header_name
from galley.checks.regex import judge
from galley.checks.values import check_duration
from galley.document import Path
from galley.finding import Finding
from galley.kinds.gateway_api.filters import FilterType, PathModifierType
from galley.kinds.gateway_api.http_route import (
    HTTPRoute,
    HTTPRouteMatch,
    HTTPRouteRule,
    HTTPTimeouts,
    PathMatch,
    PathMatchType,
    ValueMatch,
    ValueMatchType,
)

_PATH = re.compile(r"(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|%[0-9a-fA-F]{2})+")
_NOT_WITHIN = ("//", "/./", "/../", "%2f", "%2F", "#")
_NOT_LAST = ("/..", "/.")


def check_http_route(spec: HTTPRoute) -> Iterator[Finding]:
    """All findings of one HTTPRoute."""
    yield from check_parents(spec.parent_refs, ("spec", "parentRefs"), mesh=True)
    yield from check_hostnames(spec.hostnames, ("spec", "hostnames"))
    for index, rule in enumerate(spec.rules):
        yield from _rule(rule, ("spec", "rules", index))


def _rule(rule: HTTPRouteRule, path: Path) -> Iterator[Finding]:
    yield from check_rule_name(rule.name, path)
    for index, match in enumerate(rule.matches):
        yield from _match(match, (*path, "matches", index))
    yield from check_filters(rule.filters, (*path, "filters"), backend=False)
    yield from _prefix_replaced(rule, (*path, "filters"))
    if rule.backend_refs and any(each.type is FilterType.RequestRedirect for each in rule.filters):
        message = "RequestRedirect filter must not be used together with backendRefs"
        yield Finding(path, message, "keep one of the two")
    for index, backend in enumerate(rule.backend_refs):
        yield from check_backend(backend, (*path, "backendRefs", index))
        yield from check_filters(backend.filters, (*path, "backendRefs", index, "filters"), backend=True)
    if rule.timeouts:
        yield from _timeouts(rule.timeouts, (*path, "timeouts"))
    if rule.retry:
        yield from check_duration(rule.retry.backoff, (*path, "retry", "backoff"))


def _prefix_replaced(rule: HTTPRouteRule, path: Path) -> Iterator[Finding]:
    """What replaces a prefix needs one."""
    paths = [each.url_rewrite.path if each.url_rewrite else None for each in rule.filters]
    paths += [each.request_redirect.path if each.request_redirect else None for each in rule.filters]
    replaces = any(each and each.type is PathModifierType.ReplacePrefixMatch for each in paths)
    matches = rule.matches or (HTTPRouteMatch(),)
    if replaces and (len(matches) != 1 or matches[0].path.type is not PathMatchType.PathPrefix):
        message = "when using path.replacePrefixMatch, exactly one PathPrefix match must be specified"
        yield Finding(path, message, "split the rule, or replace the full path")


def _match(match: HTTPRouteMatch, path: Path) -> Iterator[Finding]:
    yield from _path_match(match.path, (*path, "path"))
    yield from check_values(match.headers, (*path, "headers"))
    yield from check_values(match.query_params, (*path, "queryParams"))
    if match.method and match.method not in METHODS:
        message = f"{match.method!r} is not a known method"
        yield Finding((*path, "method"), message, f"known are {', '.join(METHODS)}")


def check_values(matches: tuple[ValueMatch, ...], path: Path) -> Iterator[Finding]:
    """Conditions on headers, or on parameters of the query, whose names are spelled like those of headers."""
    for index, match in enumerate(matches):
        here = (*path, index)
        yield from check_header_name(match.name, (*here, "name"))
        if not match.value:
            yield Finding((*here, "value"), "is missing", "say what to compare with")
        elif match.type is ValueMatchType.RegularExpression:
            yield from check_regex(match.value, (*here, "value"))


def check_regex(text: str, path: Path) -> Iterator[Finding]:
    """A regular expression that RE2 takes."""
    judgement = judge(text)
    if judgement.fault:
        yield Finding(path, judgement.fault, judgement.mend)


def _path_match(match: PathMatch, path: Path) -> Iterator[Finding]:
    here = (*path, "value")
    if match.type is PathMatchType.RegularExpression:
        yield from check_regex(match.value, here)
        return
    if not match.value.startswith("/"):
        yield Finding(here, f"{match.value!r} is not an absolute path", "begin it with '/'")
        return
    bad = [each for each in _NOT_WITHIN if each in match.value]
    bad += [each for each in _NOT_LAST if match.value.endswith(each)]
    for each in bad:
        yield Finding(here, f"must not contain {each!r} when type is {match.type.value}", "write the path normalized")
    if not bad and not _PATH.fullmatch(match.value):
        yield Finding(here, f"{match.value!r} has characters that no path has", "encode them, as in %20")


def _timeouts(timeouts: HTTPTimeouts, path: Path) -> Iterator[Finding]:
    request, backend = timeouts.request, timeouts.backend_request
    yield from check_duration(request, (*path, "request"))
    yield from check_duration(backend, (*path, "backendRequest"))
    if request and backend and backend > request:
        message = "backendRequest timeout cannot be longer than request timeout"
        yield Finding((*path, "backendRequest"), message, "shorten it")
