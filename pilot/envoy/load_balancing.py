"""Prints how a cluster chooses among its endpoints, and what routes hash for it."""

from __future__ import annotations

from typing import Any

from pilot import ir

_SLOW_START_KEY = "mesh.slow_start.aggression"
"""Envoy insists on a name under which its runtime could override the number; nobody sets it."""
_SLOW_STARTERS = {
    ir.LoadBalancer.ROUND_ROBIN: "round_robin_lb_config",
    ir.LoadBalancer.LEAST_REQUEST: "least_request_lb_config",
}


def load_balancing(value: ir.Cluster) -> dict[str, Any]:
    """Fields of envoy.config.cluster.v3.Cluster."""
    found: dict[str, Any] = {"lb_policy": value.load_balancer.value}
    if value.minimum_ring_size is not None:
        found["ring_hash_lb_config"] = {"minimum_ring_size": {"value": value.minimum_ring_size}}
    if value.maglev_table_size is not None:
        found["maglev_lb_config"] = {"table_size": {"value": value.maglev_table_size}}
    if value.slow_start is not None:
        found[_SLOW_STARTERS[value.load_balancer]] = {"slow_start_config": _slow_start(value.slow_start)}
    if value.locality_weighted:
        found["common_lb_config"] = {"locality_weighted_lb_config": {}}
    return found


def hash_policies(values: tuple[ir.HashPolicy, ...]) -> list[dict[str, Any]]:
    """envoy.config.route.v3.RouteAction.HashPolicy, each."""
    return [_hash_policy(each) for each in values]


def _slow_start(value: ir.SlowStart) -> dict[str, Any]:
    found: dict[str, Any] = {"slow_start_window": value.window}
    if value.aggression is not None:
        found["aggression"] = {"default_value": value.aggression, "runtime_key": _SLOW_START_KEY}
    if value.min_weight_percent is not None:
        found["min_weight_percent"] = {"value": value.min_weight_percent}
    return found


def _hash_policy(value: ir.HashPolicy) -> dict[str, Any]:
    if value.of is ir.HashOf.HEADER:
        return {"header": {"header_name": value.name}}
    if value.of is ir.HashOf.QUERY_PARAMETER:
        return {"query_parameter": {"name": value.name}}
    if value.of is ir.HashOf.SOURCE_IP:
        return {"connection_properties": {"source_ip": True}}
    cookie: dict[str, Any] = {"name": value.name, "path": value.path}
    if value.ttl is not None:
        cookie["ttl"] = value.ttl
    cookie["attributes"] = [{"name": name, "value": text} for name, text in value.attributes]
    return {"cookie": cookie}
