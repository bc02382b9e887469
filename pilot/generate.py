"""Snapshot and view → resources, doing again only what a change can have changed.

The owner of planning and emission: called from one thread, by `pilot.discovery`. No I/O, no clock. What proxies are
told has three parts that are shared differently (see `pilot.plan.proxy`); each part is planned once for all views that
have it in common, and a part whose content came out the same is the same object as before, so that streams see nothing
to do. A change of endpoints alone replans the load assignments of the services concerned and nothing else.
"""

from __future__ import annotations

import operator
from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

import attrs

from galley.config import Config
from galley.gateway_api.status import Status
from galley.kinds.envoy_filter import PatchContext
from pilot import ir
from pilot.envoy.emit import Emitter
from pilot.envoy.patches.apply import NO_PATCHES, LeftOut, Patches, patches_for
from pilot.model.catalog import Catalog
from pilot.model.proxy import Inbound, OutboundView, ProxyView, Upstream
from pilot.model.security import PERMISSIVE, Identity, Security
from pilot.model.service import ServiceKey
from pilot.model.snapshot import Snapshot
from pilot.plan.change import endpoints_only
from pilot.plan.credentials import cluster_refs, find, referred, server_refs
from pilot.plan.index import Index
from pilot.plan.proxy import (
    inbound_hosts,
    plan_endpoints,
    plan_gateways,
    plan_inbound,
    plan_mixer,
    plan_outbound,
    plan_services,
    plan_upstreams,
    reduce_view,
)
from pilot.plan.proxyless import plan_proxyless, plan_proxyless_endpoints
from pilot.xds import cache
from pilot.xds.resource import CDS, EDS, LDS, ORDER, RDS, SDS, Resource, Resources, ResourceSet

NOTHING = Snapshot(Catalog(), Config())


class InconsistentPlanError(ValueError):
    """A plan that a proxy could not finish warming with; a bug of planning, and never served."""


@attrs.frozen(cache_hash=True)
class _Outbound:
    view: OutboundView
    patches: Patches = NO_PATCHES

    def plan(self, index: Index) -> ir.Plan:
        return plan_outbound(index, self.view)

    def plan_endpoints(self, index: Index, key: ServiceKey) -> tuple[ir.LoadAssignment, ...]:
        return plan_endpoints(index, self.view, key)


@attrs.frozen(cache_hash=True)
class _Proxyless:
    view: OutboundView

    def plan(self, index: Index) -> ir.Plan:
        return plan_proxyless(index, self.view)

    def plan_endpoints(self, index: Index, key: ServiceKey) -> tuple[ir.LoadAssignment, ...]:
        return plan_proxyless_endpoints(index, self.view, key)


@attrs.frozen(cache_hash=True)
class _Services:
    """Of a router, which has no listener for calls of a workload beside it."""

    view: OutboundView
    patches: Patches = NO_PATCHES

    def plan(self, index: Index) -> ir.Plan:
        return plan_services(index, self.view)

    def plan_endpoints(self, index: Index, key: ServiceKey) -> tuple[ir.LoadAssignment, ...]:
        return plan_endpoints(index, self.view, key)


@attrs.frozen(cache_hash=True)
class _Gateways:
    view: OutboundView
    gateways: tuple[str, ...]
    patches: Patches = NO_PATCHES
    security: Security = PERMISSIVE

    def plan(self, index: Index) -> ir.Plan:
        return plan_gateways(index, self.view, self.gateways, self.security)


@attrs.frozen(cache_hash=True)
class _Upstreams:
    view: OutboundView
    upstreams: tuple[Upstream, ...]
    patches: Patches = NO_PATCHES

    def plan(self, index: Index) -> ir.Plan:
        return plan_upstreams(index, self.view, self.upstreams)


@attrs.frozen(cache_hash=True)
class _Inbound:
    namespace: str
    inbound: tuple[Inbound, ...]
    security: Security
    identity: Identity | None
    patches: Patches = NO_PATCHES
    telemetry: tuple[str, ...] = ()

    def plan(self, index: Index) -> ir.Plan:
        return plan_inbound(index, self.namespace, self.inbound, self.telemetry, self.security, self.identity)


@attrs.frozen(cache_hash=True)
class _Mixer:
    """What leads to Mixer, for every proxy alike."""

    patches: Patches = NO_PATCHES

    def plan(self, index: Index) -> ir.Plan:
        return plan_mixer(index)


_Patched = _Outbound | _Services | _Gateways | _Upstreams | _Inbound | _Mixer
_Part = _Patched | _Proxyless
"""What a part of a plan depends on, besides the snapshot: equal parts are planned once."""


def _parts_of(view: ProxyView) -> tuple[_Part, ...]:
    outbound = view.outbound
    if view.proxyless:
        return (_Proxyless(outbound),)
    if view.router:
        gateway = PatchContext.GATEWAY
        return (
            _Services(outbound, patches_for(view.patches, gateway, (CDS,))),
            _Gateways(outbound, view.gateways, patches_for(view.patches, gateway, (LDS,)), view.security),
            _Mixer(),
        )
    return (
        _Outbound(outbound, patches_for(view.patches, PatchContext.SIDECAR_OUTBOUND, (CDS, LDS))),
        _Upstreams(outbound, view.upstreams, patches_for(view.patches, PatchContext.SIDECAR_OUTBOUND)),
        _Inbound(
            outbound.namespace,
            view.inbound,
            view.security,
            outbound.identity,
            patches_for(view.patches, PatchContext.SIDECAR_INBOUND, (CDS, LDS)),
            outbound.telemetry,
        ),
        _Mixer(),
    )


@attrs.frozen(eq=False)
class _View:
    """One view's resources, and the parts they were joined from, by type."""

    parts: Mapping[str, tuple[ResourceSet, ...]]
    resources: Resources
    left_out: frozenset[LeftOut] = frozenset()


class Generator:
    """`update` takes a new snapshot; `resources` answers for a view, from memory where nothing changed."""

    def __init__(self) -> None:
        self._emitter = Emitter()
        self._snapshot = NOTHING
        self._index = Index.of(NOTHING)
        self._parts: dict[_Part, Resources] = {}
        self._left_out: dict[_Part, tuple[LeftOut, ...]] = {}
        self._views: dict[ProxyView, _View] = {}
        # Each reduced view as one object for as long as it is asked for, since planning looks up a lot by it.
        self._interned: dict[ProxyView, ProxyView] = {}
        # By reduced view: those that were asked for since the last update and reduce to it.
        self._askers: defaultdict[ProxyView, set[ProxyView]] = defaultdict(set)
        # Of earlier snapshots: only so that what comes out equal is the same object.
        self._old_parts: dict[_Part, Resources] = {}
        self._old_views: dict[ProxyView, _View] = {}

    @property
    def catalog(self) -> Catalog:
        """The services of the last snapshot, those of its configuration among them."""
        return self._index.catalog

    @property
    def statuses(self) -> tuple[Status, ...]:
        """What became of the last snapshot's objects of the Gateway API."""
        return self._index.translation.statuses

    @property
    def encoded(self) -> int:
        """How many resources were encoded since the start."""
        return self._emitter.encoded

    @property
    def left_out(self) -> frozenset[LeftOut]:
        """EnvoyFilters that would have broken what some view is told, and so are not in it."""
        return frozenset(left for view in self._views.values() for left in view.left_out)

    def update(self, snapshot: Snapshot) -> None:
        """From now on `resources` answers from `snapshot`; views not asked for since the last update are let go."""
        before, self._snapshot = self._snapshot, snapshot
        old, self._index = self._index, Index.of(snapshot, self._index)
        self._old_views = self._views or self._old_views
        self._views = {}
        self._interned = {view: view for view in self._old_views}
        self._askers.clear()
        told = operator.attrgetter("config", "mixer", "credentials")
        configured_alike = all(map(operator.is_, told(before), told(snapshot)))
        changed = endpoints_only(old.catalog, self._index.catalog) if configured_alike else None
        if changed is not None:
            live = {part for view in self._old_views for part in _parts_of(view)}
            kept = {part: found for part, found in self._parts.items() if part in live}
            self._parts = {part: self._with_endpoints(part, found, changed) for part, found in kept.items()}
            self._left_out = {part: found for part, found in self._left_out.items() if part in live}
        else:
            self._old_parts = self._parts or self._old_parts
            self._parts, self._left_out = {}, {}
            self._emitter.next_generation()

    def resources(self, view: ProxyView) -> Resources:
        """All that a proxy of this view is to be told. InconsistentPlanError if the plan is not whole."""
        reduced = reduce_view(self._index, view)
        reduced = self._interned.setdefault(reduced, reduced)
        found = self._views.get(reduced)
        if found is None:
            found = self._views[reduced] = self._join(reduced)
        self._askers[reduced].add(view)
        return found.resources

    def granted(self, namespace: str) -> frozenset[str]:
        """Names of secrets that listeners of the Gateway API of a namespace refer to, grants looked at."""
        gateways = (each for each in self._index.translation.gateways if each.namespace == namespace)
        servers = (server.tls for each in gateways for server in each.spec.servers if server.tls)
        return frozenset(ref.name for settings in servers for ref in server_refs(settings))

    def missing_secrets(self, view: ProxyView) -> tuple[tuple[str, str], ...]:
        """Secrets that the configuration of a proxy refers to and that it is not told, and the objects that do."""
        reduced, index = reduce_view(self._index, view), self._index
        outbound = reduced.outbound
        of_clusters = (
            (each, ref.name) for each in plan_services(index, outbound).clusters for ref in cluster_refs((each,))
        )
        needed = (*referred(index, reduced), *((name, cluster.origin) for cluster, name in of_clusters))
        return tuple(
            (name, origin)
            for name, origin in dict.fromkeys(needed)
            if not outbound.secrets or find(index.credentials, outbound.namespace, name) is None
        )

    def forget(self, view: ProxyView) -> None:
        """No proxy of this view is connected any more; others that reduce to the same keep what they share."""
        reduced = reduce_view(self._index, view)
        self._askers[reduced].discard(view)
        if not self._askers[reduced]:
            del self._askers[reduced]
            self._views.pop(reduced, None)
            self._old_views.pop(reduced, None)

    def _with_endpoints(self, part: _Part, found: Resources, changed: Iterable[ServiceKey]) -> Resources:
        """The part with the load assignments of the changed services replaced."""
        if not isinstance(part, _Outbound | _Proxyless | _Services):
            return found
        planned = [each for key in changed for each in part.plan_endpoints(self._index, key)]
        new = {each.name: each for each in self._emitter.emit(planned)}
        old = found[EDS]
        if all(old.resources.get(name) is each for name, each in new.items()):
            return found
        return MappingProxyType({**found, EDS: cache.resource_set(EDS, {**old.resources, **new}.values())})

    def _join(self, view: ProxyView) -> _View:
        of_view = _parts_of(view)
        parts = [self._planned(part) for part in of_view]
        by_type = {type_url: tuple(part[type_url] for part in parts) for type_url in ORDER}
        clashes = dict(pair for sets in by_type.values() for pair in _second(sets)) if view.patches else {}
        old = self._old_views.get(view)
        resources = {
            type_url: old.resources[type_url]
            if old and _same(old.parts[type_url], sets)
            else _joined(type_url, sets, clashes)
            for type_url, sets in by_type.items()
        }
        left_out = {left for part in of_view for left in self._left_out.get(part, ())}
        return _View(by_type, MappingProxyType(resources), frozenset(left_out.union(_taken(clashes))))

    def _planned(self, part: _Part) -> Resources:
        found = self._parts.get(part)
        if found is None:
            found = self._parts[part] = self._emit(part, self._old_parts.get(part))
        return found

    def _emit(self, part: _Part, old: Resources | None) -> Resources:
        plan = part.plan(self._index)
        if isinstance(part, _Proxyless) or part.patches is NO_PATCHES:
            emitted = self._emit_plain(plan)
        else:
            emitted = self._emit_patched(part, plan)
        new = {type_url: _set(type_url, found, old[type_url] if old else None) for type_url, found in emitted.items()}
        if old is not None and all(new[type_url] is old[type_url] for type_url in new):
            return old
        problems = cache.problems(new)
        if problems:
            raise InconsistentPlanError("; ".join(problems))
        return MappingProxyType(new)

    def _emit_plain(self, plan: ir.Plan) -> Mapping[str, Sequence[Resource]]:
        return {
            CDS: self._emitter.emit(plan.clusters),
            EDS: self._emitter.emit(plan.endpoints),
            LDS: self._emitter.emit((*plan.listeners, *plan.api_listeners)),
            RDS: self._emitter.emit(plan.routes),
            SDS: self._emitter.emit(plan.secrets),
        }

    def _emit_patched(self, part: _Patched, plan: ir.Plan) -> Mapping[str, Sequence[Resource]]:
        """What EnvoyFilters make of the plan; those that would break something of it are kept in mind."""
        patches = part.patches
        if isinstance(part, _Inbound):
            patches = attrs.evolve(patches, services=inbound_hosts(self._index, part.namespace, part.inbound))
        endpoints = self._emitter.emit(plan.endpoints)
        assignments, routes = {each.name for each in endpoints}, {each.name for each in plan.routes}
        clusters = self._emitter.emit_patched(CDS, plan.clusters, patches, assignments)
        listeners = self._emitter.emit_patched(LDS, plan.listeners, patches, routes)
        routing = self._emitter.emit_patched(RDS, plan.routes, patches, ())
        self._left_out[part] = (*clusters.left_out, *listeners.left_out, *routing.left_out)
        secrets = self._emitter.emit(plan.secrets)
        return {
            SDS: secrets,
            CDS: clusters.resources,
            EDS: endpoints,
            LDS: listeners.resources,
            RDS: routing.resources,
        }


def _set(type_url: str, found: Sequence[Resource], old: ResourceSet | None) -> ResourceSet:
    """The old set if it holds the same."""
    before = old.resources if old is not None else {}
    if old is not None and len(before) == len(found) and all(before.get(each.name) is each for each in found):
        return old
    new = cache.resource_set(type_url, found)
    return old if old is not None and old.version == new.version else new


def _same(old: Iterable[Hashable], new: Iterable[Hashable]) -> bool:
    return all(before is after for before, after in zip(old, new, strict=True))


def _joined(type_url: str, parts: tuple[ResourceSet, ...], out: Collection[Resource]) -> ResourceSet:
    """The only part with anything in it is the whole; several make a set of their own, less those that are `out`.

    Two parts may need the same secret, which is one resource.
    """
    filled = [part for part in parts if part.resources]
    if not filled:
        return cache.EMPTY[type_url]
    if len(filled) == 1:
        return filled[0]
    found = dict.fromkeys(each for part in filled for each in part.resources.values() if each not in out)
    return cache.resource_set(type_url, found)


def _second(parts: Iterable[ResourceSet]) -> Iterator[tuple[Resource, Resource]]:
    """What EnvoyFilters bring into a part under a name that another part has, and who has it."""
    first: dict[str, Resource] = {}
    for resource in sorted((each for part in parts for each in part.resources.values()), key=lambda each: each.added):
        other = first.setdefault(resource.name, resource)
        if other is not resource and resource.added:
            yield resource, other


def _taken(clashes: Mapping[Resource, Resource]) -> Iterator[LeftOut]:
    """Telling of those; the same twice is as good as once."""
    for resource, other in clashes.items():
        if resource.version != other.version:
            kind = "cluster" if resource.type_url == CDS else "listener"
            reason = f"there is a {kind} of that name already"
            yield LeftOut(resource.patches[0], f"{kind} {resource.name}", reason)
