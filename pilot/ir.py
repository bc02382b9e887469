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
    host_rewrite: str = ""


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
    remote_localities: bool = False
    """Whether a retry may leave the priority that failed, for the next one."""


class HashOf(enum.Enum):
    """What of a request is hashed."""

    HEADER = "header"
    COOKIE = "cookie"
    QUERY_PARAMETER = "query_parameter"
    SOURCE_IP = "source_ip"


@attrs.frozen(cache_hash=True)
class HashPolicy:
    """What decides which endpoint of a hashing cluster a request goes to. The last three are a cookie's.

    A cookie with a `ttl` is set where the request brings none; zero makes it one of the session.
    """

    of: HashOf
    name: str = ""
    path: str = ""
    ttl: timedelta | None = None
    attributes: tuple[tuple[str, str], ...] = ()


@attrs.frozen(cache_hash=True)
class Mirror:
    """Copies of requests, `per_million` of them, whose answers nobody reads."""

    cluster: str
    per_million: int


@attrs.frozen(cache_hash=True)
class Forward:
    """Send on: to one cluster, or split by weight. `timeout` zero means none.

    `max_stream_duration` bounds the whole call, which is the only bound that gRPC clients know.
    """

    clusters: tuple[WeightedCluster, ...]
    timeout: timedelta = timedelta(0)
    max_stream_duration: timedelta | None = None
    retry: RetryPolicy | None = None
    prefix_rewrite: str = ""
    regex_rewrite: tuple[str, str] | None = None
    host_rewrite: str = ""
    mirrors: tuple[Mirror, ...] = ()
    hash_policies: tuple[HashPolicy, ...] = ()


@attrs.frozen(cache_hash=True)
class DirectResponse:
    """An answer of the proxy's own; the body is text or bytes."""

    status: int
    body: str = ""
    body_bytes: bytes = b""


@attrs.frozen(cache_hash=True)
class Redirect:
    """The client is sent elsewhere: what is empty stays as the request has it. `path` or `prefix_rewrite`, not both."""

    status: int
    scheme: str = ""
    host: str = ""
    port: int = 0
    path: str = ""
    prefix_rewrite: str = ""


Action = Forward | DirectResponse | Redirect


@attrs.frozen(cache_hash=True)
class Fault:
    """Requests held back, answered with an error, or both; each of so many in a million, by dice of its own."""

    delay: timedelta | None = None
    delayed_per_million: int = 0
    http_status: int | None = None
    grpc_status: int | None = None
    aborted_per_million: int = 0


@attrs.frozen(cache_hash=True)
class Cors:
    """What the proxy lets browsers do across origins; a preflight request that matches is answered by the proxy."""

    allow_origins: tuple[StringMatch, ...] = ()
    allow_methods: str = ""
    allow_headers: str = ""
    expose_headers: str = ""
    max_age: str = ""
    allow_credentials: bool | None = None
    forward_unmatched_preflights: bool = True


@attrs.frozen(cache_hash=True)
class Route:
    name: str
    match: RouteMatch
    action: Action
    headers: HeaderOperations | None = None
    fault: Fault | None = None
    cors: Cors | None = None
    stat_prefix: str = ""
    origin: str = ""
    """The object that decided this, `VirtualService default/reviews`; printed as Istio's route metadata."""


@attrs.frozen(cache_hash=True)
class VirtualHost:
    name: str
    domains: tuple[str, ...]
    routes: tuple[Route, ...]
    require_tls: bool = False
    """Whether who comes by plain HTTP is sent to the same place by HTTPS (301)."""


@attrs.frozen(cache_hash=True)
class RouteConfiguration:
    name: str
    virtual_hosts: tuple[VirtualHost, ...]
    ignore_port: bool = False
    """Whether `web.example:8080` is the host `web.example`."""


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


class AltNameKind(enum.Enum):
    """Types of subject alternative names, by Envoy's names."""

    DNS = "DNS"
    URI = "URI"
    EMAIL = "EMAIL"
    IP_ADDRESS = "IP_ADDRESS"


@attrs.frozen(cache_hash=True)
class AltName:
    kind: AltNameKind
    value: str


@attrs.frozen(cache_hash=True)
class Tls:
    """TLS of the connections to a cluster, files as the proxy's host has them. Without `ca_file` nothing is verified.

    Without `sni` an HTTP cluster says the host of the request (`auto_sni`), and holds the certificate's names against
    it (`auto_san`); others say none.
    """

    ca_file: str = ""
    crl_file: str = ""
    certificate_file: str = ""
    key_file: str = ""
    alt_names: tuple[AltName, ...] = ()
    sni: str = ""
    auto_sni: bool = False
    auto_san: bool = False
    alpn: tuple[str, ...] = ()


@attrs.frozen(cache_hash=True)
class ServerTls:
    """TLS of the connections to a listener, files as the proxy's host has them.

    `certificates` are pairs of a chain and its key. Clients that show a certificate are verified where there is a
    `ca_file`; `alt_names`, `spki` and `hashes` narrow down which are let in. Versions are Envoy's names of them.
    """

    certificates: tuple[tuple[str, str], ...]
    ca_file: str = ""
    crl_file: str = ""
    require_client_certificate: bool = False
    alt_names: tuple[AltName, ...] = ()
    spki: tuple[str, ...] = ()
    hashes: tuple[str, ...] = ()
    min_version: str = ""
    max_version: str = ""
    cipher_suites: tuple[str, ...] = ()
    alpn: tuple[str, ...] = ()


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
    proxy_protocol: ProxyProtocol | None = None
    endpoints: LoadAssignment | None = None
    """Inline endpoints of a STATIC, STRICT_DNS or LOGICAL_DNS cluster."""
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
    dynamic_forward_proxy: bool = False
    """Whether routes may lead to a DYNAMIC_FORWARD_PROXY cluster."""
    grpc_web: bool = False
    """Whether gRPC-Web requests are made gRPC ones."""
    routes_may_fault: bool = False
    routes_may_cors: bool = False
    """Whether filters stand ready for what routes say of faults and origins."""


@attrs.frozen(cache_hash=True)
class TcpProxy:
    stat_prefix: str
    clusters: tuple[WeightedCluster, ...]
    idle_timeout: timedelta | None = None
    max_connection_duration: timedelta | None = None
    hash_source_ip: bool = False
    tunnel: Tunnel | None = None


@attrs.frozen(cache_hash=True)
class Tunnel:
    """The connection inside an HTTP request, CONNECT or POST, to `target` (`host:port`)."""

    target: str
    post: bool = False


@attrs.frozen(cache_hash=True)
class FilterChain:
    filter: HttpConnectionManager | TcpProxy
    name: str = ""
    application_protocols: tuple[str, ...] = ()
    transport_protocol: str = ""
    server_names: tuple[str, ...] = ()
    destinations: tuple[str, ...] = ()
    """Subnets in CIDR form, of which one must hold the address that the client dialled."""
    tls: ServerTls | None = None
    """How the chain ends TLS; None takes the bytes as they come."""


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
    tls_inspector: bool = False
    origin: str = ""


@attrs.frozen(cache_hash=True)
class ApiListener:
    """A listener that nobody listens for: a gRPC client asks for it by the target it is to call."""

    name: str
    http: HttpConnectionManager


@attrs.frozen(cache_hash=True)
class Plan:
    """All that one view of the mesh is to be told, by type; each tuple sorted by name, names unique."""

    clusters: tuple[Cluster, ...] = ()
    endpoints: tuple[LoadAssignment, ...] = ()
    listeners: tuple[Listener, ...] = ()
    api_listeners: tuple[ApiListener, ...] = ()
    routes: tuple[RouteConfiguration, ...] = ()
