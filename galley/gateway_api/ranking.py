"""Which of several rules takes a request that all of them match: the Gateway API's order, across routes. Pure.

An exact path first, then the longest prefix, then regular expressions, then any path; a method; the most headers; the
most query parameters; the oldest route; the first by name; the first in the route. A route that does not say when it
was made is older than all that do.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from typing import Any

import attrs

from galley.config import ConfigObject
from galley.kinds.virtual_service import HTTPMatchRequest, HTTPRoute, StringMatch

EXACT, PREFIX, REGEX, ANY = range(4)
_LONG_AGO = datetime.datetime.min.replace(tzinfo=datetime.UTC)
Age = tuple[datetime.datetime, str, str]


@attrs.frozen(eq=False)
class Ranked:
    """A rule with one match, and what decides its place."""

    rule: HTTPRoute
    match: HTTPMatchRequest
    age: Age

    @property
    def rank(self) -> tuple[object, ...]:
        form, length = _path(self.match.uri)
        sizes = (length, self.match.method is not None, len(self.match.headers), len(self.match.query_params))
        return (form, *(-size for size in sizes), self.age)


def age(route: ConfigObject[Any]) -> Age:
    """The oldest is the smallest."""
    return (route.created or _LONG_AGO, route.namespace, route.name)


def in_order(rules: Iterable[Ranked]) -> tuple[HTTPRoute, ...]:
    """The first that matches is to decide."""
    return tuple(each.rule for each in sorted(rules, key=lambda each: each.rank))


def _path(uri: StringMatch | None) -> tuple[int, int]:
    if uri is None or uri.prefix == "/":
        return ANY, 1
    if uri.exact is not None:
        return EXACT, len(uri.exact)
    if uri.regex is not None:
        return REGEX, len(uri.regex)
    return PREFIX, len(uri.elements or uri.prefix or "")
