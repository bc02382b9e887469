"""What an HTTP route does with a request that it takes: exactly one thing, and nothing beside it that contradicts."""

from __future__ import annotations

from collections.abc import Iterator

from galley.checks.values import check_dns_label, check_dns_name, check_port
from galley.document import Path
from galley.finding import Finding
from galley.kinds.virtual_service import Delegate, HTTPDirectResponse, HTTPRedirect, HTTPRoute

REDIRECT_CODES = frozenset({301, 302, 303, 307, 308})
_MAX_BODY = 1024 * 1024


def check_action(route: HTTPRoute, path: Path, *, delegate: bool) -> Iterator[Finding]:
    """All findings of a route's choice of action; `delegate` for the routes of a virtual service without hosts."""
    if route.delegate is not None:
        yield from _root_route(route, path, delegate=delegate)
        yield from _delegate(route.delegate, (*path, "delegate"))
        return
    chosen = _chosen(route)
    if not chosen:
        message = "needs one of route, redirect, directResponse and delegate"
        yield Finding(path, message, "add a route with a destination")
    elif len(chosen) > 1:
        yield Finding(path, f"cannot contain both {' and '.join(chosen)}", "keep one of them")
    elif chosen != ["route"]:
        yield from _beside_an_answer(route, chosen[0], path)
    yield from _redirect(route.redirect, (*path, "redirect"))
    yield from _direct_response(route.direct_response, (*path, "directResponse"))


def _chosen(route: HTTPRoute) -> list[str]:
    given = {"route": route.route, "redirect": route.redirect, "directResponse": route.direct_response}
    return [name for name, value in given.items() if value]


def _root_route(route: HTTPRoute, path: Path, *, delegate: bool) -> Iterator[Finding]:
    if delegate:
        message = "a delegate's HTTP route cannot contain delegate: only one level is supported"
        yield Finding((*path, "delegate"), message, "write the routes of the second level here")
    for name in _chosen(route):
        yield Finding(path, f"cannot contain both {name} and delegate", "leave the action to the delegate")


def _beside_an_answer(route: HTTPRoute, action: str, path: Path) -> Iterator[Finding]:
    """An answer of the proxy's own goes nowhere: what is about forwarding contradicts it or has no effect."""
    for name, contrary in (("fault", route.fault), ("rewrite", route.rewrite)):
        if contrary is not None:
            yield Finding(path, f"cannot contain both {name} and {action}", "keep one of the two")
    idle = {
        "timeout": route.timeout,
        "retries": route.retries,
        "mirror": route.mirror,
        "mirrors": route.mirrors,
    }
    for name, value in idle.items():
        if value:
            yield Finding((*path, name), f"has no effect beside {action}", "remove it", warning=True)


def _delegate(delegate: Delegate, path: Path) -> Iterator[Finding]:
    if delegate.name:
        yield from check_dns_name(delegate.name, (*path, "name"))
    else:
        yield Finding((*path, "name"), "is missing", "name the virtual service that decides further")
    if delegate.namespace:
        yield from check_dns_label(delegate.namespace, (*path, "namespace"))


def _redirect(redirect: HTTPRedirect | None, path: Path) -> Iterator[Finding]:
    if redirect is None:
        return
    places = (redirect.uri, redirect.authority, redirect.scheme, redirect.prefix_rewrite)
    if not any(places) and redirect.port is None and redirect.derive_port is None:
        message = "must specify one of uri, prefixRewrite, authority, scheme, port and derivePort"
        yield Finding(path, message, "say where the client is sent")
    if redirect.redirect_code and redirect.redirect_code not in REDIRECT_CODES:
        known = ", ".join(map(str, sorted(REDIRECT_CODES)))
        message = f"{redirect.redirect_code} is not a redirect code that Envoy can give"
        yield Finding((*path, "redirectCode"), message, f"use one of {known}")
    if redirect.scheme not in ("", "http", "https"):
        yield Finding((*path, "scheme"), f'scheme must be either "http" or "https", not {redirect.scheme!r}')
    if redirect.port is not None:
        yield from check_port(redirect.port, (*path, "port"))
    if redirect.uri and redirect.prefix_rewrite:
        yield Finding(path, "may only contain one of uri and prefixRewrite", "keep one of the two")
    for name, value in (("uri", redirect.uri), ("prefixRewrite", redirect.prefix_rewrite)):
        if any(character in value for character in "\r\n\0"):
            yield Finding((*path, name), "has a line break or NUL", "keep it on one line")
    if any(character in redirect.authority for character in "\r\n\0/"):
        yield Finding((*path, "authority"), f"{redirect.authority!r} is not a valid authority", "use HOST or HOST:PORT")


def _direct_response(response: HTTPDirectResponse | None, path: Path) -> Iterator[Finding]:
    if response is None:
        return
    if not 200 <= response.status <= 599:
        yield Finding((*path, "status"), f"HTTP status {response.status} must be in the range 200..599")
    body = response.body
    size = len((body.string or "").encode()) + len(body.bytes or b"") if body else 0
    if size > _MAX_BODY:
        yield Finding((*path, "body"), f"is larger than {_MAX_BODY} bytes", "serve it from a service")
