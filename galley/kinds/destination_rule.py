"""DestinationRule and its messages (networking.istio.io, destination_rule.proto), field by field.

Data only: read by planning, built by `galley.decode` from the annotations. A field marked `Later` is known and refused
until planning carries it out; taking the mark away is how a feature is switched on.
"""

from __future__ import annotations

import datetime
import enum
from typing import Annotated

import attrs

from galley.kinds.selector import WorkloadSelector
from galley.kinds.virtual_service import PortSelector
from galley.schema import Becomes, Deprecated, Int32, NotYet, OneOf, UInt32, UInt64, Wire

_NO_CAPTURE = "a client names the service to its proxy, so there is no original destination to pass through to"
_NO_LOCAL_CLUSTER = (
    "Envoy would have to know all instances of the client's own service; localityLbSetting keeps traffic near"
)


class SimpleLB(enum.Enum):
    """Load balancing that needs no hash key. LEAST_CONN is the older name of LEAST_REQUEST."""

    UNSPECIFIED = "UNSPECIFIED"
    LEAST_CONN = "LEAST_CONN"
    RANDOM = "RANDOM"
    PASSTHROUGH = "PASSTHROUGH"
    ROUND_ROBIN = "ROUND_ROBIN"
    LEAST_REQUEST = "LEAST_REQUEST"


@attrs.frozen
class Attribute:
    """An attribute of a cookie that the proxy sets."""

    name: Annotated[str, Becomes("`cookie.attributes.name`")] = ""
    value: Annotated[str, Becomes("`cookie.attributes.value`")] = ""


@attrs.frozen
class HTTPCookie:
    """The cookie whose value is hashed; generated with this `ttl` when absent."""

    name: Annotated[str, Becomes("`hash_policy.cookie.name`")] = ""
    path: Annotated[str, Becomes("`hash_policy.cookie.path`")] = ""
    ttl: Annotated[datetime.timedelta | None, Becomes("`hash_policy.cookie.ttl`")] = None
    attributes: tuple[Attribute, ...] = ()


@attrs.frozen
class RingHash:
    """Ketama's ring."""

    minimum_ring_size: Annotated[UInt64, Becomes("`ring_hash_lb_config.minimum_ring_size`")] = 0


@attrs.frozen
class MagLev:
    """Maglev's table; its size is a prime."""

    table_size: Annotated[UInt64, Becomes("`maglev_lb_config.table_size`")] = 0


@attrs.frozen
class ConsistentHashLB:
    """Soft session affinity: the same key goes to the same endpoint."""

    http_header_name: Annotated[str | None, OneOf("hash_key"), Becomes("`hash_policy.header`")] = None
    http_cookie: Annotated[HTTPCookie | None, OneOf("hash_key")] = None
    use_source_ip: Annotated[
        bool | None, OneOf("hash_key"), Becomes("`hash_policy.connection_properties.source_ip`")
    ] = None
    http_query_parameter_name: Annotated[str | None, OneOf("hash_key"), Becomes("`hash_policy.query_parameter`")] = None
    ring_hash: Annotated[RingHash | None, OneOf("hash_algorithm"), Becomes("`lb_policy: RING_HASH`")] = None
    maglev: Annotated[MagLev | None, OneOf("hash_algorithm"), Becomes("`lb_policy: MAGLEV`")] = None
    minimum_ring_size: Annotated[UInt64, Deprecated("ringHash.minimumRingSize")] = 0


@attrs.frozen
class Distribute:
    """How the traffic of one locality is shared out among localities, in percent."""

    from_: Annotated[str, Wire("from"), Becomes("clusters of proxies there")] = ""
    to: Annotated[tuple[tuple[str, UInt32], ...], Becomes("`load_balancing_weight` of localities")] = ()


@attrs.frozen
class Failover:
    """Which region takes over when the endpoints of another fail."""

    from_: Annotated[str, Wire("from"), Becomes("clusters of proxies there")] = ""
    to: Annotated[str, Becomes("`priority` of that region: the next after the own")] = ""


@attrs.frozen
class LocalityLoadBalancerSetting:
    """Traffic kept near, or shared out by locality."""

    distribute: tuple[Distribute, ...] = ()
    failover: tuple[Failover, ...] = ()
    failover_priority: Annotated[tuple[str, ...], Becomes("`priority` by how many labels are shared")] = ()
    enabled: Annotated[bool | None, Becomes("whether localities have a `priority`")] = None


@attrs.frozen
class ZoneAwareLoadBalancerSetting:
    """Traffic kept in its zone as far as the zone's capacity goes."""

    enabled: bool | None = None
    failover: tuple[Failover, ...] = ()
    failover_priority: tuple[str, ...] = ()
    min_cluster_size: UInt64 | None = None


@attrs.frozen
class WarmupConfiguration:
    """Traffic that grows slowly for an endpoint that is new."""

    duration: Annotated[datetime.timedelta | None, Becomes("`slow_start_config.slow_start_window`")] = None
    minimum_percent: Annotated[float | None, Becomes("`slow_start_config.min_weight_percent`")] = None
    aggression: Annotated[float | None, Becomes("`slow_start_config.aggression`")] = None


@attrs.frozen
class LoadBalancerSettings:
    """How one of a host's endpoints is chosen."""

    simple: Annotated[
        SimpleLB | None, OneOf("lb_policy"), NotYet((SimpleLB.PASSTHROUGH,), _NO_CAPTURE), Becomes("`lb_policy`")
    ] = None
    consistent_hash: Annotated[
        ConsistentHashLB | None,
        OneOf("lb_policy"),
        Becomes("`lb_policy: RING_HASH` or `MAGLEV`, `hash_policy` of routes"),
    ] = None
    locality_lb_setting: LocalityLoadBalancerSetting | None = None
    zone_aware_lb_setting: Annotated[ZoneAwareLoadBalancerSetting | None, NotYet(why=_NO_LOCAL_CLUSTER)] = None
    warmup_duration_secs: Annotated[datetime.timedelta | None, Deprecated("warmup.duration")] = None
    warmup: WarmupConfiguration | None = None


@attrs.frozen
class TcpKeepalive:
    """TCP keepalive of the connections to the host's endpoints; 0 and absent leave the system's own value."""

    probes: Annotated[UInt32, Becomes("`tcp_keepalive.keepalive_probes`")] = 0
    time: Annotated[datetime.timedelta | None, Becomes("`tcp_keepalive.keepalive_time`")] = None
    interval: Annotated[datetime.timedelta | None, Becomes("`tcp_keepalive.keepalive_interval`")] = None


@attrs.frozen
class TCPSettings:
    """Limits of connections, HTTP and TCP alike."""

    max_connections: Annotated[Int32, Becomes("`circuit_breakers.thresholds.max_connections`")] = 0
    connect_timeout: Annotated[datetime.timedelta | None, Becomes("`connect_timeout`")] = None
    tcp_keepalive: TcpKeepalive | None = None
    max_connection_duration: Annotated[
        datetime.timedelta | None, Becomes("`max_connection_duration`; of TCP `max_downstream_connection_duration`")
    ] = None
    idle_timeout: Annotated[datetime.timedelta | None, Becomes("`idle_timeout`")] = None


class H2UpgradePolicy(enum.Enum):
    """Whether HTTP/1.1 connections to the host become HTTP/2."""

    DEFAULT = "DEFAULT"
    DO_NOT_UPGRADE = "DO_NOT_UPGRADE"
    UPGRADE = "UPGRADE"


@attrs.frozen
class ConnectionKeepalive:
    """HTTP/2 pings on idle connections."""

    interval: Annotated[
        datetime.timedelta | None, Becomes("`http2_protocol_options.connection_keepalive.interval`")
    ] = None
    timeout: Annotated[datetime.timedelta | None, Becomes("`http2_protocol_options.connection_keepalive.timeout`")] = (
        None
    )


@attrs.frozen
class HTTPSettings:
    """Limits of HTTP requests and connections; 0 leaves the default."""

    http1_max_pending_requests: Annotated[Int32, Becomes("`circuit_breakers.thresholds.max_pending_requests`")] = 0
    http2_max_requests: Annotated[Int32, Becomes("`circuit_breakers.thresholds.max_requests`")] = 0
    max_requests_per_connection: Annotated[
        Int32, Becomes("`common_http_protocol_options.max_requests_per_connection`")
    ] = 0
    max_retries: Annotated[Int32, Becomes("`circuit_breakers.thresholds.max_retries`")] = 0
    idle_timeout: Annotated[datetime.timedelta | None, Becomes("`common_http_protocol_options.idle_timeout`")] = None
    h2_upgrade_policy: Annotated[H2UpgradePolicy, Becomes("`explicit_http_config.http2_protocol_options`")] = (
        H2UpgradePolicy.DEFAULT
    )
    use_client_protocol: Annotated[bool, Becomes("`use_downstream_protocol_config`")] = False
    max_concurrent_streams: Annotated[Int32, Becomes("`http2_protocol_options.max_concurrent_streams`")] = 0
    http2_keep_alive: ConnectionKeepalive | None = None


@attrs.frozen
class ConnectionPoolSettings:
    """Limits of the connection pool of one host."""

    tcp: TCPSettings | None = None
    http: HTTPSettings | None = None


@attrs.frozen
class OutlierDetection:
    """When an endpoint is taken out for a while. A wrapper that is 0 switches its detection off, absent is default."""

    consecutive_errors: Annotated[Int32, Deprecated("consecutiveGatewayErrors or consecutive5xxErrors")] = 0
    split_external_local_origin_errors: Annotated[
        bool, Becomes("`outlier_detection.split_external_local_origin_errors`")
    ] = False
    consecutive_local_origin_failures: Annotated[
        UInt32 | None, Becomes("`outlier_detection.consecutive_local_origin_failure`")
    ] = None
    consecutive_gateway_errors: Annotated[UInt32 | None, Becomes("`outlier_detection.consecutive_gateway_failure`")] = (
        None
    )
    consecutive_5xx_errors: Annotated[UInt32 | None, Becomes("`outlier_detection.consecutive_5xx`")] = None
    interval: Annotated[datetime.timedelta | None, Becomes("`outlier_detection.interval`")] = None
    base_ejection_time: Annotated[datetime.timedelta | None, Becomes("`outlier_detection.base_ejection_time`")] = None
    max_ejection_percent: Annotated[Int32, Becomes("`outlier_detection.max_ejection_percent`")] = 0
    min_health_percent: Annotated[Int32, Becomes("`common_lb_config.healthy_panic_threshold`")] = 0
    outlier_detection_http_error_codes: Annotated[
        tuple[UInt32, ...], Becomes("`HttpProtocolOptions.outlier_detection.error_matcher`")
    ] = ()


class TLSmode(enum.Enum):
    """How connections to the host are secured."""

    DISABLE = "DISABLE"
    SIMPLE = "SIMPLE"
    MUTUAL = "MUTUAL"
    ISTIO_MUTUAL = "ISTIO_MUTUAL"


@attrs.frozen
class ClientTLSSettings:
    """TLS of the connections to the host."""

    mode: Annotated[
        TLSmode,
        Becomes("`transport_socket`: `UpstreamTlsContext`; of ISTIO_MUTUAL with the secrets `default` and `ROOTCA`"),
    ] = TLSmode.DISABLE
    client_certificate: Annotated[str, Becomes("`tls_certificates.certificate_chain`")] = ""
    private_key: Annotated[str, Becomes("`tls_certificates.private_key`")] = ""
    ca_certificates: Annotated[str, Becomes("`validation_context.trusted_ca`; without it the host's")] = ""
    credential_name: Annotated[
        str, Becomes("secrets `kubernetes://NAME` (MUTUAL) and `kubernetes://NAME-cacert`; of routers and by selector")
    ] = ""
    subject_alt_names: Annotated[
        tuple[str, ...], Becomes("`match_typed_subject_alt_names`; without it `auto_san_validation`")
    ] = ()
    sni: Annotated[str, Becomes("`sni`; without it `auto_sni`")] = ""
    insecure_skip_verify: Annotated[bool | None, Becomes("no `validation_context`")] = None
    ca_crl: Annotated[str, Becomes("`validation_context.crl`")] = ""


@attrs.frozen
class PortTrafficPolicy:
    """The policy of one port; replaces what stands above it, field by field not inherited.

    It has no tunnel, proxy protocol and retry budget of its own: those of the level it stands in hold.
    """

    port: Annotated[PortSelector | None, Becomes("the clusters of that port")] = None
    load_balancer: LoadBalancerSettings | None = None
    connection_pool: ConnectionPoolSettings | None = None
    outlier_detection: OutlierDetection | None = None
    tls: ClientTLSSettings | None = None


@attrs.frozen
class TunnelSettings:
    """Traffic tunnelled over another protocol."""

    protocol: Annotated[str, Becomes("`TcpProxy.tunneling_config.use_post`")] = ""
    target_host: Annotated[str, Becomes("`TcpProxy.tunneling_config.hostname`")] = ""
    target_port: Annotated[UInt32, Becomes("behind that host name")] = 0


class ProxyProtocolVersion(enum.Enum):
    """Versions of the PROXY protocol."""

    V1 = "V1"
    V2 = "V2"


@attrs.frozen
class ProxyProtocol:
    """The PROXY protocol header, sent to the host's endpoints."""

    version: Annotated[ProxyProtocolVersion, Becomes("`ProxyProtocolUpstreamTransport.config.version`")] = (
        ProxyProtocolVersion.V1
    )


@attrs.frozen
class RetryBudget:
    """Retries limited to a share of the requests under way."""

    percent: Annotated[float | None, Becomes("`thresholds.retry_budget.budget_percent`")] = None
    min_retry_concurrency: Annotated[UInt32, Becomes("`thresholds.retry_budget.min_retry_concurrency`")] = 0
    budget_interval: Annotated[datetime.timedelta | None, Becomes("`thresholds.retry_budget.budget_interval`")] = None


@attrs.frozen
class TrafficPolicy:
    """What happens to traffic once it is routed."""

    load_balancer: LoadBalancerSettings | None = None
    connection_pool: ConnectionPoolSettings | None = None
    outlier_detection: OutlierDetection | None = None
    tls: ClientTLSSettings | None = None
    port_level_settings: tuple[PortTrafficPolicy, ...] = ()
    tunnel: TunnelSettings | None = None
    proxy_protocol: ProxyProtocol | None = None
    retry_budget: RetryBudget | None = None


@attrs.frozen
class Subset:
    """A named part of a host's endpoints: those that carry the labels. Its policy goes over the rule's own."""

    name: Annotated[str, Becomes("a cluster `outbound|PORT|NAME|HOST`")] = ""
    labels: Annotated[tuple[tuple[str, str], ...], Becomes("its endpoints: those that carry them")] = ()
    traffic_policy: TrafficPolicy | None = None


@attrs.frozen
class DestinationRule:
    """The policies of traffic to one host, and the subsets that routes name."""

    host: Annotated[str, Becomes("the clusters of that host")] = ""
    traffic_policy: TrafficPolicy | None = None
    subsets: tuple[Subset, ...] = ()
    export_to: Annotated[tuple[str, ...], Becomes("clusters of proxies of these namespaces")] = ()
    workload_selector: Annotated[WorkloadSelector | None, Becomes("clusters of proxies with these labels")] = None
