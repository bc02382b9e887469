"""Mixer asked before a request goes on."""

from __future__ import annotations

from typing import Any

from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager import v3 as manager_library

from pilot import ir
from pilot.envoy import codec
from pilot.envoy.mixer import http_check

_HttpFilter = codec.message(manager_library.HttpFilter)


def mixer_check(value: ir.HttpConnectionManager) -> Any | None:
    if value.mixer is None or not value.mixer.check:
        return None
    return _HttpFilter(name="envoy.filters.http.ext_authz", typed_config=codec.pack(http_check(value.mixer)))
