"""Prints load assignments."""

from __future__ import annotations

from typing import Any

from envoy_data_plane.envoy.config.endpoint import v3 as library

from pilot import ir
from pilot.envoy import codec
from pilot.envoy.transport import MESH_TLS

UNIX = "unix://"
_LoadAssignment = codec.message(library.ClusterLoadAssignment)


def load_assignment(value: ir.LoadAssignment) -> Any:
    """envoy.config.endpoint.v3.ClusterLoadAssignment."""
    return _LoadAssignment(
        cluster_name=value.cluster,
        endpoints=[
            {
                "locality": {"region": each.region, "zone": each.zone, "sub_zone": each.subzone},
                "lb_endpoints": [_endpoint(endpoint) for endpoint in each.endpoints],
                "priority": each.priority,
                **({"load_balancing_weight": {"value": each.weight}} if each.weight else {}),
            }
            for each in value.localities
        ],
    )


def _endpoint(value: ir.LbEndpoint) -> dict[str, Any]:
    found: dict[str, Any] = {
        "endpoint": {"address": _address(value)},
        "health_status": value.health,
        "load_balancing_weight": {"value": value.weight},
    }
    if value.takes_mesh_tls:
        found["metadata"] = _MESH_TLS
    return found


_MESH_TLS = {
    "filter_metadata": {
        "envoy.transport_socket_match": {"fields": {key: {"string_value": text} for key, text in MESH_TLS.items()}}
    }
}


def _address(value: ir.LbEndpoint) -> dict[str, Any]:
    if value.address.startswith(UNIX):
        return {"pipe": {"path": value.address.removeprefix(UNIX)}}
    return {"socket_address": {"address": value.address, "port_value": value.port}}
