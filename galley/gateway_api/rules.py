"""The rules of routes, each route's made once: what neither it nor its destinations changed is as it was before. Pure.

Of a thousand routes one changes at a time; making the rules of all of them anew would be most of a translation's work.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from galley.config import ConfigObject
from galley.gateway_api.backends import Backends
from galley.gateway_api.entrance import Entrance
from galley.gateway_api.grpc_rules import grpc_rules
from galley.gateway_api.http_rules import http_rules
from galley.gateway_api.ranking import Ranked


class Rules:
    """Of one translation; `before` are those of the last one. Those that nobody asks for are dropped."""

    def __init__(self, before: Rules | None = None) -> None:
        self._old = before._made if before else {}
        self._made: dict[Hashable, tuple[Ranked, ...]] = {}

    def of(self, route: ConfigObject[Any], backends: Backends, entrance: Entrance) -> tuple[Ranked, ...]:
        """Of an HTTPRoute or a GRPCRoute, in its own order."""
        key = (route, tuple(backends.destinations.items()), entrance)
        found = self._made.get(key) or self._old.get(key) or _rules(route, backends, entrance)
        self._made[key] = found
        return found


def _rules(route: ConfigObject[Any], backends: Backends, entrance: Entrance) -> tuple[Ranked, ...]:
    found = http_rules(route, backends, entrance) if route.kind == "HTTPRoute" else grpc_rules(route, backends)
    return tuple(found)
