"""Clusters and their endpoints: where requests go, by which connections, and who is left out."""

from __future__ import annotations

import enum
from datetime import timedelta

import attrs

from pilot.ir.tls import Tls


class Discovery(enum.Enum):
    EDS = "EDS"
    STATIC = "STATIC"
    STRICT_DNS = "STRICT_DNS"
    LOGICAL_DNS = "LOGICAL_DNS"
    ORIGINAL_DST = "ORIGINAL_DST"
    DYNAMIC_FORWARD_PROXY = "DYNAMIC_FORWARD_PROXY"
    """The host that a request names, looked up by the proxy; needs `HttpConnectionManager.dynamic_forward_proxy`."""


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
    retry_budget: RetryBudget | None = None


@attrs.frozen(cache_hash=True)
class RetryBudget:
    """Retries under way as a share of the requests; takes the place of `max_retries`."""

    percent: float | None = None
    min_retry_concurrency: int | None = None
    interval: timedelta | None = None


@attrs.frozen(cache_hash=True)
class SlowStart:
    """A new endpoint's weight grows over `window`; `aggression` bends the line, absent is straight."""

    window: timedelta
    aggression: float | None = None
    min_weight_percent: float | None = None


@attrs.frozen(cache_hash=True)
class Http2Keepalive:
    """PING frames at this interval; a connection that does not answer in time is closed."""

    interval: timedelta
    timeout: timedelta


class ProxyProtocol(enum.Enum):
    """Versions of the PROXY protocol, by Envoy's names."""

    V1 = "V1"
    V2 = "V2"


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
    error_codes: tuple[int, ...] = ()
    """Statuses that count as errors, instead of all 5xx; empty leaves those."""


@attrs.frozen(cache_hash=True)
class LbEndpoint:
    """`address` is an IP address, a name in a cluster that resolves it, or `unix:///path`, which has no port."""

    address: str
    port: int
    weight: int = 1
    health: str = "HEALTHY"
    """Envoy's HealthStatus: HEALTHY, UNHEALTHY, DRAINING, DEGRADED."""
    takes_mesh_tls: bool = False
    """Whether a proxy of the mesh stands beside it: matters where the cluster's `tls_where_taken` is set."""


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
    minimum_ring_size: int | None = None
    maglev_table_size: int | None = None
    slow_start: SlowStart | None = None
    locality_weighted: bool = False
    """Whether the weights of the load assignment's localities count."""
    http: UpstreamHttp = UpstreamHttp.NONE
    circuit_breakers: CircuitBreakers = CircuitBreakers()
    outlier_detection: OutlierDetection | None = None
    healthy_panic_threshold: int | None = None
    keepalive: TcpKeepalive | None = None
    max_requests_per_connection: int | None = None
    max_concurrent_streams: int | None = None
    http2_keepalive: Http2Keepalive | None = None
    idle_timeout: timedelta | None = None
    max_connection_duration: timedelta | None = None
    tls: Tls | None = None
    tls_where_taken: bool = False
    """Whether `tls` is for endpoints that take TLS of the mesh only, and the others are spoken to in plain text."""
    proxy_protocol: ProxyProtocol | None = None
    endpoints: LoadAssignment | None = None
    """Inline endpoints of a STATIC, STRICT_DNS or LOGICAL_DNS cluster."""
    origin: str = ""
