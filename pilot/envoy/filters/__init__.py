"""HTTP filters, one file each, and their one order: what stands first sees a request first. The router is last."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pilot import ir
from pilot.envoy.filters.authorization import authorization
from pilot.envoy.filters.cors import cors
from pilot.envoy.filters.dynamic_forward_proxy import dynamic_forward_proxy
from pilot.envoy.filters.fault import fault
from pilot.envoy.filters.grpc_web import grpc_web
from pilot.envoy.filters.mixer_check import mixer_check, mixer_removal
from pilot.envoy.filters.router import router

HTTP_FILTERS: tuple[Callable[[ir.HttpConnectionManager], Any | None], ...] = (
    grpc_web,
    mixer_check,
    mixer_removal,
    fault,
    cors,
    dynamic_forward_proxy,
    router,
)
"""Each gives its HttpFilter for a connection manager, or None where it has nothing to do."""


def http_filters(value: ir.HttpConnectionManager) -> list[Any]:
    """The tuple's, and behind what browsers may ask the filters of who may ask at all."""
    made = ((make, make(value)) for make in HTTP_FILTERS)
    before: list[Any] = []
    for make, found in made:
        if make is dynamic_forward_proxy:
            before += authorization(value)
        before += [] if found is None else [found]
    return before
