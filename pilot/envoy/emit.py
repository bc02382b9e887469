"""IR → encoded resources, each content once: the memo between planning and the streams.

Called by `pilot.generate` for every part of a plan. A resource that was emitted before for an equal IR value is the
same object again, whatever view it is for.
"""

from __future__ import annotations

from collections.abc import Iterable

from pilot import ir
from pilot.envoy import codec
from pilot.envoy.clusters import cluster
from pilot.envoy.discovery import new_resource
from pilot.envoy.endpoints import load_assignment
from pilot.envoy.listeners import api_listener, listener, route_names
from pilot.envoy.routes import route_configuration
from pilot.xds.resource import CDS, EDS, LDS, RDS, Resource

Value = ir.Cluster | ir.LoadAssignment | ir.Listener | ir.ApiListener | ir.RouteConfiguration


class Emitter:
    """Not thread-safe: belongs to the one owner of generation. Two generations are kept: what is asked for moves to
    the newer one, and what a whole generation passed without asking for is dropped."""

    ALLOWANCE = 8192
    """Encodings within one generation after which the next begins, so that a churn of endpoints can't fill memory."""

    def __init__(self) -> None:
        self._old: dict[Value, Resource] = {}
        self._new: dict[Value, Resource] = {}
        self._since = 0
        self.encoded = 0
        """How many resources were encoded, ever: what tests and metrics hold against the changes made."""

    def emit(self, values: Iterable[Value]) -> list[Resource]:
        """In the order given."""
        return [self._one(value) for value in values]

    def next_generation(self) -> None:
        self._old, self._new, self._since = self._new, {}, 0

    def _one(self, value: Value) -> Resource:
        found = self._new.get(value) or self._old.get(value)
        if found is None:
            found = encode(value)
            self.encoded += 1
            self._since += 1
        self._new[value] = found
        if self._since > self.ALLOWANCE:
            self.next_generation()
        return found


def encode(value: Value) -> Resource:
    """One resource, encoded now."""
    if isinstance(value, ir.Cluster):
        refers = [(EDS, value.name)] if value.discovery is ir.Discovery.EDS else []
        return new_resource(CDS, value.name, codec.encode(cluster(value)), refers, value.origin)
    if isinstance(value, ir.LoadAssignment):
        return new_resource(EDS, value.cluster, codec.encode(load_assignment(value)))
    if isinstance(value, ir.Listener):
        routes = [(RDS, name) for name in route_names(value)]
        return new_resource(LDS, value.name, codec.encode(listener(value)), routes, value.origin)
    if isinstance(value, ir.ApiListener):
        return new_resource(LDS, value.name, codec.encode(api_listener(value)), [(RDS, value.http.route_name)])
    origins = {route.origin for host in value.virtual_hosts for route in host.routes if route.origin}
    return new_resource(RDS, value.name, codec.encode(route_configuration(value)), (), ", ".join(sorted(origins)[:3]))
