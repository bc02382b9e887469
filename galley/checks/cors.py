"""What a route's cross-origin rules must hold."""

from __future__ import annotations

from collections.abc import Iterator

from galley.checks.http_match import check_header_name, check_string_match
from galley.checks.values import SECOND, check_duration
from galley.document import Path
from galley.finding import Finding
from galley.kinds.virtual_service import CorsPolicy

METHODS = ("CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE")


def check_cors(policy: CorsPolicy | None, path: Path) -> Iterator[Finding]:
    """All findings of a CORS policy."""
    if policy is None:
        return
    for index, origin in enumerate(policy.allow_origins):
        yield from check_string_match(origin, (*path, "allowOrigins", index), presence=False)
    for index, text in enumerate(policy.allow_origin):
        if not text:
            yield Finding(
                (*path, "allowOrigin", index), "is an empty origin", "write it like https://shop.example, or *"
            )
    if policy.allow_origin and policy.allow_origins:
        message = "has no effect beside allowOrigins"
        yield Finding((*path, "allowOrigin"), message, "add {exact: …} to allowOrigins for each", warning=True)
    for index, method in enumerate(policy.allow_methods):
        if method != "*" and method not in METHODS:
            message = f"{method!r} is not a supported HTTP method"
            yield Finding((*path, "allowMethods", index), message, f"known are {', '.join(METHODS)}")
    for name, headers in (("allowHeaders", policy.allow_headers), ("exposeHeaders", policy.expose_headers)):
        for index, header in enumerate(headers):
            yield from check_header_name(header, (*path, name, index))
    yield from check_duration(policy.max_age, (*path, "maxAge"), step=SECOND)
