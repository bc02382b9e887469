"""Decides clusters: one per service port and subset outbound, one per local port inbound. Pure.

Defaults are Istio's: LEAST_REQUEST, 10 s to connect, circuit breakers wide open, and no panic: an endpoint the
platform calls unhealthy gets traffic only where a destination rule's `minHealthPercent` asks for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import attrs

from galley.kinds import destination_rule as kind
from pilot import ir
from pilot.model.proxy import Inbound
from pilot.model.service import Port, Protocol, Service
from pilot.plan import names
from pilot.plan.policy import Policy, Rule, policy, subsets

UNLIMITED = 2**32 - 1
CONNECT_TIMEOUT = timedelta(seconds=10)
LOCAL_ADDRESS = "127.0.0.1"

_LOAD_BALANCERS = {
    kind.SimpleLB.UNSPECIFIED: ir.LoadBalancer.LEAST_REQUEST,
    kind.SimpleLB.LEAST_CONN: ir.LoadBalancer.LEAST_REQUEST,
    kind.SimpleLB.LEAST_REQUEST: ir.LoadBalancer.LEAST_REQUEST,
    kind.SimpleLB.RANDOM: ir.LoadBalancer.RANDOM,
    kind.SimpleLB.ROUND_ROBIN: ir.LoadBalancer.ROUND_ROBIN,
}


def outbound_clusters(service: Service, rules: Sequence[Rule]) -> tuple[ir.Cluster, ...]:
    """Each port whole, then each of its subsets."""
    found = []
    for port in service.distinct_ports:
        origin = str(rules[0]) if rules else ""
        found.append(_outbound(service, port, "", policy(rules, port.number), origin))
        for subset, rule in subsets(rules):
            found.append(_outbound(service, port, subset.name, policy(rules, port.number, subset), str(rule)))
    return tuple(found)


def _outbound(service: Service, port: Port, subset: str, rule: Policy, origin: str) -> ir.Cluster:
    pool = rule.connection_pool or kind.ConnectionPoolSettings()
    tcp, http = pool.tcp or kind.TCPSettings(), pool.http or kind.HTTPSettings()
    outlier = rule.outlier_detection
    return ir.Cluster(
        name=names.outbound_cluster(service.host, port.number, subset),
        discovery=ir.Discovery.EDS,
        connect_timeout=tcp.connect_timeout or CONNECT_TIMEOUT,
        load_balancer=_load_balancer(rule.load_balancer),
        http=upstream_http(port.protocol),
        circuit_breakers=ir.CircuitBreakers(
            max_connections=tcp.max_connections or UNLIMITED,
            max_pending_requests=http.http1_max_pending_requests or UNLIMITED,
            max_requests=http.http2_max_requests or UNLIMITED,
            max_retries=http.max_retries or UNLIMITED,
        ),
        outlier_detection=_outlier_detection(outlier) if outlier else None,
        healthy_panic_threshold=outlier.min_health_percent if outlier else 0,
        keepalive=_keepalive(tcp.tcp_keepalive),
        max_requests_per_connection=http.max_requests_per_connection or None,
        idle_timeout=http.idle_timeout,
        max_connection_duration=tcp.max_connection_duration,
        origin=origin,
    )


def resolved_by_proxy(cluster: ir.Cluster, endpoints: ir.LoadAssignment) -> ir.Cluster:
    """The same cluster with its endpoints inside, names among them, which Envoy resolves and keeps resolving."""
    return attrs.evolve(cluster, discovery=ir.Discovery.STRICT_DNS, endpoints=endpoints)


def inbound_cluster(inbound: Inbound, protocol: Protocol) -> ir.Cluster:
    """The workload itself, on the loopback interface."""
    name = names.inbound_cluster(inbound.port)
    local = ir.LocalityEndpoints("", "", "", (ir.LbEndpoint(LOCAL_ADDRESS, inbound.port),))
    return ir.Cluster(
        name=name,
        discovery=ir.Discovery.STATIC,
        connect_timeout=CONNECT_TIMEOUT,
        load_balancer=ir.LoadBalancer.ROUND_ROBIN,
        http=upstream_http(protocol),
        circuit_breakers=ir.CircuitBreakers(UNLIMITED, UNLIMITED, UNLIMITED, UNLIMITED),
        healthy_panic_threshold=0,
        endpoints=ir.LoadAssignment(name, (local,)),
    )


def upstream_http(protocol: Protocol) -> ir.UpstreamHttp:
    """A port that names its protocol is spoken to in it; one that does not, as the client spoke to us."""
    if protocol.is_http2:
        return ir.UpstreamHttp.HTTP2
    if protocol is Protocol.HTTP:
        return ir.UpstreamHttp.HTTP1
    return ir.UpstreamHttp.SAME if protocol is Protocol.UNSPECIFIED else ir.UpstreamHttp.NONE


def _load_balancer(settings: kind.LoadBalancerSettings | None) -> ir.LoadBalancer:
    simple = settings.simple if settings and settings.simple else kind.SimpleLB.UNSPECIFIED
    return _LOAD_BALANCERS[simple]


def _keepalive(settings: kind.TcpKeepalive | None) -> ir.TcpKeepalive | None:
    if settings is None:
        return None
    return ir.TcpKeepalive(settings.probes or None, settings.time, settings.interval)


def _outlier_detection(settings: kind.OutlierDetection) -> ir.OutlierDetection:
    """Istio's translation; the older `consecutiveErrors` counts gateway errors and switches the count of 5xx off."""
    consecutive_5xx, gateway = settings.consecutive_5xx_errors, settings.consecutive_gateway_errors
    if settings.consecutive_errors and consecutive_5xx is None and gateway is None:
        consecutive_5xx, gateway = 0, settings.consecutive_errors
    split = settings.split_external_local_origin_errors
    return ir.OutlierDetection(
        consecutive_5xx=consecutive_5xx,
        consecutive_gateway_failure=gateway,
        consecutive_local_origin_failure=settings.consecutive_local_origin_failures if split else None,
        split_external_local_origin_errors=split,
        interval=settings.interval,
        base_ejection_time=settings.base_ejection_time,
        max_ejection_percent=settings.max_ejection_percent or None,
    )
