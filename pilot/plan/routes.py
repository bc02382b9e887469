"""Decides routes: what a virtual service, or none, makes of the requests for one port of one host. Pure.

Istio's defaults hold where nothing is said: no timeout, two retries of what certainly was not processed, a retry goes
to another host. A virtual service replaces the default route as a whole: what matches none of its rules is 404.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta

import attrs

from galley.config import ConfigObject
from galley.kinds import virtual_service as kind
from pilot import ir
from pilot.model.proxy import OutboundView
from pilot.model.service import has_labels
from pilot.plan import names
from pilot.plan.index import Index

DEFAULT_RETRY_ON = "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes"
DEFAULT_RETRY = ir.RetryPolicy(attempts=2, retry_on=DEFAULT_RETRY_ON, retriable_status_codes=(503,))

Rule = ConfigObject[kind.VirtualService]


@attrs.frozen
class Client:
    """Who asks, and what of it rules may see."""

    index: Index
    view: OutboundView


def default_routes(host: str, port: int) -> tuple[ir.Route, ...]:
    """Everything to the service itself."""
    cluster = ir.WeightedCluster(names.outbound_cluster(host, port), 100)
    return (ir.Route("default", ir.RouteMatch(), ir.Forward((cluster,), retry=DEFAULT_RETRY)),)


def http_routes(client: Client, rule: Rule, port: int) -> tuple[ir.Route, ...]:
    """The rule's HTTP routes for requests to `port`, in order, up to the first that takes everything."""
    found: list[ir.Route] = []
    for route in _all_routes(client, rule, port):
        found.append(route)
        if route.match == ir.RouteMatch():
            break
    return tuple(found)


def tcp_clusters(client: Client, rule: Rule, port: int) -> tuple[ir.WeightedCluster, ...]:
    """The split of the rule's first TCP route that takes `port`; empty if there is none."""
    for route in rule.spec.tcp:
        if not route.match or any(match.port in (0, port) for match in route.match):
            return _split(client, rule, port, [(each.destination, each.weight, None) for each in route.route])
    return ()


def _all_routes(client: Client, rule: Rule, port: int) -> Iterator[ir.Route]:
    for http in rule.spec.http:
        if not http.match:
            yield _route(client, rule, port, http, None)
        for match in http.match:
            if _applies(client.view, match, port):
                yield _route(client, rule, port, http, match)


def _applies(view: OutboundView, match: kind.HTTPMatchRequest, port: int) -> bool:
    """The parts of a match that are known before any request: port and client."""
    return (
        match.port in (0, port)
        and match.source_namespace in ("", view.namespace)
        and has_labels(view.labels, match.source_labels)
    )


def _route(
    client: Client, rule: Rule, port: int, http: kind.HTTPRoute, match: kind.HTTPMatchRequest | None
) -> ir.Route:
    return ir.Route(
        name=".".join(filter(None, (http.name, match.name if match else ""))),
        match=_match(match) if match else ir.RouteMatch(),
        action=_action(client, rule, port, http, match),
        headers=_headers(http.headers),
        origin=str(rule),
    )


def _match(match: kind.HTTPMatchRequest) -> ir.RouteMatch:
    pseudo = ((":method", match.method), (":authority", match.authority))
    headers = [ir.HeaderMatch(name, _string(value)) for name, value in pseudo if value]
    headers += [ir.HeaderMatch(name.lower(), _string(value)) for name, value in match.headers]
    headers += [ir.HeaderMatch(name.lower(), _string(value), invert=True) for name, value in match.without_headers]
    path = _string(match.uri, match.ignore_uri_case) if match.uri else ir.RouteMatch().path
    queries = tuple(ir.HeaderMatch(name, _string(value)) for name, value in match.query_params)
    return ir.RouteMatch(path, tuple(headers), queries)


def _string(match: kind.StringMatch, ignore_case: bool = False) -> ir.StringMatch:
    """An empty match asks only that the value is there (Istio: `x-user: {}`)."""
    if match.exact is not None:
        return ir.StringMatch(ir.MatchKind.EXACT, match.exact, ignore_case)
    if match.prefix is not None:
        return ir.StringMatch(ir.MatchKind.PREFIX, match.prefix, ignore_case)
    if match.regex is not None:
        return ir.StringMatch(ir.MatchKind.REGEX, match.regex)
    return ir.StringMatch(ir.MatchKind.PRESENT)


def _action(
    client: Client, rule: Rule, port: int, http: kind.HTTPRoute, match: kind.HTTPMatchRequest | None
) -> ir.Action:
    if http.direct_response:
        body = http.direct_response.body
        return ir.DirectResponse(http.direct_response.status, (body.string or "") if body else "")
    split = _split(client, rule, port, [(each.destination, each.weight, each.headers) for each in http.route])
    rewrite = http.rewrite or kind.HTTPRewrite()
    prefix, regex = _path_rewrite(rewrite, match)
    return ir.Forward(
        clusters=split,
        timeout=http.timeout or timedelta(0),
        retry=_retry(http.retries),
        prefix_rewrite=prefix,
        regex_rewrite=regex,
        host_rewrite=rewrite.authority,
    )


def _path_rewrite(rewrite: kind.HTTPRewrite, match: kind.HTTPMatchRequest | None) -> tuple[str, tuple[str, str] | None]:
    """`uri` replaces what the match matched: the prefix, or the whole path of an exact or regex match."""
    if rewrite.uri_regex_rewrite:
        return "", (rewrite.uri_regex_rewrite.match, rewrite.uri_regex_rewrite.rewrite)
    uri = match.uri if match else None
    if rewrite.uri and uri and uri.regex is not None:
        return "", (uri.regex, rewrite.uri)
    return rewrite.uri, None


def _split(
    client: Client,
    rule: Rule,
    port: int,
    destinations: Iterable[tuple[kind.Destination | None, int, kind.Headers | None]],
) -> tuple[ir.WeightedCluster, ...]:
    """Weights as written; left out everywhere they are even. A destination of weight 0 beside others gets nothing."""
    given = [(destination, weight, headers) for destination, weight, headers in destinations if destination]
    even = not any(weight for _, weight, _ in given)
    return tuple(
        ir.WeightedCluster(_cluster(client, rule, port, destination), 1 if even else weight, _headers(headers))
        for destination, weight, headers in given
        if even or weight
    )


def _cluster(client: Client, rule: Rule, port: int, destination: kind.Destination) -> str:
    """The destination's cluster; its port is the one named, else the service's only one, else that of the request.

    A host that no platform knows keeps its name: Envoy answers 503 until the host appears (`galley.analyze` warns).
    """
    service = client.index.hosts.find(destination.host, rule.namespace)
    host = service.host if service else destination.host
    number = destination.port.number if destination.port else 0
    if not number:
        number = service.ports[0].number if service and len(service.ports) == 1 else port
    return names.outbound_cluster(host, number, destination.subset)


def _retry(retries: kind.HTTPRetry | None) -> ir.RetryPolicy | None:
    """Absent is the default policy, `attempts: 0` none. Numbers in `retryOn` are status codes, as in Istio."""
    if retries is None:
        return DEFAULT_RETRY
    if retries.attempts <= 0:
        return None
    conditions = [part.strip() for part in (retries.retry_on or DEFAULT_RETRY_ON).split(",") if part.strip()]
    codes = tuple(int(part) for part in conditions if part.isdigit())
    words = [part for part in conditions if not part.isdigit()]
    if codes and "retriable-status-codes" not in words:
        words.append("retriable-status-codes")
    if not codes and not retries.retry_on:
        codes = DEFAULT_RETRY.retriable_status_codes
    return ir.RetryPolicy(
        attempts=retries.attempts,
        retry_on=",".join(words),
        retriable_status_codes=codes,
        per_try_timeout=retries.per_try_timeout,
        previous_hosts=retries.retry_ignore_previous_hosts is not False,
        backoff=retries.backoff,
    )


def _headers(headers: kind.Headers | None) -> ir.HeaderOperations | None:
    if headers is None:
        return None
    request, response = headers.request or kind.HeaderOperations(), headers.response or kind.HeaderOperations()
    return ir.HeaderOperations(
        request_set=request.set,
        request_add=request.add,
        request_remove=request.remove,
        response_set=response.set,
        response_add=response.add,
        response_remove=response.remove,
    )
