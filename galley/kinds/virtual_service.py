"""VirtualService and its messages (networking.istio.io, virtual_service.proto), field by field.

Data only: read by planning, built by `galley.decode` from the annotations. A field marked `NotYet` is known and
refused.
"""

from __future__ import annotations

import builtins
import datetime
import enum
from typing import Annotated

import attrs

from galley.schema import Becomes, Deprecated, Derived, Int32, NotYet, OneOf, UInt32

StringMap = tuple[tuple[str, str], ...]


@attrs.frozen
class StringMatch:
    """One way to compare a string; `regex` is RE2's syntax and matches the whole string.

    `elements` is of HTTPRoutes: a path, or one below it.
    """

    exact: Annotated[str | None, OneOf("match_type"), Becomes("equal")] = None
    prefix: Annotated[str | None, OneOf("match_type"), Becomes("begins with")] = None
    regex: Annotated[str | None, OneOf("match_type"), Becomes("`safe_regex`, the whole value")] = None
    elements: Annotated[str | None, Derived()] = None


StringMatchMap = tuple[tuple[str, StringMatch], ...]


@attrs.frozen
class PortSelector:
    """A port by its number."""

    number: Annotated[UInt32, Becomes("the port in the cluster's name")] = 0


@attrs.frozen
class Destination:
    """Where traffic goes: a host, of it a subset that a DestinationRule defines, and a port if it has several."""

    host: Annotated[str, Becomes("cluster `outbound|PORT|SUBSET|HOST`")] = ""
    subset: Annotated[str, Becomes("the subset in that name")] = ""
    port: PortSelector | None = None


@attrs.frozen
class HeaderOperations:
    """Changes to headers: `set` overwrites, `add` appends."""

    set: Annotated[
        StringMap, Becomes("`headers_to_add`, `OVERWRITE_IF_EXISTS_OR_ADD`; of the host: `host_rewrite_literal`")
    ] = ()
    add: Annotated[StringMap, Becomes("`headers_to_add`, `APPEND_IF_EXISTS_OR_ADD`")] = ()
    remove: Annotated[tuple[str, ...], Becomes("`headers_to_remove`")] = ()


def is_authority(header: str) -> bool:
    """Whether a header's name means the host of the request, in HTTP/1 or later."""
    return header.lower() in ("host", ":authority")


@attrs.frozen
class Headers:
    """Changes to the headers of the request before it leaves and of the response before it is handed back."""

    request: Annotated[HeaderOperations | None, Becomes("`request_headers_to_add`, `_remove`")] = None
    response: Annotated[HeaderOperations | None, Becomes("`response_headers_to_add`, `_remove`")] = None


@attrs.frozen
class HTTPMatchRequest:
    """Conditions that must all hold. In the maps an empty StringMatch asks only that the key is present."""

    name: Annotated[str, Becomes("behind the route's `name`")] = ""
    uri: Annotated[StringMatch | None, Becomes("`match.path`, `prefix` or `safe_regex`")] = None
    scheme: Annotated[StringMatch | None, Becomes("`match.headers` of `:scheme`")] = None
    method: Annotated[StringMatch | None, Becomes("`match.headers` of `:method`")] = None
    authority: Annotated[StringMatch | None, Becomes("`match.headers` of `:authority`")] = None
    headers: Annotated[StringMatchMap, Becomes("`match.headers`")] = ()
    port: Annotated[UInt32, Becomes("routes of that port alone")] = 0
    source_labels: Annotated[StringMap, Becomes("routes of proxies with these labels")] = ()
    gateways: Annotated[tuple[str, ...], Becomes("routes of these gateways, or of sidecars (`mesh`)")] = ()
    query_params: Annotated[StringMatchMap, Becomes("`match.query_parameters`")] = ()
    ignore_uri_case: Annotated[bool, Becomes("`match.case_sensitive: false`")] = False
    without_headers: Annotated[StringMatchMap, Becomes("`match.headers`, `invert_match`")] = ()
    source_namespace: Annotated[str, Becomes("routes of proxies of that namespace")] = ""
    stat_prefix: Annotated[str, Becomes("`stat_prefix` of the route")] = ""


@attrs.frozen
class HTTPRouteDestination:
    """One of a route's destinations and its share of 100; the fields after `headers` are Istio 1.1's."""

    destination: Annotated[Destination | None, Becomes("`route.cluster`, or one of `route.weighted_clusters`")] = None
    weight: Annotated[Int32, Becomes("`weighted_clusters.weight`")] = 0
    headers: Annotated[Headers | None, Becomes("changes of headers of the weighted cluster")] = None
    append_request_headers: Annotated[StringMap, Deprecated("headers.request.add")] = ()
    remove_request_headers: Annotated[tuple[str, ...], Deprecated("headers.request.remove")] = ()
    append_response_headers: Annotated[StringMap, Deprecated("headers.response.add")] = ()
    remove_response_headers: Annotated[tuple[str, ...], Deprecated("headers.response.remove")] = ()


@attrs.frozen
class RouteDestination:
    """A destination of TCP or TLS traffic and its share of 100."""

    destination: Annotated[Destination | None, Becomes("`TcpProxy.cluster`, or one of `weighted_clusters`")] = None
    weight: Annotated[Int32, Becomes("`weighted_clusters.weight`")] = 0


@attrs.frozen
class L4MatchAttributes:
    """Conditions on a TCP connection that must all hold."""

    destination_subnets: Annotated[tuple[str, ...], Becomes("`filter_chain_match.prefix_ranges`")] = ()
    port: Annotated[UInt32, Becomes("filter chains of that port's listener alone")] = 0
    source_subnet: Annotated[str, NotYet(why="connections come from the workload beside the proxy")] = ""
    source_labels: Annotated[StringMap, Becomes("filter chains of proxies with these labels")] = ()
    gateways: Annotated[tuple[str, ...], Becomes("filter chains of these gateways, or of sidecars (`mesh`)")] = ()
    source_namespace: Annotated[str, Becomes("filter chains of proxies of that namespace")] = ""


@attrs.frozen
class TLSMatchAttributes:
    """Conditions on a TLS connection that is passed through."""

    sni_hosts: Annotated[tuple[str, ...], Becomes("`filter_chain_match.server_names`")] = ()
    destination_subnets: Annotated[tuple[str, ...], Becomes("`filter_chain_match.prefix_ranges`")] = ()
    port: Annotated[UInt32, Becomes("filter chains of that port's listener alone")] = 0
    source_labels: Annotated[StringMap, Becomes("filter chains of proxies with these labels")] = ()
    gateways: Annotated[tuple[str, ...], Becomes("filter chains of these gateways, or of sidecars (`mesh`)")] = ()
    source_namespace: Annotated[str, Becomes("filter chains of proxies of that namespace")] = ""
    source_subnet: Annotated[str, NotYet(why="connections come from the workload beside the proxy")] = ""


@attrs.frozen
class TLSRoute:
    """A route for TLS traffic that is passed through."""

    match: tuple[TLSMatchAttributes, ...] = ()
    route: tuple[RouteDestination, ...] = ()


@attrs.frozen
class TCPRoute:
    """A route for opaque TCP; without a match it takes every connection."""

    match: tuple[L4MatchAttributes, ...] = ()
    route: tuple[RouteDestination, ...] = ()


class RedirectPortSelection(enum.Enum):
    """How a redirect finds its port."""

    FROM_PROTOCOL_DEFAULT = "FROM_PROTOCOL_DEFAULT"
    FROM_REQUEST_PORT = "FROM_REQUEST_PORT"


@attrs.frozen
class HTTPRedirect:
    """An answer that sends the client elsewhere."""

    uri: Annotated[str, Becomes("`redirect.path_redirect`")] = ""
    authority: Annotated[str, Becomes("`redirect.host_redirect`")] = ""
    port: Annotated[UInt32 | None, OneOf("redirect_port"), Becomes("`redirect.port_redirect`")] = None
    derive_port: Annotated[
        RedirectPortSelection | None,
        OneOf("redirect_port"),
        Becomes("`redirect.port_redirect`: the port of the request, or none"),
    ] = None
    scheme: Annotated[str, Becomes("`redirect.scheme_redirect`")] = ""
    redirect_code: Annotated[UInt32, Becomes("`redirect.response_code`")] = 0
    prefix_rewrite: Annotated[str, Becomes("`redirect.prefix_rewrite`")] = ""


@attrs.frozen
class HTTPBody:
    """The body of a direct response."""

    string: Annotated[str | None, OneOf("specifier"), Becomes("`direct_response.body.inline_string`")] = None
    bytes: Annotated[builtins.bytes | None, OneOf("specifier"), Becomes("`direct_response.body.inline_bytes`")] = None


@attrs.frozen
class HTTPDirectResponse:
    """A fixed answer, given by the proxy itself."""

    status: Annotated[UInt32, Becomes("`direct_response.status`")] = 0
    body: HTTPBody | None = None


@attrs.frozen
class Delegate:
    """Another VirtualService that decides further."""

    name: Annotated[str, Becomes("that object's routes in the place of this one")] = ""
    namespace: Annotated[str, Becomes("where that object is")] = ""


@attrs.frozen
class RegexRewrite:
    """Replaces what `match` finds in the path by `rewrite`, where \\1 to \\9 are its groups."""

    match: Annotated[str, Becomes("`route.regex_rewrite.pattern`")] = ""
    rewrite: Annotated[str, Becomes("`route.regex_rewrite.substitution`")] = ""


@attrs.frozen
class HTTPRewrite:
    """Changes to path and authority before the request is forwarded."""

    uri: Annotated[str, Becomes("`route.prefix_rewrite`; after a regex match `regex_rewrite`")] = ""
    authority: Annotated[str, Becomes("`route.host_rewrite_literal`")] = ""
    uri_regex_rewrite: RegexRewrite | None = None


@attrs.frozen
class HTTPRetry:
    """Retries of a failed request; `attempts` 0 switches them off."""

    attempts: Annotated[Int32, Becomes("`retry_policy.num_retries`")] = 0
    per_try_timeout: Annotated[datetime.timedelta | None, Becomes("`retry_policy.per_try_timeout`")] = None
    retry_on: Annotated[str, Becomes("`retry_policy.retry_on` and `retriable_status_codes`")] = ""
    retry_remote_localities: Annotated[bool | None, Becomes("`retry_policy.retry_priority`: `previous_priorities`")] = (
        None
    )
    retry_ignore_previous_hosts: Annotated[
        bool | None, Becomes("`retry_policy.retry_host_predicate`: `previous_hosts`")
    ] = None
    backoff: Annotated[datetime.timedelta | None, Becomes("`retry_policy.retry_back_off.base_interval`")] = None


class UnmatchedPreflights(enum.Enum):
    """What becomes of a preflight request that no origin matches."""

    UNSPECIFIED = "UNSPECIFIED"
    FORWARD = "FORWARD"
    IGNORE = "IGNORE"


@attrs.frozen
class CorsPolicy:
    """Cross-origin rules that the proxy answers by."""

    allow_origin: Annotated[tuple[str, ...], Deprecated("allowOrigins"), Becomes("exact origins, `*` for all")] = ()
    allow_origins: Annotated[tuple[StringMatch, ...], Becomes("filter `cors`: `allow_origin_string_match`")] = ()
    allow_methods: Annotated[tuple[str, ...], Becomes("filter `cors`: `allow_methods`")] = ()
    allow_headers: Annotated[tuple[str, ...], Becomes("filter `cors`: `allow_headers`")] = ()
    expose_headers: Annotated[tuple[str, ...], Becomes("filter `cors`: `expose_headers`")] = ()
    max_age: Annotated[datetime.timedelta | None, Becomes("filter `cors`: `max_age`")] = None
    allow_credentials: Annotated[bool | None, Becomes("filter `cors`: `allow_credentials`")] = None
    unmatched_preflights: Annotated[
        UnmatchedPreflights, Becomes("filter `cors`: `forward_not_matching_preflights`")
    ] = UnmatchedPreflights.UNSPECIFIED


@attrs.frozen
class Percent:
    """A share from 0 to 100."""

    value: Annotated[float, Becomes("numerator over a million")] = 0.0


@attrs.frozen
class Delay:
    """Requests held back before they are forwarded."""

    percent: Annotated[Int32, Deprecated("percentage")] = 0
    fixed_delay: Annotated[
        datetime.timedelta | None, OneOf("http_delay_type"), Becomes("filter `fault`: `delay.fixed_delay`")
    ] = None
    exponential_delay: Annotated[
        datetime.timedelta | None,
        OneOf("http_delay_type"),
        Becomes("Envoy has no such fault", refused=True),
    ] = None
    percentage: Annotated[Percent | None, Becomes("filter `fault`: `delay.percentage`")] = None


GRPC_STATUSES = (
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
)
"""The names of gRPC's status codes, each at the place of its number."""


@attrs.frozen
class Abort:
    """Requests answered with an error instead of being forwarded."""

    http_status: Annotated[Int32 | None, OneOf("error_type"), Becomes("filter `fault`: `abort.http_status`")] = None
    grpc_status: Annotated[str | None, OneOf("error_type"), Becomes("filter `fault`: `abort.grpc_status`")] = None
    http2_error: Annotated[str | None, OneOf("error_type"), Becomes("Envoy has no such fault", refused=True)] = None
    percentage: Annotated[Percent | None, Becomes("filter `fault`: `abort.percentage`")] = None


@attrs.frozen
class HTTPFaultInjection:
    """Faults made on purpose."""

    delay: Delay | None = None
    abort: Abort | None = None


@attrs.frozen
class HTTPMirrorPolicy:
    """Where copies of requests go, and of how many."""

    destination: Annotated[Destination | None, Becomes("`request_mirror_policies.cluster`")] = None
    percentage: Annotated[Percent | None, Becomes("`request_mirror_policies.runtime_fraction`")] = None


@attrs.frozen
class HTTPRoute:
    """A rule for HTTP traffic: any of `match` (none: everything), and what then happens.

    The fields after `headers` are those of Istio 1.1 that later versions dropped. `origin` and `missing_status` are of
    routes of the Gateway API: the object that wrote the rule, and the answer for a destination that there is not.
    """

    name: Annotated[str, Becomes("`name` of the route")] = ""
    match: Annotated[tuple[HTTPMatchRequest, ...], Becomes("a route each")] = ()
    route: tuple[HTTPRouteDestination, ...] = ()
    redirect: HTTPRedirect | None = None
    direct_response: HTTPDirectResponse | None = None
    delegate: Delegate | None = None
    rewrite: HTTPRewrite | None = None
    timeout: Annotated[datetime.timedelta | None, Becomes("`route.timeout`")] = None
    retries: HTTPRetry | None = None
    fault: HTTPFaultInjection | None = None
    mirror: Annotated[Destination | None, Becomes("`route.request_mirror_policies`")] = None
    mirrors: tuple[HTTPMirrorPolicy, ...] = ()
    mirror_percent: Annotated[UInt32 | None, Deprecated("mirrorPercentage")] = None
    mirror_percentage: Annotated[Percent | None, Becomes("`request_mirror_policies.runtime_fraction`")] = None
    cors_policy: CorsPolicy | None = None
    headers: Annotated[Headers | None, Becomes("changes of headers of the route")] = None
    websocket_upgrade: Annotated[bool, Deprecated("nothing: WebSocket is always passed on")] = False
    append_headers: Annotated[StringMap, Deprecated("headers.request.add")] = ()
    append_request_headers: Annotated[StringMap, Deprecated("headers.request.add")] = ()
    remove_request_headers: Annotated[tuple[str, ...], Deprecated("headers.request.remove")] = ()
    append_response_headers: Annotated[StringMap, Deprecated("headers.response.add")] = ()
    remove_response_headers: Annotated[tuple[str, ...], Deprecated("headers.response.remove")] = ()
    origin: Annotated[str, Derived()] = ""
    missing_status: Annotated[int, Derived()] = 503


@attrs.frozen
class VirtualService:
    """How requests to `hosts` are routed; the first rule that matches decides."""

    hosts: Annotated[tuple[str, ...], Becomes("`RouteConfiguration.virtual_hosts.domains`")] = ()
    gateways: Annotated[
        tuple[str, ...], Becomes("the route configurations of these gateways, or of sidecars (`mesh`)")
    ] = ()
    http: Annotated[tuple[HTTPRoute, ...], Becomes("`virtual_hosts.routes`")] = ()
    tls: Annotated[tuple[TLSRoute, ...], Becomes("a filter chain with a `TcpProxy` each")] = ()
    tcp: Annotated[tuple[TCPRoute, ...], Becomes("a filter chain with a `TcpProxy` each")] = ()
    export_to: Annotated[tuple[str, ...], Becomes("routes of proxies of these namespaces")] = ()
