"""What a DestinationRule must hold beyond its types."""

from __future__ import annotations

from collections.abc import Iterator

from galley.checks.values import (
    MILLISECOND,
    SECOND,
    check_dns_label,
    check_duration,
    check_export_to,
    check_host,
    check_not_negative,
    check_percent,
    check_port_selector,
)
from galley.document import Path
from galley.finding import Finding
from galley.kinds.destination_rule import (
    ConnectionPoolSettings,
    DestinationRule,
    HTTPSettings,
    OutlierDetection,
    PortTrafficPolicy,
    Subset,
    TCPSettings,
    TrafficPolicy,
)


def check_destination_rule(spec: DestinationRule) -> Iterator[Finding]:
    """All findings of one DestinationRule, paths starting at `spec`."""
    path: Path = ("spec",)
    yield from check_host(spec.host, (*path, "host"), wildcard=True)
    yield from check_export_to(spec.export_to, (*path, "exportTo"))
    yield from _policy(spec.traffic_policy, (*path, "trafficPolicy"))
    yield from _subsets(spec.subsets, (*path, "subsets"))


def _subsets(subsets: tuple[Subset, ...], path: Path) -> Iterator[Finding]:
    seen: set[str] = set()
    for index, subset in enumerate(subsets):
        here = (*path, index)
        yield from check_dns_label(subset.name, (*here, "name"))
        if subset.name and subset.name in seen:
            yield Finding(
                (*here, "name"), f"duplicate subset name {subset.name!r}", "rename one of the two, or merge them"
            )
        seen.add(subset.name)
        if not all(key for key, _ in subset.labels):
            yield Finding((*here, "labels"), "has an empty label name", "name the label")
        yield from _policy(subset.traffic_policy, (*here, "trafficPolicy"))


def _policy(policy: TrafficPolicy | None, path: Path) -> Iterator[Finding]:
    if policy is None:
        return
    yield from _settings(policy, path)
    seen: set[int] = set()
    for index, port_policy in enumerate(policy.port_level_settings):
        here = (*path, "portLevelSettings", index)
        if port_policy.port is None:
            yield Finding(here, "has no port", "say which port it is for: port.number")
            continue
        yield from check_port_selector(port_policy.port, (*here, "port"))
        if port_policy.port.number in seen:
            yield Finding((*here, "port"), f"port {port_policy.port.number} is given twice", "merge the two")
        seen.add(port_policy.port.number)
        yield from _settings(port_policy, here)


def _settings(policy: TrafficPolicy | PortTrafficPolicy, path: Path) -> Iterator[Finding]:
    yield from _connection_pool(policy.connection_pool, (*path, "connectionPool"))
    yield from _outlier_detection(policy.outlier_detection, (*path, "outlierDetection"))


def _connection_pool(pool: ConnectionPoolSettings | None, path: Path) -> Iterator[Finding]:
    if pool is None:
        return
    if pool.tcp is not None:
        yield from _tcp(pool.tcp, (*path, "tcp"))
    if pool.http is not None:
        yield from _http(pool.http, (*path, "http"))


def _tcp(tcp: TCPSettings, path: Path) -> Iterator[Finding]:
    yield from check_not_negative(tcp.max_connections, (*path, "maxConnections"))
    yield from check_duration(tcp.connect_timeout, (*path, "connectTimeout"), least=MILLISECOND)
    yield from check_duration(tcp.max_connection_duration, (*path, "maxConnectionDuration"), least=MILLISECOND)
    yield from check_duration(tcp.idle_timeout, (*path, "idleTimeout"))
    if tcp.tcp_keepalive is not None:
        here = (*path, "tcpKeepalive")
        yield from check_duration(tcp.tcp_keepalive.time, (*here, "time"), least=SECOND, step=SECOND)
        yield from check_duration(tcp.tcp_keepalive.interval, (*here, "interval"), least=SECOND, step=SECOND)


def _http(http: HTTPSettings, path: Path) -> Iterator[Finding]:
    yield from check_not_negative(http.http1_max_pending_requests, (*path, "http1MaxPendingRequests"))
    yield from check_not_negative(http.http2_max_requests, (*path, "http2MaxRequests"))
    yield from check_not_negative(http.max_requests_per_connection, (*path, "maxRequestsPerConnection"))
    yield from check_not_negative(http.max_retries, (*path, "maxRetries"))
    yield from check_duration(http.idle_timeout, (*path, "idleTimeout"))


def _outlier_detection(outlier: OutlierDetection | None, path: Path) -> Iterator[Finding]:
    if outlier is None:
        return
    yield from check_not_negative(outlier.consecutive_errors, (*path, "consecutiveErrors"))
    yield from check_duration(outlier.interval, (*path, "interval"), least=MILLISECOND)
    yield from check_duration(outlier.base_ejection_time, (*path, "baseEjectionTime"), least=MILLISECOND)
    yield from check_percent(outlier.max_ejection_percent, (*path, "maxEjectionPercent"))
    yield from check_percent(outlier.min_health_percent, (*path, "minHealthPercent"))
    if outlier.consecutive_local_origin_failures and not outlier.split_external_local_origin_errors:
        yield Finding(
            (*path, "consecutiveLocalOriginFailures"),
            "has no effect without splitExternalLocalOriginErrors",
            "set splitExternalLocalOriginErrors to true",
            warning=True,
        )
