"""Messages and patches in few words, for the tests of this folder."""

from __future__ import annotations

from typing import Any

from envoy_data_plane.envoy.config.cluster import v3 as cluster_library
from envoy_data_plane.envoy.config.listener import v3 as listener_library
from envoy_data_plane.envoy.config.route import v3 as route_library
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager import v3 as manager_library

from galley.decode import decode
from galley.kinds.envoy_filter import EnvoyConfigObjectPatch
from pilot.envoy import codec
from pilot.model.patch import Patch

HTTP = "type.googleapis.com/envoy.extensions.filters.http"
NETWORK = "type.googleapis.com/envoy.extensions.filters.network"
ROUTER = {"name": "envoy.filters.http.router", "typed_config": {"@type": f"{HTTP}.router.v3.Router"}}
LUA = {"name": "lua", "typed_config": {"@type": f"{HTTP}.lua.v3.Lua"}}
TCP_PROXY = {
    "name": "envoy.filters.network.tcp_proxy",
    "typed_config": {"@type": f"{NETWORK}.tcp_proxy.v3.TcpProxy", "stat_prefix": "a", "cluster": "a"},
}
ADDRESS = {"socket_address": {"address": "127.0.0.1", "port_value": 80}}
LISTENER = codec.message(listener_library.Listener)
CHAIN = codec.message(listener_library.FilterChain)
HTTP_FILTER = codec.message(manager_library.HttpFilter)
ROUTES = codec.message(route_library.RouteConfiguration)
CLUSTER = codec.message(cluster_library.Cluster)


def manager(*filters: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": {
            "@type": f"{NETWORK}.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": "a",
            "route_config": {"name": "a"},
            "http_filters": list(filters),
            **more,
        },
    }


def read(cls: Any, data: dict[str, Any]) -> Any:
    """The message; types inside must be known, which naming them here makes them."""
    for url in _types(data):
        assert codec.message_of(url) is not None, url
    return codec.from_json(cls, data)


def _types(data: Any) -> list[str]:
    if isinstance(data, list):
        return [url for each in data for url in _types(each)]
    if not isinstance(data, dict):
        return []
    return [*([data["@type"]] if "@type" in data else []), *(url for each in data.values() for url in _types(each))]


def patch(
    apply_to: str, operation: str, value: Any = None, source: str = "EnvoyFilter default/a", **match: Any
) -> Patch:
    said = {"operation": operation, **({"value": value} if value is not None else {})}
    spec, findings = decode(EnvoyConfigObjectPatch, {"applyTo": apply_to, "match": match, "patch": said})
    assert not findings, findings
    return Patch(source, "spec.configPatches[0]", spec)
