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
from galley.schema import Deprecated, Int32, NotYet, OneOf, UInt32, UInt64, Wire

_NO_CAPTURE = "a client names the service to its proxy, so there is no original destination to pass through to"
_NO_LOCAL_CLUSTER = (
    "Envoy would have to know all instances of the client's own service; localityLbSetting keeps traffic near"
)
_NO_CREDENTIALS = "no secrets are distributed yet; name files instead: clientCertificate, privateKey and caCertificates"
_NO_IDENTITIES = "no mesh identities are issued yet; MUTUAL with certificate files secures connections"


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

    name: str = ""
    value: str = ""


@attrs.frozen
class HTTPCookie:
    """The cookie whose value is hashed; generated with this `ttl` when absent."""

    name: str = ""
    path: str = ""
    ttl: datetime.timedelta | None = None
    attributes: tuple[Attribute, ...] = ()


@attrs.frozen
class RingHash:
    """Ketama's ring."""

    minimum_ring_size: UInt64 = 0


@attrs.frozen
class MagLev:
    """Maglev's table; its size is a prime."""

    table_size: UInt64 = 0


@attrs.frozen
class ConsistentHashLB:
    """Soft session affinity: the same key goes to the same endpoint."""

    http_header_name: Annotated[str | None, OneOf("hash_key")] = None
    http_cookie: Annotated[HTTPCookie | None, OneOf("hash_key")] = None
    use_source_ip: Annotated[bool | None, OneOf("hash_key")] = None
    http_query_parameter_name: Annotated[str | None, OneOf("hash_key")] = None
    ring_hash: Annotated[RingHash | None, OneOf("hash_algorithm")] = None
    maglev: Annotated[MagLev | None, OneOf("hash_algorithm")] = None
    minimum_ring_size: Annotated[UInt64, Deprecated("ringHash.minimumRingSize")] = 0


@attrs.frozen
class Distribute:
    """How the traffic of one locality is shared out among localities, in percent."""

    from_: Annotated[str, Wire("from")] = ""
    to: tuple[tuple[str, UInt32], ...] = ()


@attrs.frozen
class Failover:
    """Which region takes over when the endpoints of another fail."""

    from_: Annotated[str, Wire("from")] = ""
    to: str = ""


@attrs.frozen
class LocalityLoadBalancerSetting:
    """Traffic kept near, or shared out by locality."""

    distribute: tuple[Distribute, ...] = ()
    failover: tuple[Failover, ...] = ()
    failover_priority: tuple[str, ...] = ()
    enabled: bool | None = None


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

    duration: datetime.timedelta | None = None
    minimum_percent: float | None = None
    aggression: float | None = None


@attrs.frozen
class LoadBalancerSettings:
    """How one of a host's endpoints is chosen."""

    simple: Annotated[SimpleLB | None, OneOf("lb_policy"), NotYet((SimpleLB.PASSTHROUGH,), _NO_CAPTURE)] = None
    consistent_hash: Annotated[ConsistentHashLB | None, OneOf("lb_policy")] = None
    locality_lb_setting: LocalityLoadBalancerSetting | None = None
    zone_aware_lb_setting: Annotated[ZoneAwareLoadBalancerSetting | None, NotYet(why=_NO_LOCAL_CLUSTER)] = None
    warmup_duration_secs: Annotated[datetime.timedelta | None, Deprecated("warmup.duration")] = None
    warmup: WarmupConfiguration | None = None


@attrs.frozen
class TcpKeepalive:
    """TCP keepalive of the connections to the host's endpoints; 0 and absent leave the system's own value."""

    probes: UInt32 = 0
    time: datetime.timedelta | None = None
    interval: datetime.timedelta | None = None


@attrs.frozen
class TCPSettings:
    """Limits of connections, HTTP and TCP alike."""

    max_connections: Int32 = 0
    connect_timeout: datetime.timedelta | None = None
    tcp_keepalive: TcpKeepalive | None = None
    max_connection_duration: datetime.timedelta | None = None
    idle_timeout: datetime.timedelta | None = None


class H2UpgradePolicy(enum.Enum):
    """Whether HTTP/1.1 connections to the host become HTTP/2."""

    DEFAULT = "DEFAULT"
    DO_NOT_UPGRADE = "DO_NOT_UPGRADE"
    UPGRADE = "UPGRADE"


@attrs.frozen
class ConnectionKeepalive:
    """HTTP/2 pings on idle connections."""

    interval: datetime.timedelta | None = None
    timeout: datetime.timedelta | None = None


@attrs.frozen
class HTTPSettings:
    """Limits of HTTP requests and connections; 0 leaves the default."""

    http1_max_pending_requests: Int32 = 0
    http2_max_requests: Int32 = 0
    max_requests_per_connection: Int32 = 0
    max_retries: Int32 = 0
    idle_timeout: datetime.timedelta | None = None
    h2_upgrade_policy: H2UpgradePolicy = H2UpgradePolicy.DEFAULT
    use_client_protocol: bool = False
    max_concurrent_streams: Int32 = 0
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
    split_external_local_origin_errors: bool = False
    consecutive_local_origin_failures: UInt32 | None = None
    consecutive_gateway_errors: UInt32 | None = None
    consecutive_5xx_errors: UInt32 | None = None
    interval: datetime.timedelta | None = None
    base_ejection_time: datetime.timedelta | None = None
    max_ejection_percent: Int32 = 0
    min_health_percent: Int32 = 0
    outlier_detection_http_error_codes: tuple[UInt32, ...] = ()


class TLSmode(enum.Enum):
    """How connections to the host are secured."""

    DISABLE = "DISABLE"
    SIMPLE = "SIMPLE"
    MUTUAL = "MUTUAL"
    ISTIO_MUTUAL = "ISTIO_MUTUAL"


@attrs.frozen
class ClientTLSSettings:
    """TLS of the connections to the host."""

    mode: Annotated[TLSmode, NotYet((TLSmode.ISTIO_MUTUAL,), _NO_IDENTITIES)] = TLSmode.DISABLE
    client_certificate: str = ""
    private_key: str = ""
    ca_certificates: str = ""
    credential_name: Annotated[str, NotYet(why=_NO_CREDENTIALS)] = ""
    subject_alt_names: tuple[str, ...] = ()
    sni: str = ""
    insecure_skip_verify: bool | None = None
    ca_crl: str = ""


@attrs.frozen
class PortTrafficPolicy:
    """The policy of one port; replaces what stands above it, field by field not inherited.

    It has no tunnel, proxy protocol and retry budget of its own: those of the level it stands in hold.
    """

    port: PortSelector | None = None
    load_balancer: LoadBalancerSettings | None = None
    connection_pool: ConnectionPoolSettings | None = None
    outlier_detection: OutlierDetection | None = None
    tls: ClientTLSSettings | None = None


@attrs.frozen
class TunnelSettings:
    """Traffic tunnelled over another protocol."""

    protocol: str = ""
    target_host: str = ""
    target_port: UInt32 = 0


class ProxyProtocolVersion(enum.Enum):
    """Versions of the PROXY protocol."""

    V1 = "V1"
    V2 = "V2"


@attrs.frozen
class ProxyProtocol:
    """The PROXY protocol header, sent to the host's endpoints."""

    version: ProxyProtocolVersion = ProxyProtocolVersion.V1


@attrs.frozen
class RetryBudget:
    """Retries limited to a share of the requests under way."""

    percent: float | None = None
    min_retry_concurrency: UInt32 = 0
    budget_interval: datetime.timedelta | None = None


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

    name: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    traffic_policy: TrafficPolicy | None = None


@attrs.frozen
class DestinationRule:
    """The policies of traffic to one host, and the subsets that routes name."""

    host: str = ""
    traffic_policy: TrafficPolicy | None = None
    subsets: tuple[Subset, ...] = ()
    export_to: tuple[str, ...] = ()
    workload_selector: WorkloadSelector | None = None
