"""The filter that makes gRPC of gRPC-Web, which browsers speak; it lets all other requests pass."""

from __future__ import annotations

from typing import Any

from envoy_data_plane.envoy.extensions.filters.http.grpc_web import v3 as library
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager import v3 as manager_library

from pilot import ir
from pilot.envoy import codec

_FILTER = codec.message(manager_library.HttpFilter)(
    name="envoy.filters.http.grpc_web", typed_config=codec.pack(codec.message(library.GrpcWeb)())
)


def grpc_web(value: ir.HttpConnectionManager) -> Any | None:
    return _FILTER if value.grpc_web else None
