"""What rules of HTTPRoutes want of paths, and what they make of them by redirect or rewrite. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs

from galley.gateway_api.entrance import DEFAULT_PORTS, Entrance
from galley.kinds import virtual_service as istio
from galley.kinds.gateway_api.filters import HTTPFilter, PathModifier, RequestRedirect, URLRewrite
from galley.kinds.gateway_api.http_route import PathMatch, PathMatchType

ROOT = "/"


@attrs.frozen
class PathRule:
    """A condition, and what then becomes of the URL."""

    uri: istio.StringMatch
    redirect: istio.HTTPRedirect | None = None
    rewrite: istio.HTTPRewrite | None = None


def path_match(path: PathMatch) -> istio.StringMatch:
    """A prefix is one of whole elements; a `/` at its end means nothing."""
    if path.type is PathMatchType.Exact:
        return istio.StringMatch(exact=path.value)
    if path.type is PathMatchType.RegularExpression:
        return istio.StringMatch(regex=path.value)
    prefix = path.value.rstrip(ROOT)
    return istio.StringMatch(elements=prefix) if prefix else istio.StringMatch(prefix=ROOT)


def by_path(path: PathMatch, filters: Sequence[HTTPFilter], entrance: Entrance) -> Iterator[PathRule]:
    """The rule for a path; two of them where a prefix is taken away altogether.

    Envoy puts a new prefix before the rest as it is: `/a` taken from `/a/b` would leave `//b`, or nothing of `/a`.
    """
    change = _Change(
        next((each.request_redirect for each in filters if each.request_redirect), None),
        next((each.url_rewrite for each in filters if each.url_rewrite), None),
        entrance,
    )
    uri, prefix, replaced = path_match(path), path.value.rstrip(ROOT), change.new_prefix
    if replaced is None:
        yield change.rule(uri, "")
    elif not prefix:
        yield change.rule(uri, f"{replaced}/")
    elif replaced:
        yield change.rule(uri, replaced)
    else:
        yield change.rule(istio.StringMatch(exact=prefix), ROOT)
        yield change.rule(istio.StringMatch(prefix=f"{prefix}/"), ROOT)


@attrs.frozen
class _Change:
    """One of the two, or neither."""

    redirect: RequestRedirect | None
    rewrite: URLRewrite | None
    entrance: Entrance

    @property
    def new_prefix(self) -> str | None:
        found = self._path.replace_prefix_match if self._path else None
        return None if found is None else found.rstrip(ROOT)

    @property
    def _new_path(self) -> str:
        found = self._path.replace_full_path if self._path else None
        return "" if found is None else found or ROOT

    @property
    def _path(self) -> PathModifier | None:
        return next((each.path for each in (self.redirect, self.rewrite) if each), None)

    def rule(self, uri: istio.StringMatch, prefix: str) -> PathRule:
        """`prefix` replaces what matched; nothing does where it is empty."""
        if self.redirect:
            return PathRule(uri, redirect=self._redirect(self.redirect, prefix))
        if self.rewrite:
            regex = istio.RegexRewrite("^/.*$", self._new_path) if self._new_path else None
            return PathRule(uri, rewrite=istio.HTTPRewrite(prefix, self.rewrite.hostname, regex))
        return PathRule(uri)

    def _redirect(self, redirect: RequestRedirect, prefix: str) -> istio.HTTPRedirect:
        return istio.HTTPRedirect(
            uri=self._new_path,
            authority=redirect.hostname,
            port=self._port(redirect) or None,
            scheme=redirect.scheme,
            redirect_code=redirect.status_code,
            prefix_rewrite=prefix,
        )

    def _port(self, redirect: RequestRedirect) -> int:
        """What is said; else that of the scheme which is said; else the listener's. Usual ones are not written."""
        number = redirect.port or (0 if redirect.scheme else self.entrance.port)
        return 0 if number == DEFAULT_PORTS[redirect.scheme or self.entrance.scheme] else number
