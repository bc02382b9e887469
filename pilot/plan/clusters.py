"""Decides clusters: one per service port and subset outbound, one per local port inbound. Pure.

Defaults are Istio's: LEAST_REQUEST, 10 s to connect, circuit breakers wide open, and no panic: an endpoint the
platform calls unhealthy gets traffic only where a destination rule's `minHealthPercent` asks for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import attrs

from galley.kinds import destination_rule as kind
from pilot import ir
from pilot.model.agent import Feature
from pilot.model.proxy import Inbound, OutboundView
from pilot.model.service import Port, Protocol, Service
from pilot.plan import names
from pilot.plan.load_balancing import load_balancing
from pilot.plan.locality import shares
from pilot.plan.mesh_tls import begins_mesh_tls, client_tls, is_istio_mutual
from pilot.plan.peers import NOTHING_SAID, Peers
from pilot.plan.policy import Policy, Rule, for_client, policy, subsets
from pilot.plan.transport import proxy_protocol, tls

UNLIMITED = 2**32 - 1
CONNECT_TIMEOUT = timedelta(seconds=10)


def outbound_clusters(
    service: Service, rules: Sequence[Rule], view: OutboundView, peers: Peers = NOTHING_SAID
) -> tuple[ir.Cluster, ...]:
    """Each port whole, then each of its subsets."""
    found = []
    for port in service.distinct_ports:
        origin = str(rules[0]) if rules else ""
        in_force = for_client(policy(rules, port.number), rules, view)
        found.append(_outbound(service, port, "", in_force, view, origin, peers))
        for subset, rule in subsets(rules):
            in_force = for_client(policy(rules, port.number, subset), rules, view)
            found.append(_outbound(service, port, subset.name, in_force, view, str(rule), peers))
    return tuple(found)


def _outbound(
    service: Service, port: Port, subset: str, rule: Policy, view: OutboundView, origin: str, peers: Peers
) -> ir.Cluster:
    pool = rule.connection_pool or kind.ConnectionPoolSettings()
    outlier = rule.outlier_detection
    http = _upgraded(_spoken(port.protocol, rule.tls), pool.http)
    return ir.Cluster(
        name=names.outbound_cluster(service.host, port.number, subset),
        discovery=ir.Discovery.EDS,
        http=http,
        **load_balancing(rule.load_balancer),
        locality_weighted=shares(rule, view.locality) is not None,
        **_connections(pool.tcp or kind.TCPSettings(), pool.http or kind.HTTPSettings(), _budget_known(rule, view)),
        outlier_detection=_outlier_detection(outlier) if outlier else None,
        healthy_panic_threshold=outlier.min_health_percent if outlier else 0,
        **_tls(service, port, subset, rule, view, http, peers),
        proxy_protocol=proxy_protocol(rule.proxy_protocol),
        origin=origin,
    )


def _tls(
    service: Service,
    port: Port,
    subset: str,
    rule: Policy,
    view: OutboundView,
    http: ir.UpstreamHttp,
    peers: Peers,
) -> dict[str, Any]:
    """The fields of `ir.Cluster` about TLS: a rule's own, the mesh's, or none."""
    if is_istio_mutual(rule.tls) or rule.tls is None:
        if view.identity is None or not begins_mesh_tls(rule.tls, service):
            return {}
        found = client_tls(view.identity, peers, service, port, subset, http, rule.tls)
        return {"tls": found, "tls_where_taken": rule.tls is None}
    return {"tls": tls(rule.tls, http, view.system_ca, service.subject_alt_names)}


def _connections(tcp: kind.TCPSettings, http: kind.HTTPSettings, budget: kind.RetryBudget | None) -> dict[str, Any]:
    """The fields of `ir.Cluster` that follow from the connection pool; HTTP idles as TCP does where it does not say."""
    return {
        "connect_timeout": tcp.connect_timeout or CONNECT_TIMEOUT,
        "circuit_breakers": ir.CircuitBreakers(
            max_connections=tcp.max_connections or UNLIMITED,
            max_pending_requests=http.http1_max_pending_requests or UNLIMITED,
            max_requests=http.http2_max_requests or UNLIMITED,
            max_retries=http.max_retries or UNLIMITED,
            retry_budget=_retry_budget(budget) if budget else None,
        ),
        "keepalive": _keepalive(tcp.tcp_keepalive),
        "max_requests_per_connection": http.max_requests_per_connection or None,
        "max_concurrent_streams": http.max_concurrent_streams or None,
        "http2_keepalive": _http2_keepalive(http.http2_keep_alive),
        "idle_timeout": tcp.idle_timeout if http.idle_timeout is None else http.idle_timeout,
        "max_connection_duration": tcp.max_connection_duration,
    }


def resolved_by_proxy(cluster: ir.Cluster, endpoints: ir.LoadAssignment) -> ir.Cluster:
    """The same cluster with its endpoints inside, names among them, which Envoy resolves and keeps resolving."""
    return attrs.evolve(cluster, discovery=ir.Discovery.STRICT_DNS, endpoints=endpoints)


def passthrough_cluster() -> ir.Cluster:
    """Where DNS says, for requests whose host the mesh does not know."""
    return ir.Cluster(
        name=names.PASSTHROUGH,
        discovery=ir.Discovery.DYNAMIC_FORWARD_PROXY,
        load_balancer=ir.LoadBalancer.CLUSTER_PROVIDED,
        http=ir.UpstreamHttp.SAME,
        connect_timeout=CONNECT_TIMEOUT,
        circuit_breakers=ir.CircuitBreakers(UNLIMITED, UNLIMITED, UNLIMITED, UNLIMITED),
    )


def inbound_cluster(inbound: Inbound, protocol: Protocol) -> ir.Cluster:
    """The workload itself, on the loopback interface or a Unix domain socket, with the pool that a Sidecar says."""
    name = names.inbound_cluster(inbound.name_port)
    local = ir.LocalityEndpoints("", "", "", (ir.LbEndpoint(inbound.workload, inbound.port),))
    pool = inbound.pool or kind.ConnectionPoolSettings()
    return ir.Cluster(
        name=name,
        discovery=ir.Discovery.STATIC,
        load_balancer=ir.LoadBalancer.ROUND_ROBIN,
        http=_upgraded(upstream_http(protocol), pool.http),
        **_connections(pool.tcp or kind.TCPSettings(), pool.http or kind.HTTPSettings(), None),
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


def _spoken(protocol: Protocol, tls: kind.ClientTLSSettings | None) -> ir.UpstreamHttp:
    """The same; and HTTPS whose TLS a rule begins here is HTTP inside, so that each request can ask for its host."""
    begins_tls = tls is not None and tls.mode in (kind.TLSmode.SIMPLE, kind.TLSmode.MUTUAL)
    return ir.UpstreamHttp.HTTP1 if protocol is Protocol.HTTPS and begins_tls else upstream_http(protocol)


def _upgraded(http: ir.UpstreamHttp, settings: kind.HTTPSettings | None) -> ir.UpstreamHttp:
    """HTTP/2 where a rule asks for it, whatever the port says, or what the client speaks."""
    if settings and settings.h2_upgrade_policy is kind.H2UpgradePolicy.UPGRADE:
        return ir.UpstreamHttp.HTTP2
    return ir.UpstreamHttp.SAME if settings and settings.use_client_protocol else http


def _budget_known(rule: Policy, view: OutboundView) -> kind.RetryBudget | None:
    """Older Envoys count over the requests under way whatever the interval is to be."""
    if rule.retry_budget and Feature.RETRY_BUDGET_INTERVAL in view.withheld:
        return attrs.evolve(rule.retry_budget, budget_interval=None)
    return rule.retry_budget


def _retry_budget(settings: kind.RetryBudget) -> ir.RetryBudget:
    return ir.RetryBudget(settings.percent, settings.min_retry_concurrency or None, settings.budget_interval)


def _http2_keepalive(settings: kind.ConnectionKeepalive | None) -> ir.Http2Keepalive | None:
    """None also for what checking lets through no further: one without its interval or timeout."""
    if settings is None or settings.interval is None or settings.timeout is None:
        return None
    return ir.Http2Keepalive(settings.interval, settings.timeout)


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
        error_codes=tuple(sorted(set(settings.outlier_detection_http_error_codes))),
    )
