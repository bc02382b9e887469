"""The filter that looks up the host of a request, for routes whose cluster goes by it; it lets all others pass."""

from __future__ import annotations

from typing import Any

from envoy_data_plane.envoy.extensions.filters.http.dynamic_forward_proxy import v3 as library
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager import v3 as manager_library

from pilot import ir
from pilot.envoy import codec
from pilot.envoy.dynamic_forward_proxy import DNS_CACHE

_FILTER = codec.message(manager_library.HttpFilter)(
    name="envoy.filters.http.dynamic_forward_proxy",
    typed_config=codec.pack(codec.message(library.FilterConfig)(dns_cache_config=DNS_CACHE)),
)


def dynamic_forward_proxy(value: ir.HttpConnectionManager) -> Any | None:
    return _FILTER if value.dynamic_forward_proxy else None
