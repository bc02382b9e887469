"""Prints clusters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from envoy_data_plane.envoy.config.cluster import v3 as library
from envoy_data_plane.envoy.config.common.matcher import v3 as matcher_library
from envoy_data_plane.envoy.extensions.upstreams.http import v3 as http_library

from pilot import ir
from pilot.envoy import codec
from pilot.envoy.dynamic_forward_proxy import CLUSTER_TYPE
from pilot.envoy.endpoints import load_assignment
from pilot.envoy.load_balancing import load_balancing
from pilot.envoy.sources import ADS, origin_metadata
from pilot.envoy.transport import transport_socket

_Cluster = codec.message(library.Cluster)
_MatchPredicate = codec.message(matcher_library.MatchPredicate)
_HttpProtocolOptions = codec.message(http_library.HttpProtocolOptions)
_HTTP_EXTENSION = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_PROTOCOLS: dict[ir.UpstreamHttp, dict[str, Any]] = {
    ir.UpstreamHttp.NONE: {},
    ir.UpstreamHttp.HTTP1: {"explicit_http_config": {"http_protocol_options": {}}},
    ir.UpstreamHttp.HTTP2: {"explicit_http_config": {"http2_protocol_options": {}}},
    ir.UpstreamHttp.SAME: {
        "use_downstream_protocol_config": {"http_protocol_options": {}, "http2_protocol_options": {}}
    },
}


def cluster(value: ir.Cluster) -> Any:
    """envoy.config.cluster.v3.Cluster."""
    found = _Cluster(
        name=value.name,
        **_discovery(value.discovery),
        connect_timeout=value.connect_timeout,
        **load_balancing(value),
        **transport_socket(value),
        circuit_breakers={"thresholds": [_thresholds(value.circuit_breakers)]},
        **origin_metadata(value.origin),
    )
    if value.discovery is ir.Discovery.EDS:
        found.eds_cluster_config.MergeFrom(_EDS)
        # Health and weight take effect at once: Envoy would hold them back for a second after any other change.
        found.common_lb_config.update_merge_window.SetInParent()
    if value.endpoints:
        found.load_assignment.CopyFrom(load_assignment(value.endpoints))
    if value.discovery in (ir.Discovery.STRICT_DNS, ir.Discovery.LOGICAL_DNS):
        found.dns_lookup_family = library.ClusterDnsLookupFamily.V4_PREFERRED
    if value.healthy_panic_threshold is not None:
        found.common_lb_config.healthy_panic_threshold.value = value.healthy_panic_threshold
    if value.outlier_detection:
        _fill_outlier_detection(found.outlier_detection, value.outlier_detection)
    if value.keepalive:
        _fill_keepalive(found.upstream_connection_options.tcp_keepalive, value.keepalive)
    options = _http_options(value)
    if options:
        found.typed_extension_protocol_options[_HTTP_EXTENSION].CopyFrom(codec.pack(options))
    return found


_EDS = codec.message(library.ClusterEdsClusterConfig)(eds_config=ADS)


def _discovery(value: ir.Discovery) -> dict[str, Any]:
    """One of Envoy's own kinds of cluster, or an extension."""
    if value is ir.Discovery.DYNAMIC_FORWARD_PROXY:
        return {"cluster_type": CLUSTER_TYPE}
    return {"type": value.value}


def _thresholds(value: ir.CircuitBreakers) -> dict[str, Any]:
    limits = {
        "max_connections": value.max_connections,
        "max_pending_requests": value.max_pending_requests,
        "max_requests": value.max_requests,
        "max_retries": value.max_retries,
    }
    found: dict[str, Any] = {name: {"value": limit} for name, limit in limits.items() if limit is not None}
    if value.retry_budget:
        found["retry_budget"] = _retry_budget(value.retry_budget)
    return found


def _retry_budget(value: ir.RetryBudget) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if value.percent is not None:
        found["budget_percent"] = {"value": value.percent}
    if value.min_retry_concurrency is not None:
        found["min_retry_concurrency"] = {"value": value.min_retry_concurrency}
    if value.interval is not None:
        found["budget_interval"] = value.interval
    return found


def _fill_outlier_detection(message: Any, value: ir.OutlierDetection) -> None:
    """A counter of 0 is off: nothing enforces it. What success rates say is never enforced, as in Istio."""
    message.enforcing_success_rate.value = 0
    for name, count in (
        ("consecutive_5xx", value.consecutive_5xx),
        ("consecutive_gateway_failure", value.consecutive_gateway_failure),
        ("consecutive_local_origin_failure", value.consecutive_local_origin_failure),
    ):
        if count is not None:
            getattr(message, name).value = max(count, 1)
            getattr(message, f"enforcing_{name}").value = 100 if count else 0
    if value.split_external_local_origin_errors:
        message.split_external_local_origin_errors = True
        message.enforcing_local_origin_success_rate.value = 0
    if value.interval is not None:
        message.interval.FromTimedelta(value.interval)
    if value.base_ejection_time is not None:
        message.base_ejection_time.FromTimedelta(value.base_ejection_time)
    if value.max_ejection_percent is not None:
        message.max_ejection_percent.value = value.max_ejection_percent


def _fill_keepalive(message: Any, value: ir.TcpKeepalive) -> None:
    message.SetInParent()
    if value.probes is not None:
        message.keepalive_probes.value = value.probes
    if value.time is not None:
        message.keepalive_time.value = int(value.time.total_seconds())
    if value.interval is not None:
        message.keepalive_interval.value = int(value.interval.total_seconds())


def _http_options(value: ir.Cluster) -> Any | None:
    """HTTP settings of the connections; Envoy wants the protocol said as soon as any of them is."""
    if value.http is ir.UpstreamHttp.NONE:
        return None
    options = _HttpProtocolOptions(**_PROTOCOLS[value.http])
    if value.http in _HTTP2_OPTIONS:
        _fill_http2(_HTTP2_OPTIONS[value.http](options), value)
    if value.tls and value.tls.auto_sni:
        options.upstream_http_protocol_options.auto_sni = True
        options.upstream_http_protocol_options.auto_san_validation = value.tls.auto_san
    if value.outlier_detection and value.outlier_detection.error_codes:
        options.outlier_detection.error_matcher.MergeFrom(_statuses(value.outlier_detection.error_codes))
    shared = options.common_http_protocol_options
    if value.max_requests_per_connection is not None:
        shared.max_requests_per_connection.value = value.max_requests_per_connection
    if value.idle_timeout is not None:
        shared.idle_timeout.FromTimedelta(value.idle_timeout)
    if value.max_connection_duration is not None:
        shared.max_connection_duration.FromTimedelta(value.max_connection_duration)
    return options


_HTTP2_OPTIONS: dict[ir.UpstreamHttp, Callable[[Any], Any]] = {
    ir.UpstreamHttp.HTTP2: lambda options: options.explicit_http_config.http2_protocol_options,
    ir.UpstreamHttp.SAME: lambda options: options.use_downstream_protocol_config.http2_protocol_options,
}


def _fill_http2(message: Any, value: ir.Cluster) -> None:
    if value.max_concurrent_streams is not None:
        message.max_concurrent_streams.value = value.max_concurrent_streams
    if value.http2_keepalive is not None:
        message.connection_keepalive.interval.FromTimedelta(value.http2_keepalive.interval)
        message.connection_keepalive.timeout.FromTimedelta(value.http2_keepalive.timeout)


def _statuses(codes: tuple[int, ...]) -> Any:
    """Responses with one of these statuses."""
    rules = [
        {"http_response_headers_match": {"headers": [{"name": ":status", "string_match": {"exact": str(code)}}]}}
        for code in codes
    ]
    return _MatchPredicate(**rules[0]) if len(rules) == 1 else _MatchPredicate(or_match={"rules": rules})
