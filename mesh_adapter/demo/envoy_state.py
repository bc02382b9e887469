"""What an Envoy's admin interface tells, read for the demo's three questions. Pure; who asks is `demo.probe`.

The demo calls a change in force when the Envoys say so, not when the control plane has sent it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from mesh_adapter.demo.topology import SERVICE_PORT, host

ROUTES = "/config_dump?resource=dynamic_route_configs"
CLUSTERS = "/clusters?format=json"


@attrs.frozen
class Endpoint:
    """One instance as an Envoy sees it: whether it is ejected, and the connections that were tried, in all."""

    ejected: bool
    attempts: int


def weights(config_dump: Any, service: str) -> dict[str, int]:
    """By version, what the Envoy's default route to the service splits; empty if it has no such route."""
    found: dict[str, int] = {}
    for virtual_host in _virtual_hosts(config_dump):
        if virtual_host.get("name") == f"{host(service)}:{SERVICE_PORT}":
            for route in virtual_host.get("routes", ())[-1:]:
                found |= _split(route.get("route", {}))
    return found


def _virtual_hosts(config_dump: Any) -> Iterator[Any]:
    for config in config_dump.get("configs", ()):
        yield from config.get("route_config", {}).get("virtual_hosts", ())


def _split(action: Any) -> dict[str, int]:
    several = action.get("weighted_clusters", {}).get("clusters", ())
    if several:
        return {_subset(each["name"]): int(each.get("weight", 0)) for each in several}
    return {_subset(action["cluster"]): 100} if "cluster" in action else {}


def _subset(cluster: str) -> str:
    """`outbound|80|v1|reviews.demo` → `v1`."""
    parts = cluster.split("|")
    return parts[2] if len(parts) == 4 else ""


def endpoints(clusters: Any, service: str, version: str) -> Mapping[int, Endpoint]:
    """By port, the endpoints of the cluster for one version of the service."""
    name = f"outbound|{SERVICE_PORT}|{version}|{host(service)}"
    found: dict[int, Endpoint] = {}
    for cluster in clusters.get("cluster_statuses", ()):
        if cluster.get("name") == name:
            for each in cluster.get("host_statuses", ()):
                found[each["address"]["socket_address"]["port_value"]] = _endpoint(each)
    return found


def _endpoint(status: Any) -> Endpoint:
    statistics = {each.get("name"): int(each.get("value", 0)) for each in status.get("stats", ())}
    ejected = bool(status.get("health_status", {}).get("failed_outlier_check"))
    return Endpoint(ejected, statistics.get("cx_total", 0))
