"""The filter that forwards: every chain ends with it."""

from __future__ import annotations

from typing import Any

from envoy_data_plane.envoy.extensions.filters.http.router import v3 as router_library
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager import v3 as manager_library

from pilot import ir
from pilot.envoy import codec

_ROUTER = codec.message(manager_library.HttpFilter)(
    name="envoy.filters.http.router", typed_config=codec.pack(codec.message(router_library.Router)())
)


def router(_: ir.HttpConnectionManager) -> Any:
    return _ROUTER
