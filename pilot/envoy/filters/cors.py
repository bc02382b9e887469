"""Cross-origin rules: the filter stands idle in the chain, routes say what it lets browsers do."""

from __future__ import annotations

from typing import Any

from envoy_data_plane.envoy.extensions.filters.http.cors import v3 as cors_library
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager import v3 as manager_library

from pilot import ir
from pilot.envoy import codec
from pilot.envoy.shares import fraction
from pilot.envoy.strings import string_matcher

NAME = "envoy.filters.http.cors"
_CorsPolicy = codec.message(cors_library.CorsPolicy)
_FILTER = codec.message(manager_library.HttpFilter)(
    name=NAME, typed_config=codec.pack(codec.message(cors_library.Cors)())
)
_ALWAYS = {"default_value": fraction(1_000_000)}


def cors(value: ir.HttpConnectionManager) -> Any | None:
    return _FILTER if value.routes_may_cors else None


def cors_of_route(value: ir.Cors) -> Any:
    """envoy.extensions.filters.http.cors.v3.CorsPolicy, packed."""
    found = _CorsPolicy(
        allow_origin_string_match=[string_matcher(origin) for origin in value.allow_origins],
        allow_methods=value.allow_methods,
        allow_headers=value.allow_headers,
        expose_headers=value.expose_headers,
        max_age=value.max_age,
        filter_enabled=_ALWAYS,
        forward_not_matching_preflights={"value": value.forward_unmatched_preflights},
    )
    if value.allow_credentials is not None:
        found.allow_credentials.value = value.allow_credentials
    return codec.pack(found)
