"""Filters of routes become the header operations, mirrors and cross-origin rules of VirtualServices. Pure."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Iterator

from galley.checks.gateway_api.filters import ANY, METHODS
from galley.gateway_api.backends import MISSING, Backends
from galley.kinds import virtual_service as istio
from galley.kinds.gateway_api.filters import CORS, GRPCFilter, HeaderModifier, HTTPFilter, RequestMirror

Filters = Iterable[HTTPFilter | GRPCFilter]
_LABELS = "[a-zA-Z0-9.-]+"


def headers(filters: Filters) -> istio.Headers | None:
    """Of a rule, or of what goes to one of its destinations."""
    filters = tuple(filters)
    request = next((each.request_header_modifier for each in filters if each.request_header_modifier), None)
    response = next((each.response_header_modifier for each in filters if each.response_header_modifier), None)
    if request is None and response is None:
        return None
    return istio.Headers(_operations(request), _operations(response))


def _operations(modifier: HeaderModifier | None) -> istio.HeaderOperations | None:
    if modifier is None:
        return None
    lists = (modifier.set, modifier.add)
    replace, append = (_distinct((each.name, each.value) for each in headers) for headers in lists)
    return istio.HeaderOperations(replace, append, modifier.remove)


def _distinct(pairs: Iterable[tuple[str, str]]) -> istio.StringMap:
    """The first of each name; values are meant as they are, so Envoy's own sign for variables is doubled."""
    found: dict[str, tuple[str, str]] = {}
    for name, value in pairs:
        found.setdefault(name.lower(), (name, value.replace("%", "%%")))
    return tuple(found.values())


def mirrors(filters: Filters, backends: Backends) -> Iterator[istio.HTTPMirrorPolicy]:
    """Those that lead somewhere: a copy that could not be sent is missed by nobody."""
    for each in filters:
        mirror = each.request_mirror
        if mirror and mirror.backend_ref:
            destination = backends.destination(mirror.backend_ref)
            if destination is not MISSING:
                yield istio.HTTPMirrorPolicy(destination, istio.Percent(_percent(mirror)))


def _percent(mirror: RequestMirror) -> float:
    if mirror.fraction:
        return 100 * mirror.fraction.numerator / mirror.fraction.denominator
    return 100.0 if mirror.percent is None else float(mirror.percent)


def cors_policy(cors: CORS) -> istio.CorsPolicy:
    """With credentials browsers take `*` among the methods literally, so all are named."""
    methods = METHODS if cors.allow_credentials and ANY in cors.allow_methods else cors.allow_methods
    return istio.CorsPolicy(
        allow_origins=tuple(map(_origin, cors.allow_origins)),
        allow_methods=methods,
        allow_headers=cors.allow_headers,
        expose_headers=cors.expose_headers,
        max_age=datetime.timedelta(seconds=cors.max_age),
        allow_credentials=cors.allow_credentials or None,
    )


def _origin(text: str) -> istio.StringMatch:
    if ANY not in text:
        return istio.StringMatch(exact=text)
    return istio.StringMatch(regex=".*" if text == ANY else re.escape(text).replace(r"\*", _LABELS))
