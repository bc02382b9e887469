"""Mixer asked before a request goes on; what it takes off the answer taken off."""

from __future__ import annotations

from typing import Any

from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager import v3 as manager_library

from pilot import ir
from pilot.envoy import codec
from pilot.envoy.mixer import CHECK, http_check, response_headers_removed

_HttpFilter = codec.message(manager_library.HttpFilter)


def mixer_check(value: ir.HttpConnectionManager) -> Any | None:
    if value.mixer is None or not value.mixer.check:
        return None
    return _HttpFilter(name=CHECK, typed_config=codec.pack(http_check(value.mixer)))


def mixer_removal(value: ir.HttpConnectionManager) -> Any | None:
    if value.mixer is None or not value.mixer.strips_responses:
        return None
    return _HttpFilter(name="mesh.mixer.removal", typed_config=codec.pack(response_headers_removed()))
