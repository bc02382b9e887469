"""What the conditions of an HTTP route must hold beyond their types."""

from __future__ import annotations

import re
from collections.abc import Iterator

from galley.checks.regex import judge
from galley.checks.values import check_dns_label, check_gateways, check_port
from galley.document import Path
from galley.finding import Finding
from galley.kinds.virtual_service import HTTPMatchRequest, StringMatch

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def check_http_match(match: HTTPMatchRequest, path: Path) -> Iterator[Finding]:
    """All findings of one match; an empty one is fine and matches everything."""
    for name, condition in _strings(match):
        yield from check_string_match(condition, (*path, name), presence=False)
    for name, conditions in (("headers", match.headers), ("withoutHeaders", match.without_headers)):
        for key, condition in conditions:
            yield from check_header_name(key, (*path, name, key))
            yield from check_string_match(condition, (*path, name, key), presence=True)
    for key, condition in match.query_params:
        yield from check_string_match(condition, (*path, "queryParams", key), presence=True)
    if match.port:
        yield from check_port(match.port, (*path, "port"))
    if match.source_namespace:
        yield from check_dns_label(match.source_namespace, (*path, "sourceNamespace"))
    yield from check_gateways(match.gateways, (*path, "gateways"))
    if any(character.isspace() for character in match.stat_prefix):
        yield Finding(
            (*path, "statPrefix"), f"{match.stat_prefix!r} has white space", "use letters, digits, '.' and '_'"
        )


def check_delegating_match(match: HTTPMatchRequest, path: Path) -> Iterator[Finding]:
    """Whether one regex lies within another can't be told, so neither a root nor a delegate may have any."""
    maps = (("headers", match.headers), ("withoutHeaders", match.without_headers), ("queryParams", match.query_params))
    places: list[tuple[Path, StringMatch]] = [((name,), condition) for name, condition in _strings(match)]
    places += (((name, key), condition) for name, conditions in maps for key, condition in conditions)
    for place, condition in places:
        if condition.regex is not None:
            message = f"{place[0]} match does not support regex match for delegating"
            yield Finding((*path, *place, "regex"), message, "use exact or prefix")


def _strings(match: HTTPMatchRequest) -> tuple[tuple[str, StringMatch], ...]:
    given = (("uri", match.uri), ("scheme", match.scheme), ("method", match.method), ("authority", match.authority))
    return tuple((name, condition) for name, condition in given if condition is not None)


def check_header_name(name: str, path: Path) -> Iterator[Finding]:
    """A field name by RFC 9110, section 5.1."""
    if not _HEADER_NAME.fullmatch(name):
        yield Finding(path, f"{name!r} is not a valid header name", "use letters, digits and '-'")


def check_string_match(match: StringMatch, path: Path, *, presence: bool) -> Iterator[Finding]:
    """With `presence` an empty StringMatch has a meaning: that the key is there."""
    if match.regex is not None:
        judgement = judge(match.regex)
        if judgement.fault:
            yield Finding((*path, "regex"), judgement.fault, judgement.mend)
    elif match.prefix == "":
        yield Finding((*path, "prefix"), "is empty", "leave the match out to match everything")
    elif match.exact is None and match.prefix is None and not presence:
        yield Finding(path, "says nothing to match", "give it one of exact, prefix and regex, or remove it")
