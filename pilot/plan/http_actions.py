"""Decides what is done with a request that a route takes: forwarded, redirected or answered. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from galley.kinds import virtual_service as kind
from pilot import ir
from pilot.plan.client import Client
from pilot.plan.headers import authority, destination_headers
from pilot.plan.percent import MILLION, per_million
from pilot.plan.retries import retry_policy
from pilot.plan.split import Rule, cluster, split

MOVED_PERMANENTLY = 301
_PREFIX = "%PREFIX()%"


def action(
    client: Client, rule: Rule, port: int, http: kind.HTTPRoute, match: kind.HTTPMatchRequest | None
) -> ir.Action:
    """What `http` does with the requests of one of its matches, or of all where it has none."""
    if http.redirect:
        return _redirect(http.redirect, port)
    if http.direct_response:
        body = http.direct_response.body or kind.HTTPBody()
        return ir.DirectResponse(http.direct_response.status, body.string or "", body.bytes or b"")
    rewrite = http.rewrite or kind.HTTPRewrite()
    prefix, regex = _path_rewrite(rewrite, match)
    destinations = [
        (each.destination, each.weight, destination_headers(each), authority(each.headers)) for each in http.route
    ]
    return ir.Forward(
        clusters=split(client, rule, port, destinations),
        timeout=http.timeout or timedelta(0),
        retry=retry_policy(http.retries),
        prefix_rewrite=prefix,
        regex_rewrite=regex,
        host_rewrite=rewrite.authority or authority(http.headers),
        mirrors=tuple(_mirrors(client, rule, port, http)) if http.mirror or http.mirrors else (),
        missing_status=http.missing_status,
    )


def _redirect(redirect: kind.HTTPRedirect, port: int) -> ir.Redirect:
    """The port of the request is the one these routes are for; that of the protocol is what Envoy says by itself.

    A `uri` that begins with %PREFIX()% is Istio's older way to write `prefixRewrite`.
    """
    number = redirect.port or 0
    if redirect.derive_port is kind.RedirectPortSelection.FROM_REQUEST_PORT:
        number = port
    prefix = redirect.prefix_rewrite
    if redirect.uri.startswith(_PREFIX):
        prefix = redirect.uri.removeprefix(_PREFIX)
    return ir.Redirect(
        status=redirect.redirect_code or MOVED_PERMANENTLY,
        scheme=redirect.scheme,
        host=redirect.authority,
        port=number,
        path="" if prefix else redirect.uri,
        prefix_rewrite=prefix,
    )


def _path_rewrite(rewrite: kind.HTTPRewrite, match: kind.HTTPMatchRequest | None) -> tuple[str, tuple[str, str] | None]:
    """`uri` replaces what the match matched: the prefix, or the whole path of an exact or regex match."""
    if rewrite.uri_regex_rewrite:
        return "", (rewrite.uri_regex_rewrite.match, rewrite.uri_regex_rewrite.rewrite)
    uri = match.uri if match else None
    if rewrite.uri and uri and uri.regex is not None:
        return "", (uri.regex, rewrite.uri)
    return rewrite.uri, None


def _mirrors(client: Client, rule: Rule, port: int, http: kind.HTTPRoute) -> Iterator[ir.Mirror]:
    """Each with a share of its own, everything where none is said; a share of nothing is left out."""
    wanted = [(each.destination, each.percentage, 100) for each in http.mirrors]
    if http.mirror:
        older = 100 if http.mirror_percent is None else http.mirror_percent
        wanted = [(http.mirror, http.mirror_percentage, older)]
    for destination, percentage, older in wanted:
        share = per_million(percentage, older)
        if destination and share:
            yield ir.Mirror(cluster(client, rule, port, destination), min(share, MILLION))
