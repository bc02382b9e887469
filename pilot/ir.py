"""What a proxy is to do, in Envoy's words but without its types: the border between deciding and printing.

`pilot.plan` makes these values, `pilot.envoy` prints them and takes no decision. All are frozen and hashable, so equal
content is found in the cache and never encoded twice. Names of classes and fields follow Envoy's v3 API where the
meaning is the same. Durations are `timedelta`; an absent value is None and then Envoy's own default holds.
"""

from __future__ import annotations

import enum
from datetime import timedelta

import attrs


class MatchKind(enum.Enum):
    EXACT = "exact"
    PREFIX = "prefix"
    REGEX = "regex"
    PRESENT = "present"


@attrs.frozen(cache_hash=True)
class StringMatch:
    """Exact, prefix or RE2 full match of a value; PRESENT asks only that there is one."""

    kind: MatchKind
    value: str = ""
    ignore_case: bool = False


@attrs.frozen(cache_hash=True)
class HeaderMatch:
    name: str
    match: StringMatch
    invert: bool = False


@attrs.frozen(cache_hash=True)
class RouteMatch:
    """All parts must hold. `path` is EXACT, PREFIX or REGEX; methods and authority are header matches."""

    path: StringMatch = StringMatch(MatchKind.PREFIX, "/")
    headers: tuple[HeaderMatch, ...] = ()
    query_parameters: tuple[HeaderMatch, ...] = ()


@attrs.frozen(cache_hash=True)
class WeightedCluster:
    cluster: str
    weight: int
    headers: HeaderOperations | None = None


@attrs.frozen(cache_hash=True)
class HeaderOperations:
    """Header changes, applied set, add, remove, on the request and on the response."""

    request_set: tuple[tuple[str, str], ...] = ()
    request_add: tuple[tuple[str, str], ...] = ()
    request_remove: tuple[str, ...] = ()
    response_set: tuple[tuple[str, str], ...] = ()
    response_add: tuple[tuple[str, str], ...] = ()
    response_remove: tuple[str, ...] = ()


@attrs.frozen(cache_hash=True)
class RetryPolicy:
    """`retry_on` is Envoy's comma-separated list; `retriable_status_codes` its companion."""

    attempts: int
    retry_on: str
    retriable_status_codes: tuple[int, ...] = ()
    per_try_timeout: timedelta | None = None
    previous_hosts: bool = True
    host_selection_attempts: int = 5
    backoff: timedelta | None = None


@attrs.frozen(cache_hash=True)
class Forward:
    """Send on: to one cluster, or split by weight. `timeout` zero means none."""

    clusters: tuple[WeightedCluster, ...]
    timeout: timedelta = timedelta(0)
    retry: RetryPolicy | None = None
    prefix_rewrite: str = ""
    regex_rewrite: tuple[str, str] | None = None
    host_rewrite: str = ""


@attrs.frozen(cache_hash=True)
class DirectResponse:
    status: int
    body: str = ""


Action = Forward | DirectResponse


@attrs.frozen(cache_hash=True)
class Route:
    name: str
    match: RouteMatch
    action: Action
    headers: HeaderOperations | None = None
    origin: str = ""
    """The object that decided this, `VirtualService default/reviews`; printed as Istio's route metadata."""


@attrs.frozen(cache_hash=True)
class VirtualHost:
    name: str
    domains: tuple[str, ...]
    routes: tuple[Route, ...]


@attrs.frozen(cache_hash=True)
class RouteConfiguration:
    name: str
    virtual_hosts: tuple[VirtualHost, ...]


class Discovery(enum.Enum):
    EDS = "EDS"
    STATIC = "STATIC"
    STRICT_DNS = "STRICT_DNS"
    ORIGINAL_DST = "ORIGINAL_DST"


class LoadBalancer(enum.Enum):
    """By Istio's names; RANDOM, ROUND_ROBIN and LEAST_REQUEST are Envoy's own."""

    ROUND_ROBIN = "ROUND_ROBIN"
    LEAST_REQUEST = "LEAST_REQUEST"
    RANDOM = "RANDOM"
    RING_HASH = "RING_HASH"
    MAGLEV = "MAGLEV"
    CLUSTER_PROVIDED = "CLUSTER_PROVIDED"


class UpstreamHttp(enum.Enum):
    """Which HTTP the upstream is spoken to with; SAME means that of the downstream connection."""

    NONE = "none"
    HTTP1 = "http1"
    HTTP2 = "http2"
    SAME = "same"


@attrs.frozen(cache_hash=True)
class CircuitBreakers:
    """Envoy's thresholds, default priority."""

    max_connections: int | None = None
    max_pending_requests: int | None = None
    max_requests: int | None = None
    max_retries: int | None = None


@attrs.frozen(cache_hash=True)
class TcpKeepalive:
    probes: int | None = None
    time: timedelta | None = None
    interval: timedelta | None = None


@attrs.frozen(cache_hash=True)
class OutlierDetection:
    """Envoy's outlier detection; a counter of None is off or Envoy's default, as `pilot.plan.clusters` decides."""

    consecutive_5xx: int | None = None
    consecutive_gateway_failure: int | None = None
    consecutive_local_origin_failure: int | None = None
    split_external_local_origin_errors: bool = False
    interval: timedelta | None = None
    base_ejection_time: timedelta | None = None
    max_ejection_percent: int | None = None


@attrs.frozen(cache_hash=True)
class LbEndpoint:
    address: str
    port: int
    weight: int = 1
    health: str = "HEALTHY"
    """Envoy's HealthStatus: HEALTHY, UNHEALTHY, DRAINING, DEGRADED."""


@attrs.frozen(cache_hash=True)
class LocalityEndpoints:
    region: str
    zone: str
    subzone: str
    endpoints: tuple[LbEndpoint, ...]
    weight: int | None = None
    priority: int = 0


@attrs.frozen(cache_hash=True)
class LoadAssignment:
    """Envoy's ClusterLoadAssignment; empty localities mean a known cluster without endpoints."""

    cluster: str
    localities: tuple[LocalityEndpoints, ...] = ()


@attrs.frozen(cache_hash=True)
class Cluster:
    name: str
    discovery: Discovery
    connect_timeout: timedelta = timedelta(seconds=10)
    load_balancer: LoadBalancer = LoadBalancer.LEAST_REQUEST
    http: UpstreamHttp = UpstreamHttp.NONE
    circuit_breakers: CircuitBreakers = CircuitBreakers()
    outlier_detection: OutlierDetection | None = None
    healthy_panic_threshold: int | None = None
    keepalive: TcpKeepalive | None = None
    max_requests_per_connection: int | None = None
    idle_timeout: timedelta | None = None
    max_connection_duration: timedelta | None = None
    endpoints: LoadAssignment | None = None
    """Inline endpoints of a STATIC or STRICT_DNS cluster."""
    origin: str = ""


@attrs.frozen(cache_hash=True)
class HttpConnectionManager:
    """An HTTP filter chain: routes by RDS (`route_name`) or inline (`routes`); exactly one is set."""

    stat_prefix: str
    route_name: str = ""
    routes: RouteConfiguration | None = None
    upgrades: tuple[str, ...] = ("websocket",)
    use_remote_address: bool = False
    server_name: str = ""


@attrs.frozen(cache_hash=True)
class TcpProxy:
    stat_prefix: str
    clusters: tuple[WeightedCluster, ...]
    idle_timeout: timedelta | None = None


@attrs.frozen(cache_hash=True)
class FilterChain:
    filter: HttpConnectionManager | TcpProxy
    name: str = ""
    application_protocols: tuple[str, ...] = ()
    transport_protocol: str = ""


class Direction(enum.Enum):
    INBOUND = "INBOUND"
    OUTBOUND = "OUTBOUND"


@attrs.frozen(cache_hash=True)
class Listener:
    name: str
    address: str
    port: int
    direction: Direction
    chains: tuple[FilterChain, ...]
    http_inspector: bool = False
    origin: str = ""


@attrs.frozen(cache_hash=True)
class Plan:
    """All that one view of the mesh is to be told, by type; each tuple sorted by name, names unique."""

    clusters: tuple[Cluster, ...] = ()
    endpoints: tuple[LoadAssignment, ...] = ()
    listeners: tuple[Listener, ...] = ()
    routes: tuple[RouteConfiguration, ...] = ()
