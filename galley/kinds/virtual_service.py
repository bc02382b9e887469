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

from galley.schema import Deprecated, Derived, Int32, NotYet, OneOf, UInt32

StringMap = tuple[tuple[str, str], ...]


@attrs.frozen
class StringMatch:
    """One way to compare a string; `regex` is RE2's syntax and matches the whole string.

    `elements` is of HTTPRoutes: a path, or one below it.
    """

    exact: Annotated[str | None, OneOf("match_type")] = None
    prefix: Annotated[str | None, OneOf("match_type")] = None
    regex: Annotated[str | None, OneOf("match_type")] = None
    elements: Annotated[str | None, Derived()] = None


StringMatchMap = tuple[tuple[str, StringMatch], ...]


@attrs.frozen
class PortSelector:
    """A port by its number."""

    number: UInt32 = 0


@attrs.frozen
class Destination:
    """Where traffic goes: a host, of it a subset that a DestinationRule defines, and a port if it has several."""

    host: str = ""
    subset: str = ""
    port: PortSelector | None = None


@attrs.frozen
class HeaderOperations:
    """Changes to headers: `set` overwrites, `add` appends."""

    set: StringMap = ()
    add: StringMap = ()
    remove: tuple[str, ...] = ()


def is_authority(header: str) -> bool:
    """Whether a header's name means the host of the request, in HTTP/1 or later."""
    return header.lower() in ("host", ":authority")


@attrs.frozen
class Headers:
    """Changes to the headers of the request before it leaves and of the response before it is handed back."""

    request: HeaderOperations | None = None
    response: HeaderOperations | None = None


@attrs.frozen
class HTTPMatchRequest:
    """Conditions that must all hold. In the maps an empty StringMatch asks only that the key is present."""

    name: str = ""
    uri: StringMatch | None = None
    scheme: StringMatch | None = None
    method: StringMatch | None = None
    authority: StringMatch | None = None
    headers: StringMatchMap = ()
    port: UInt32 = 0
    source_labels: StringMap = ()
    gateways: tuple[str, ...] = ()
    query_params: StringMatchMap = ()
    ignore_uri_case: bool = False
    without_headers: StringMatchMap = ()
    source_namespace: str = ""
    stat_prefix: str = ""


@attrs.frozen
class HTTPRouteDestination:
    """One of a route's destinations and its share of 100; the fields after `headers` are Istio 1.1's."""

    destination: Destination | None = None
    weight: Int32 = 0
    headers: Headers | None = None
    append_request_headers: Annotated[StringMap, Deprecated("headers.request.add")] = ()
    remove_request_headers: Annotated[tuple[str, ...], Deprecated("headers.request.remove")] = ()
    append_response_headers: Annotated[StringMap, Deprecated("headers.response.add")] = ()
    remove_response_headers: Annotated[tuple[str, ...], Deprecated("headers.response.remove")] = ()


@attrs.frozen
class RouteDestination:
    """A destination of TCP or TLS traffic and its share of 100."""

    destination: Destination | None = None
    weight: Int32 = 0


@attrs.frozen
class L4MatchAttributes:
    """Conditions on a TCP connection that must all hold."""

    destination_subnets: tuple[str, ...] = ()
    port: UInt32 = 0
    source_subnet: Annotated[str, NotYet(why="connections come from the workload beside the proxy")] = ""
    source_labels: StringMap = ()
    gateways: tuple[str, ...] = ()
    source_namespace: str = ""


@attrs.frozen
class TLSMatchAttributes:
    """Conditions on a TLS connection that is passed through."""

    sni_hosts: tuple[str, ...] = ()
    destination_subnets: tuple[str, ...] = ()
    port: UInt32 = 0
    source_labels: StringMap = ()
    gateways: tuple[str, ...] = ()
    source_namespace: str = ""
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

    uri: str = ""
    authority: str = ""
    port: Annotated[UInt32 | None, OneOf("redirect_port")] = None
    derive_port: Annotated[RedirectPortSelection | None, OneOf("redirect_port")] = None
    scheme: str = ""
    redirect_code: UInt32 = 0
    prefix_rewrite: str = ""


@attrs.frozen
class HTTPBody:
    """The body of a direct response."""

    string: Annotated[str | None, OneOf("specifier")] = None
    bytes: Annotated[builtins.bytes | None, OneOf("specifier")] = None


@attrs.frozen
class HTTPDirectResponse:
    """A fixed answer, given by the proxy itself."""

    status: UInt32 = 0
    body: HTTPBody | None = None


@attrs.frozen
class Delegate:
    """Another VirtualService that decides further."""

    name: str = ""
    namespace: str = ""


@attrs.frozen
class RegexRewrite:
    """Replaces what `match` finds in the path by `rewrite`, where \\1 to \\9 are its groups."""

    match: str = ""
    rewrite: str = ""


@attrs.frozen
class HTTPRewrite:
    """Changes to path and authority before the request is forwarded."""

    uri: str = ""
    authority: str = ""
    uri_regex_rewrite: RegexRewrite | None = None


@attrs.frozen
class HTTPRetry:
    """Retries of a failed request; `attempts` 0 switches them off."""

    attempts: Int32 = 0
    per_try_timeout: datetime.timedelta | None = None
    retry_on: str = ""
    retry_remote_localities: bool | None = None
    retry_ignore_previous_hosts: bool | None = None
    backoff: datetime.timedelta | None = None


class UnmatchedPreflights(enum.Enum):
    """What becomes of a preflight request that no origin matches."""

    UNSPECIFIED = "UNSPECIFIED"
    FORWARD = "FORWARD"
    IGNORE = "IGNORE"


@attrs.frozen
class CorsPolicy:
    """Cross-origin rules that the proxy answers by."""

    allow_origin: Annotated[tuple[str, ...], Deprecated("allowOrigins")] = ()
    allow_origins: tuple[StringMatch, ...] = ()
    allow_methods: tuple[str, ...] = ()
    allow_headers: tuple[str, ...] = ()
    expose_headers: tuple[str, ...] = ()
    max_age: datetime.timedelta | None = None
    allow_credentials: bool | None = None
    unmatched_preflights: UnmatchedPreflights = UnmatchedPreflights.UNSPECIFIED


@attrs.frozen
class Percent:
    """A share from 0 to 100."""

    value: float = 0.0


@attrs.frozen
class Delay:
    """Requests held back before they are forwarded."""

    percent: Annotated[Int32, Deprecated("percentage")] = 0
    fixed_delay: Annotated[datetime.timedelta | None, OneOf("http_delay_type")] = None
    exponential_delay: Annotated[datetime.timedelta | None, OneOf("http_delay_type")] = None
    percentage: Percent | None = None


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

    http_status: Annotated[Int32 | None, OneOf("error_type")] = None
    grpc_status: Annotated[str | None, OneOf("error_type")] = None
    http2_error: Annotated[str | None, OneOf("error_type")] = None
    percentage: Percent | None = None


@attrs.frozen
class HTTPFaultInjection:
    """Faults made on purpose."""

    delay: Delay | None = None
    abort: Abort | None = None


@attrs.frozen
class HTTPMirrorPolicy:
    """Where copies of requests go, and of how many."""

    destination: Destination | None = None
    percentage: Percent | None = None


@attrs.frozen
class HTTPRoute:
    """A rule for HTTP traffic: any of `match` (none: everything), and what then happens.

    The fields after `headers` are those of Istio 1.1 that later versions dropped. `origin` and `missing_status` are of
    routes of the Gateway API: the object that wrote the rule, and the answer for a destination that there is not.
    """

    name: str = ""
    match: tuple[HTTPMatchRequest, ...] = ()
    route: tuple[HTTPRouteDestination, ...] = ()
    redirect: HTTPRedirect | None = None
    direct_response: HTTPDirectResponse | None = None
    delegate: Delegate | None = None
    rewrite: HTTPRewrite | None = None
    timeout: datetime.timedelta | None = None
    retries: HTTPRetry | None = None
    fault: HTTPFaultInjection | None = None
    mirror: Destination | None = None
    mirrors: tuple[HTTPMirrorPolicy, ...] = ()
    mirror_percent: Annotated[UInt32 | None, Deprecated("mirrorPercentage")] = None
    mirror_percentage: Percent | None = None
    cors_policy: CorsPolicy | None = None
    headers: Headers | None = None
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

    hosts: tuple[str, ...] = ()
    gateways: tuple[str, ...] = ()
    http: tuple[HTTPRoute, ...] = ()
    tls: tuple[TLSRoute, ...] = ()
    tcp: tuple[TCPRoute, ...] = ()
    export_to: tuple[str, ...] = ()
