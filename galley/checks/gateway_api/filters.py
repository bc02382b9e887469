"""What filters of routes must hold beyond their types: the one field that the type names, and what is in it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from galley.checks.gateway_api.references import check_backend, check_hostname
from galley.checks.http_match import check_header_name
from galley.document import Path
from galley.finding import Finding
from galley.kinds.gateway_api.filters import (
    CORS,
    FilterType,
    GRPCFilter,
    HeaderModifier,
    HTTPFilter,
    PathModifier,
    PathModifierType,
    RequestMirror,
    RequestRedirect,
    URLRewrite,
)

REDIRECT_CODES = (301, 302, 303, 307, 308)
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH")
ANY = "*"
_FIELDS: Mapping[FilterType, tuple[str, str]] = {
    FilterType.RequestHeaderModifier: ("request_header_modifier", "requestHeaderModifier"),
    FilterType.ResponseHeaderModifier: ("response_header_modifier", "responseHeaderModifier"),
    FilterType.RequestMirror: ("request_mirror", "requestMirror"),
    FilterType.RequestRedirect: ("request_redirect", "requestRedirect"),
    FilterType.URLRewrite: ("url_rewrite", "urlRewrite"),
    FilterType.CORS: ("cors", "cors"),
}
_HEADERS = (FilterType.RequestHeaderModifier, FilterType.ResponseHeaderModifier)
_PATH = re.compile(r"(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|%[0-9a-fA-F]{2})*")
_ORIGIN = re.compile(r"\*|https?://(?:(?:\*\.)?(?:[a-zA-Z0-9-]+\.)*[a-zA-Z0-9-]+|\*)(?::[0-9]{1,5})?")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def check_filters(filters: Sequence[HTTPFilter | GRPCFilter], path: Path, *, backend: bool) -> Iterator[Finding]:
    """Those of a rule, or with `backend` of one of its destinations: there headers may be changed, and nothing else."""
    for index, each in enumerate(filters):
        yield from _filter(each, (*path, index), backend=backend)
    counted = Counter(each.type for each in filters if each.type is not FilterType.RequestMirror)
    for kind, count in counted.items():
        if kind is not None and count > 1:
            yield Finding(path, f"{kind.value} filter cannot be repeated", "merge the two")
    if counted[FilterType.RequestRedirect] and counted[FilterType.URLRewrite]:
        yield Finding(path, "cannot contain both RequestRedirect and URLRewrite", "keep one of the two")


def _filter(each: HTTPFilter | GRPCFilter, path: Path, *, backend: bool) -> Iterator[Finding]:
    if each.type is None:
        yield Finding((*path, "type"), "is missing", f"use one of {', '.join(kind.value for kind in _FIELDS)}")
        return
    if isinstance(each, GRPCFilter) and not hasattr(each, _FIELDS[each.type][0]):
        yield Finding((*path, "type"), f"{each.type.value} is no filter of a GRPCRoute", "use an HTTPRoute")
        return
    for kind, (name, wire) in _FIELDS.items():
        given = getattr(each, name, None) is not None
        if given and kind is not each.type:
            yield Finding((*path, wire), f"must be left out where type is {each.type.value}", "make two filters of it")
        elif not given and kind is each.type:
            yield Finding((*path, wire), f"is missing, and needed for type {each.type.value}", "say what is to be done")
    if backend and each.type not in _HEADERS:
        message = f"{each.type.value} is not supported by this version of mesh-adapter for one destination"
        yield Finding((*path, "type"), message, "make it a filter of the rule")
    yield from _content(each, path)


def _content(each: HTTPFilter | GRPCFilter, path: Path) -> Iterator[Finding]:
    for name, wire in _FIELDS.values():
        value: Any = getattr(each, name, None)
        if value is not None:
            yield from _CHECKS[type(value)](value, (*path, wire))


def _header_modifier(modifier: HeaderModifier, path: Path) -> Iterator[Finding]:
    for name, headers in (("set", modifier.set), ("add", modifier.add)):
        for index, header in enumerate(headers):
            here = (*path, name, index)
            yield from check_header_name(header.name, (*here, "name"))
            if not header.value or _CONTROL.search(header.value):
                told = "has control characters" if header.value else "is missing"
                yield Finding((*here, "value"), told, "write the value as it is to be sent")
    for index, removed in enumerate(modifier.remove):
        yield from check_header_name(removed, (*path, "remove", index))
        if removed.startswith(":") or removed.lower() == "host":
            yield Finding((*path, "remove", index), f"{removed} can't be removed: every request has it", "remove it")


def _mirror(mirror: RequestMirror, path: Path) -> Iterator[Finding]:
    if mirror.backend_ref is None:
        yield Finding((*path, "backendRef"), "is missing", "say where copies go")
    else:
        yield from check_backend(mirror.backend_ref, (*path, "backendRef"))
    if mirror.percent is not None and mirror.fraction is not None:
        yield Finding(path, "sets percent and fraction, of which only one may be set", "keep one of the two")
    if mirror.fraction and mirror.fraction.numerator > mirror.fraction.denominator:
        message = "numerator must be less than or equal to denominator"
        yield Finding((*path, "fraction"), message, "write a share of at most 1")


def _redirect(redirect: RequestRedirect, path: Path) -> Iterator[Finding]:
    if redirect.scheme not in ("", "http", "https"):
        yield Finding((*path, "scheme"), f"{redirect.scheme!r} is not a known scheme", "use http or https")
    if redirect.hostname:
        yield from check_hostname(redirect.hostname, (*path, "hostname"), wildcard=False)
    if redirect.status_code not in REDIRECT_CODES:
        mend = f"use one of {', '.join(map(str, REDIRECT_CODES))}"
        yield Finding((*path, "statusCode"), f"{redirect.status_code} does not redirect", mend)
    if redirect.path:
        yield from _path_modifier(redirect.path, (*path, "path"))


def _rewrite(rewrite: URLRewrite, path: Path) -> Iterator[Finding]:
    if rewrite.hostname:
        yield from check_hostname(rewrite.hostname, (*path, "hostname"), wildcard=False)
    if rewrite.path:
        yield from _path_modifier(rewrite.path, (*path, "path"))


def _path_modifier(modifier: PathModifier, path: Path) -> Iterator[Finding]:
    fields = {
        PathModifierType.ReplaceFullPath: ("replaceFullPath", modifier.replace_full_path),
        PathModifierType.ReplacePrefixMatch: ("replacePrefixMatch", modifier.replace_prefix_match),
    }
    if modifier.type is None:
        yield Finding((*path, "type"), "is missing", "use ReplaceFullPath or ReplacePrefixMatch")
        return
    for kind, (wire, value) in fields.items():
        if kind is modifier.type and value is None:
            yield Finding((*path, wire), f"is missing, and needed for type {kind.value}", "say the new path")
        elif kind is not modifier.type and value is not None:
            yield Finding((*path, wire), f"must be left out where type is {modifier.type.value}", "remove it")
        elif value is not None and not _PATH.fullmatch(value):
            yield Finding((*path, wire), f"{value!r} is not a path", "use the characters that a path may have")
        elif value and not value.startswith("/"):
            yield Finding((*path, wire), f"{value!r} does not begin with '/'", f"write /{value}")


def _cors(cors: CORS, path: Path) -> Iterator[Finding]:
    lists = (
        ("allowOrigins", cors.allow_origins),
        ("allowMethods", cors.allow_methods),
        ("allowHeaders", cors.allow_headers),
    )
    for name, values in lists:
        if ANY in values and len(values) > 1:
            yield Finding((*path, name), "cannot contain '*' alongside others", "keep '*' alone, or the others")
    for index, origin in enumerate(cors.allow_origins):
        if not _ORIGIN.fullmatch(origin):
            mend = "write scheme and host, as in https://shop.example or https://*.example, or '*'"
            yield Finding((*path, "allowOrigins", index), f"{origin!r} is not an origin", mend)
    for index, method in enumerate(cors.allow_methods):
        if method not in (*METHODS, ANY):
            yield Finding((*path, "allowMethods", index), f"{method!r} is not a known method", _KNOWN_METHODS)
    for name, values in (("allowHeaders", cors.allow_headers), ("exposeHeaders", cors.expose_headers)):
        for index, header in enumerate(values):
            yield from check_header_name(header, (*path, name, index))
        if ANY in values and cors.allow_credentials:
            message = (
                "'*' is not supported by this version of mesh-adapter with allowCredentials: browsers read it literally"
            )
            yield Finding((*path, name), message, "name the headers")


_KNOWN_METHODS = f"known are {', '.join(METHODS)}"
_CHECKS: Mapping[type[Any], Any] = {
    HeaderModifier: _header_modifier,
    RequestMirror: _mirror,
    RequestRedirect: _redirect,
    URLRewrite: _rewrite,
    CORS: _cors,
}
