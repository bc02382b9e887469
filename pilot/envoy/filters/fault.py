"""Delays and errors on purpose: the filter stands idle in the chain, routes say what it does to their requests."""

from __future__ import annotations

from typing import Any

from envoy_data_plane.envoy.extensions.filters.http.fault import v3 as fault_library
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager import v3 as manager_library

from pilot import ir
from pilot.envoy import codec
from pilot.envoy.shares import fraction

NAME = "envoy.filters.http.fault"
_HttpFault = codec.message(fault_library.HttpFault)
_FILTER = codec.message(manager_library.HttpFilter)(name=NAME, typed_config=codec.pack(_HttpFault()))


def fault(value: ir.HttpConnectionManager) -> Any | None:
    return _FILTER if value.routes_may_fault else None


def fault_of_route(value: ir.Fault) -> Any:
    """envoy.extensions.filters.http.fault.v3.HTTPFault, packed."""
    found = _HttpFault()
    if value.delay is not None:
        found.delay.fixed_delay.FromTimedelta(value.delay)
        found.delay.percentage.MergeFrom(_Fraction(**fraction(value.delayed_per_million)))
    if value.http_status is not None:
        found.abort.http_status = value.http_status
    if value.grpc_status is not None:
        found.abort.grpc_status = value.grpc_status
    if value.aborted_per_million:
        found.abort.percentage.MergeFrom(_Fraction(**fraction(value.aborted_per_million)))
    return codec.pack(found)


_Fraction = type(_HttpFault().delay.percentage)
