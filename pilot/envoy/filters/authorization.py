"""Who may ask: one filter for each action that some policy has, denials first."""

from __future__ import annotations

from typing import Any

from envoy_data_plane.envoy.extensions.filters.http.rbac import v3 as library
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager import v3 as manager_library

from pilot import ir
from pilot.envoy import codec
from pilot.envoy.rbac import filter_fields

_Rbac = codec.message(library.Rbac)
_Filter = codec.message(manager_library.HttpFilter)


def authorization(value: ir.HttpConnectionManager) -> list[Any]:
    return [
        _Filter(name="envoy.filters.http.rbac", typed_config=codec.pack(_Rbac(**filter_fields(each))))
        for each in value.authorization
    ]
