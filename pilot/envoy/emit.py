"""IR → encoded resources, each content once: the memo between planning and the streams.

Called by `pilot.generate` for every part of a plan. A resource that was emitted before for an equal IR value is the
same object again, whatever view it is for.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Generic, TypeVar

import attrs

from pilot import ir
from pilot.envoy import codec
from pilot.envoy.clusters import cluster
from pilot.envoy.discovery import new_resource
from pilot.envoy.endpoints import load_assignment
from pilot.envoy.listeners import api_listener, listener, route_names
from pilot.envoy.patches.apply import LeftOut, Outcome, Patchable, Patches, added, changed, unresolved
from pilot.envoy.routes import encode_routes, virtual_host
from pilot.envoy.secrets import secret
from pilot.model.patch import Patch
from pilot.xds.resource import CDS, EDS, LDS, RDS, SDS, Resource

K = TypeVar("K")
V = TypeVar("V")
Value = ir.Cluster | ir.LoadAssignment | ir.Listener | ir.ApiListener | ir.RouteConfiguration | ir.Secret


@attrs.frozen
class Emission:
    """Patched resources, and the EnvoyFilters that would have broken one."""

    resources: tuple[Resource, ...]
    left_out: tuple[LeftOut, ...]


class _Generations(Generic[K, V]):
    """What was made of values: what is asked for moves to the newer generation, and what a whole generation passed
    without asking for is dropped."""

    def __init__(self) -> None:
        self._old: dict[K, V] = {}
        self._new: dict[K, V] = {}

    def get(self, value: K, make: Callable[[K], V]) -> V:
        found = self._new.get(value) or self._old.get(value) or make(value)
        self._new[value] = found
        return found

    def next(self) -> None:
        self._old, self._new = self._new, {}


class Emitter:
    """Not thread-safe: belongs to the one owner of generation."""

    ALLOWANCE = 8192
    """Encodings within one generation after which the next begins, so that a churn of endpoints can't fill memory."""

    def __init__(self) -> None:
        self._resources: _Generations[Value, Resource] = _Generations()
        self._hosts: _Generations[ir.VirtualHost, bytes] = _Generations()
        self._changed: _Generations[tuple[Patchable, tuple[Patch, ...]], Outcome] = _Generations()
        self._since = 0
        self.encoded = 0
        """How many resources were encoded, ever: what tests and metrics hold against the changes made."""

    def emit(self, values: Iterable[Value]) -> list[Resource]:
        """In the order given."""
        return [self._one(value) for value in values]

    def emit_patched(
        self, type_url: str, values: Iterable[Patchable], patches: Patches, known: Collection[str]
    ) -> Emission:
        """The same with what patches make of them and bring; `known` are the names that resources may refer to."""
        values = tuple(values)
        outcomes = [self._patched(value, patches, known) for value in values]
        ports = [(each.address, each.port) for each in values if isinstance(each, ir.Listener)]
        outcomes += added(patches.brought(type_url), type_url, [each.name for each in values], ports, known)
        return Emission(
            tuple(each.resource for each in outcomes if each.resource is not None),
            tuple(left for each in outcomes for left in each.left_out),
        )

    def _patched(self, value: Patchable, patches: Patches, known: Collection[str]) -> Outcome:
        mine = patches.concerning(value)
        if not mine:
            return Outcome(self._one(value))
        found = self._changed.get((value, mine), self._change)
        if found.resource is not None and unresolved(found.resource, known):
            found = changed(value, mine, known)
        if found.resource is not None and not found.resource.patches:
            return attrs.evolve(found, resource=self._one(value))  # the very bytes that are told without patches
        return found

    def _change(self, of: tuple[Patchable, tuple[Patch, ...]]) -> Outcome:
        self.encoded += 1
        self._since += 1
        return changed(*of)

    def next_generation(self) -> None:
        self._resources.next()
        self._hosts.next()
        self._changed.next()
        self._since = 0

    def _one(self, value: Value) -> Resource:
        found = self._resources.get(value, self._encode)
        if self._since > self.ALLOWANCE:
            self.next_generation()
        return found

    def _encode(self, value: Value) -> Resource:
        self.encoded += 1
        self._since += 1
        return encode(value, lambda host: self._hosts.get(host, encode_host))


def encode_host(value: ir.VirtualHost) -> bytes:
    """A virtual host, alone."""
    return codec.encode(virtual_host(value))


def encode(value: Value, host: Callable[[ir.VirtualHost], bytes] = encode_host) -> Resource:
    """One resource, encoded now; its virtual hosts by `host`, since of a thousand of them a change concerns one."""
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
    if isinstance(value, ir.Secret):
        return new_resource(SDS, value.name, codec.encode(secret(value)))
    origins = {route.origin for host in value.virtual_hosts for route in host.routes if route.origin}
    return new_resource(RDS, value.name, encode_routes(value, host), (), ", ".join(sorted(origins)[:3]))
