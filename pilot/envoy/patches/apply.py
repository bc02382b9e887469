"""The change that patches make to one resource, without the objects that would break it. Called by `pilot.envoy.emit`.

All patches for a resource are tried together. Where Envoy would refuse what comes of it, they are tried object by
object in their order: one that breaks the resource is left out of this resource, as a whole, and is told of by name.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

import attrs
from google.protobuf.message import DecodeError

from galley.checks.envoy_filter import INSERTS
from galley.kinds.envoy_filter import ApplyTo, Operation, PatchContext
from pilot import ir
from pilot.envoy import codec
from pilot.envoy.clusters import cluster
from pilot.envoy.discovery import new_resource
from pilot.envoy.listeners import listener
from pilot.envoy.patches.check import MANAGER, BrokenError, check_cluster, check_listener, check_routes, type_of
from pilot.envoy.patches.listeners import patch_listener
from pilot.envoy.patches.match import (
    LISTENERS,
    ROUTES,
    listener_facts,
    takes_cluster,
    takes_listener,
    takes_routes,
)
from pilot.envoy.patches.routes import merge_into, patch_routes, value_of
from pilot.envoy.routes import route_configuration
from pilot.model.patch import Patch
from pilot.xds.resource import CDS, EDS, LDS, RDS, SHORT_NAMES, Resource

Patchable = ir.Cluster | ir.Listener | ir.RouteConfiguration
_EDS_TYPE = 3


@attrs.frozen(cache_hash=True)
class Patches:
    """Those for one part of what a proxy is told, in the order in which they are applied.

    `services` are the hosts of inbound clusters by the clusters' names. `adds` are the types of which the part takes
    what patches bring.
    """

    context: PatchContext = PatchContext.ANY
    patches: tuple[Patch, ...] = ()
    services: tuple[tuple[str, str], ...] = ()
    adds: tuple[str, ...] = ()

    def concerning(self, value: object) -> tuple[Patch, ...]:
        """Those that may change this resource."""
        return tuple(each for each in self.patches if not _brings(each) and self._takes(each, value))

    def _takes(self, patch: Patch, value: object) -> bool:
        apply_to = patch.spec.apply_to
        if isinstance(value, ir.Cluster):
            return apply_to is ApplyTo.CLUSTER and takes_cluster(patch, value.name, dict(self.services))
        if isinstance(value, ir.RouteConfiguration):
            return apply_to in ROUTES and _takes_routes(patch, value)
        if isinstance(value, ir.Listener):
            inline = (
                chain.filter.routes for chain in value.chains if isinstance(chain.filter, ir.HttpConnectionManager)
            )
            if apply_to in ROUTES:
                return any(_takes_routes(patch, each) for each in inline if each)
            return apply_to in LISTENERS and takes_listener(patch, listener_facts(value))
        return False

    def brought(self, type_url: str) -> tuple[Patch, ...]:
        """Those that bring a resource of this type. For any context, inbound is not meant, as in Istio."""
        wanted = {CDS: ApplyTo.CLUSTER, LDS: ApplyTo.LISTENER}.get(type_url)
        if type_url not in self.adds:
            return ()
        inbound = self.context is PatchContext.SIDECAR_INBOUND
        return tuple(
            each
            for each in self.patches
            if each.spec.apply_to is wanted
            and _brings(each)
            and not (inbound and each.match.context is PatchContext.ANY)
        )


NO_PATCHES = Patches()


def patches_for(
    patches: Iterable[Patch],
    context: PatchContext,
    adds: tuple[str, ...] = (),
    services: tuple[tuple[str, str], ...] = (),
) -> Patches:
    """Those of the view that are for this context; always equal where there are none."""
    mine = tuple(each for each in patches if each.is_for(context))
    return Patches(context, mine, services, adds) if mine else NO_PATCHES


@attrs.frozen
class LeftOut:
    """An EnvoyFilter that would have broken a resource, which is served without it."""

    source: str
    resource: str
    reason: str

    @property
    def text(self) -> str:
        return f"is left out of {self.resource}: {self.reason}"


@attrs.frozen
class Outcome:
    """The resource, if it is still there, and who is not in it."""

    resource: Resource | None
    left_out: tuple[LeftOut, ...] = ()


def changed(value: Patchable, patches: tuple[Patch, ...], known: Collection[str] | None = None) -> Outcome:
    """The resource with the patches. `known` are names that it may refer to; None leaves that to the caller."""
    try:
        return Outcome(_resource(value, patches, known))
    except BrokenError:
        pass  # found again below, with its culprit
    kept: tuple[Patch, ...] = ()
    left: list[LeftOut] = []
    found = _resource(value, (), None)
    for source in dict.fromkeys(each.source for each in patches):
        tried = tuple(each for each in patches if each in kept or each.source == source)
        try:
            found = _resource(value, tried, known)
        except BrokenError as error:
            left.append(LeftOut(source, _called(value), str(error)))
        else:
            kept = tried
    return Outcome(found, tuple(left))


def added(
    patches: Sequence[Patch],
    type_url: str,
    taken: Collection[str],
    ports: Collection[tuple[str, int]],
    known: Collection[str],
) -> Iterator[Outcome]:
    """The resources that patches bring, each unless its name or address is `taken`."""
    names, addresses = set(taken), set(ports)
    for each in patches:
        message = value_of(each)
        kind = "cluster" if type_url == CDS else "listener"
        try:
            if message.name in names:
                raise BrokenError(f"there is a {kind} of that name already")
            if type_url == LDS and _address(message) in addresses:
                raise BrokenError("another listener has that address already")
            found = _encoded(type_url, message, (each.source,), known, origin="", added=True)
        except BrokenError as error:
            yield Outcome(None, (LeftOut(each.source, f"{kind} {message.name}", str(error)),))
            continue
        names.add(message.name)
        addresses |= {_address(message)} if type_url == LDS else set()
        yield Outcome(found)


def unresolved(resource: Resource, known: Collection[str]) -> bool:
    """Whether the resource needs another that is not planned."""
    return any(name not in known for _, name in resource.refers)


def _brings(patch: Patch) -> bool:
    adds = patch.operation is Operation.ADD or patch.operation in INSERTS
    return adds and patch.spec.apply_to in (ApplyTo.LISTENER, ApplyTo.CLUSTER)


def _takes_routes(patch: Patch, value: ir.RouteConfiguration) -> bool:
    return takes_routes(patch, value.name, [host.name for host in value.virtual_hosts])


def _called(value: Patchable) -> str:
    kinds = {ir.Cluster: "cluster", ir.Listener: "listener"}
    return f"{kinds.get(type(value), 'route configuration')} {value.name}"


def _resource(value: Patchable, patches: tuple[Patch, ...], known: Collection[str] | None) -> Resource | None:
    """BrokenError if Envoy would refuse it; without patches it is what planning said."""
    try:
        type_url, message = _message(value, patches)
    except DecodeError as error:
        raise BrokenError(f"what it holds can't be read: {error}") from error
    if message is None:
        return None
    if patches and message.name != value.name:
        raise BrokenError(f"it would be called {message.name} then")
    sources = tuple(dict.fromkeys(each.source for each in patches))
    return _encoded(type_url, message, sources, known, origin=_origin(value))


def _origin(value: Patchable) -> str:
    if not isinstance(value, ir.RouteConfiguration):
        return value.origin
    origins = {route.origin for host in value.virtual_hosts for route in host.routes if route.origin}
    return ", ".join(sorted(origins)[:3])


def _message(value: Patchable, patches: Sequence[Patch]) -> tuple[str, Any | None]:
    if isinstance(value, ir.Listener):
        message = listener(value)
        return LDS, message if patch_listener(message, listener_facts(value), patches) else None
    if isinstance(value, ir.RouteConfiguration):
        message = route_configuration(value)
        patch_routes(message, patches)
        return RDS, message
    message = cluster(value)
    for each in patches:
        if each.operation is Operation.REMOVE:
            return CDS, None
        merge_into(message, each)
    return CDS, message


def _encoded(
    type_url: str,
    message: Any,
    sources: tuple[str, ...],
    known: Collection[str] | None,
    *,
    origin: str,
    added: bool = False,
) -> Resource:
    if sources:
        {LDS: check_listener, RDS: check_routes, CDS: check_cluster}[type_url](message)
    refers = tuple(_refers(type_url, message))
    if known is not None:
        for needed, name in refers:
            if name not in known:
                raise BrokenError(f"it needs {SHORT_NAMES[needed]} {name!r}, which nothing plans")
    found = new_resource(type_url, message.name, codec.encode(message), refers, origin)
    return attrs.evolve(found, patches=sources, added=added)


def _refers(type_url: str, message: Any) -> Iterator[tuple[str, str]]:
    if type_url == CDS and message.WhichOneof("cluster_discovery_type") == "type" and message.type == _EDS_TYPE:
        if message.eds_cluster_config.eds_config.HasField("ads"):
            yield EDS, message.eds_cluster_config.service_name or message.name
    elif type_url == LDS:
        chains = (*message.filter_chains, message.default_filter_chain)
        names = [name for chain in chains for each in chain.filters if (name := _route_name(each))]
        yield from ((RDS, name) for name in dict.fromkeys(names))


def _route_name(filter_: Any) -> str:
    """Of the route configuration that the filter asks us for; empty for none."""
    if type_of(filter_.typed_config) != MANAGER:
        return ""
    cls: Any = codec.message_of(MANAGER)
    manager = cls.FromString(filter_.typed_config.value)
    asks = manager.HasField("rds") and manager.rds.config_source.HasField("ads")
    return str(manager.rds.route_config_name) if asks else ""


def _address(message: Any) -> tuple[str, int]:
    socket = message.address.socket_address
    return socket.address, socket.port_value
