"""What an HTTP route does to requests on their way: retries, rewrites and header changes, checked."""

from __future__ import annotations

import re
from collections.abc import Iterator

from galley.checks.http_match import check_header_name
from galley.checks.regex import judge
from galley.checks.values import MILLISECOND, check_duration, check_host
from galley.document import Path
from galley.finding import Finding
from galley.kinds.virtual_service import (
    HeaderOperations,
    Headers,
    HTTPMatchRequest,
    HTTPRetry,
    HTTPRewrite,
    HTTPRoute,
    HTTPRouteDestination,
    RegexRewrite,
    is_authority,
)

# Envoy's x-envoy-retry-on and x-envoy-retry-grpc-on; a status code may stand among them, as Istio has it.
RETRY_ON = frozenset(
    {
        "5xx",
        "cancelled",
        "connect-failure",
        "deadline-exceeded",
        "envoy-ratelimited",
        "gateway-error",
        "http3-post-connect-failure",
        "internal",
        "refused-stream",
        "reset",
        "reset-before-request",
        "resource-exhausted",
        "retriable-4xx",
        "retriable-headers",
        "retriable-status-codes",
        "unavailable",
    }
)
_STATUS = re.compile(r"[1-5]\d\d")


def check_retries(retries: HTTPRetry | None, path: Path) -> Iterator[Finding]:
    """All findings of a retry policy."""
    if retries is None:
        return
    if retries.attempts < 0:
        yield Finding(
            (*path, "attempts"), f"attempts cannot be negative, it is {retries.attempts}", "0 disables retries"
        )
    yield from check_duration(retries.per_try_timeout, (*path, "perTryTimeout"))
    yield from check_duration(retries.backoff, (*path, "backoff"), least=MILLISECOND)
    for policy in retries.retry_on.split(",") if retries.retry_on else ():
        if policy.strip() not in RETRY_ON and not _STATUS.fullmatch(policy.strip()):
            mend = f"known policies are {', '.join(sorted(RETRY_ON))}, and status codes"
            yield Finding((*path, "retryOn"), f"{policy.strip()!r} is not a retry policy", mend)


def check_rewrite(rewrite: HTTPRewrite | None, matches: tuple[HTTPMatchRequest, ...], path: Path) -> Iterator[Finding]:
    """All findings of a rewrite, seen together with the matches it follows."""
    if rewrite is None:
        return
    if not (rewrite.uri or rewrite.authority or rewrite.uri_regex_rewrite):
        yield Finding(path, "must specify one of uri, authority and uriRegexRewrite", "add one, or remove it")
    if rewrite.authority:
        yield from check_host(rewrite.authority.partition(":")[0], (*path, "authority"), wildcard=False)
    if rewrite.uri_regex_rewrite is not None:
        yield from _regex_rewrite(rewrite.uri_regex_rewrite, (*path, "uriRegexRewrite"))
        if rewrite.uri:
            yield Finding(path, "may only contain one of uri and uriRegexRewrite", "keep one of the two")
    if rewrite.uri and any(match.uri is not None and match.uri.regex is not None for match in matches):
        message = "replaces the whole path where the match is a regex"
        yield Finding((*path, "uri"), message, "use uriRegexRewrite to keep a part of the path", warning=True)


def _regex_rewrite(rewrite: RegexRewrite, path: Path) -> Iterator[Finding]:
    judgement = judge(rewrite.match)
    if judgement.fault:
        yield Finding((*path, "match"), judgement.fault, judgement.mend)
        return
    highest = max((int(digit) for digit in re.findall(r"\\(\d)", rewrite.rewrite.replace("\\\\", ""))), default=0)
    if highest > judgement.groups:
        message = f"refers to group \\{highest}, but match has {judgement.groups}"
        yield Finding((*path, "rewrite"), message, "add the group to match, in parentheses")


def check_headers(headers: Headers | None, path: Path) -> Iterator[Finding]:
    """All findings of the header changes of one route or destination."""
    if headers is None:
        return
    for side, operations in (("request", headers.request), ("response", headers.response)):
        if operations is not None:
            yield from _operations(operations, (*path, side), authority=side == "request")


def check_authority(rewrite: HTTPRewrite | None, headers: Headers | None, path: Path) -> Iterator[Finding]:
    """The authority may be set in one place only: a rewrite, or the request headers of a route or a destination."""
    request = headers.request if headers else None
    places = [name for name, _ in (*request.set, *request.add) if is_authority(name)] if request else []
    if rewrite is not None and rewrite.authority:
        places.append("rewrite.authority")
    if len(places) > 1:
        yield Finding(path, f"sets the authority several times: {', '.join(places)}", "keep one of them")


def check_older_headers(place: HTTPRoute | HTTPRouteDestination, path: Path) -> Iterator[Finding]:
    """All findings of the header changes in Istio 1.1's older fields."""
    added = [("appendRequestHeaders", place.append_request_headers)]
    added.append(("appendResponseHeaders", place.append_response_headers))
    if isinstance(place, HTTPRoute):
        added.append(("appendHeaders", place.append_headers))
    for field, pairs in added:
        for name, value in pairs:
            yield from _changed_header(name, (*path, field, name))
            yield from _header_value(value, (*path, field, name))
    removed = (("removeRequestHeaders", place.remove_request_headers),)
    for field, names in (*removed, ("removeResponseHeaders", place.remove_response_headers)):
        for index, name in enumerate(names):
            yield from _changed_header(name, (*path, field, index))


def _operations(operations: HeaderOperations, path: Path, *, authority: bool) -> Iterator[Finding]:
    for verb, pairs in (("set", operations.set), ("add", operations.add)):
        for name, value in pairs:
            if not (authority and is_authority(name)):
                yield from _changed_header(name, (*path, verb, name))
            yield from _header_value(value, (*path, verb, name))
    for index, name in enumerate(operations.remove):
        yield from _changed_header(name, (*path, "remove", index))


def _changed_header(name: str, path: Path) -> Iterator[Finding]:
    if name.startswith(":") or name.lower() == "host":
        yield Finding(
            path, f"{name!r} cannot be changed here", "rewrite.authority changes the host, rewrite.uri the path"
        )
    else:
        yield from check_header_name(name, path)


def _header_value(value: str, path: Path) -> Iterator[Finding]:
    if any(character in value for character in "\r\n\0"):
        yield Finding(path, "has a line break or NUL in its value", "keep it on one line")
    elif value.count("%") % 2:
        yield Finding(
            path, "has a single '%' in its value, which begins a format command", "write %% for a percent sign"
        )
