"""What a DestinationRule must hold beyond its types."""

from __future__ import annotations

from collections.abc import Iterator

from galley.checks.client_tls import check_client_tls
from galley.checks.connection_pool import check_connection_pool
from galley.checks.load_balancer import check_load_balancer
from galley.checks.values import (
    MILLISECOND,
    check_dns_label,
    check_duration,
    check_export_to,
    check_host,
    check_not_negative,
    check_percent,
    check_port,
    check_port_selector,
)
from galley.document import Path
from galley.finding import Finding
from galley.kinds.destination_rule import (
    ConnectionPoolSettings,
    DestinationRule,
    OutlierDetection,
    PortTrafficPolicy,
    RetryBudget,
    Subset,
    TrafficPolicy,
    TunnelSettings,
)
from galley.kinds.selector import WorkloadSelector


def check_destination_rule(spec: DestinationRule) -> Iterator[Finding]:
    """All findings of one DestinationRule, paths starting at `spec`."""
    path: Path = ("spec",)
    yield from check_host(spec.host, (*path, "host"), wildcard=True)
    yield from check_export_to(spec.export_to, (*path, "exportTo"))
    if spec.workload_selector is not None:
        yield from _selector(spec.workload_selector, (*path, "workloadSelector"))
        if spec.export_to not in ((), (".",)):
            message = "a rule with a workloadSelector is not exported beyond its own namespace"
            yield Finding((*path, "exportTo"), message, "remove it, or make it ['.']")
    yield from _policy(spec.traffic_policy, (*path, "trafficPolicy"))
    yield from _subsets(spec.subsets, (*path, "subsets"))


def _selector(selector: WorkloadSelector, path: Path) -> Iterator[Finding]:
    if not selector.match_labels:
        message = "workload selector specified without labels: it takes in every workload of its namespace"
        yield Finding(path, message, "say which labels, or remove it", warning=True)
    for key, value in selector.match_labels:
        if not key:
            yield Finding((*path, "matchLabels"), "has an empty label name", "name the label")
        if "*" in key or "*" in value:
            yield Finding((*path, "matchLabels", key), "wildcard is not supported in selector", "write the value whole")


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
    if policy == TrafficPolicy():
        yield Finding(path, "traffic policy must have at least one field", "remove it, or say what it is to do")
    yield from _settings(policy, path)
    yield from _of_all_ports(policy, path)
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
        if port_policy == PortTrafficPolicy(port_policy.port):
            yield Finding(here, "port traffic policy must have at least one field", "say what the port is to do")
        yield from _settings(port_policy, here)


def _of_all_ports(policy: TrafficPolicy, path: Path) -> Iterator[Finding]:
    """The blocks that a port can't have."""
    if policy.tunnel and policy.proxy_protocol:
        message = "tunnel and proxyProtocol must not be set together"
        yield Finding((*path, "proxyProtocol"), message, "keep one of the two")
    if policy.tunnel:
        yield from _tunnel(policy.tunnel, (*path, "tunnel"))
    if policy.retry_budget:
        yield from _retry_budget(policy.retry_budget, policy.connection_pool, path)


def _tunnel(tunnel: TunnelSettings, path: Path) -> Iterator[Finding]:
    if tunnel.protocol not in ("", "CONNECT", "POST"):
        message = f'tunnel protocol must be "CONNECT" or "POST", not {tunnel.protocol!r}'
        yield Finding((*path, "protocol"), message, "leave it out for CONNECT")
    yield from check_host(tunnel.target_host, (*path, "targetHost"), wildcard=False)
    yield from check_port(tunnel.target_port, (*path, "targetPort"))


def _retry_budget(budget: RetryBudget, pool: ConnectionPoolSettings | None, path: Path) -> Iterator[Finding]:
    here = (*path, "retryBudget")
    if budget.percent is not None:
        yield from check_percent(budget.percent, (*here, "percent"))
    yield from check_duration(budget.budget_interval, (*here, "budgetInterval"), least=MILLISECOND)
    if pool and pool.http and pool.http.max_retries:
        message = "has no effect beside retryBudget, which takes its place"
        yield Finding((*path, "connectionPool", "http", "maxRetries"), message, "remove one of the two", warning=True)


def _settings(policy: TrafficPolicy | PortTrafficPolicy, path: Path) -> Iterator[Finding]:
    yield from check_load_balancer(policy.load_balancer, policy.outlier_detection, (*path, "loadBalancer"))
    yield from check_connection_pool(policy.connection_pool, (*path, "connectionPool"))
    yield from check_client_tls(policy.tls, (*path, "tls"))
    yield from _outlier_detection(policy.outlier_detection, (*path, "outlierDetection"))


def _outlier_detection(outlier: OutlierDetection | None, path: Path) -> Iterator[Finding]:
    if outlier is None:
        return
    for index, code in enumerate(outlier.outlier_detection_http_error_codes):
        if not 100 <= code <= 599:
            here = (*path, "outlierDetectionHttpErrorCodes", index)
            yield Finding(here, f"{code} is not an HTTP status", "give one from 100 to 599")
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
