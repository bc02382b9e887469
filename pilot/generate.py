"""Snapshot and view → resources, doing again only what a change can have changed.

The owner of planning and emission: called from one thread, by `pilot.discovery`. No I/O, no clock. What proxies are
told has three parts that are shared differently (see `pilot.plan.proxy`); each part is planned once for all views that
have it in common, and a part whose content came out the same is the same object as before, so that streams see nothing
to do. A change of endpoints alone replans the load assignments of the services concerned and nothing else.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from types import MappingProxyType

import attrs

from galley.config import Config
from galley.gateway_api.status import Status
from pilot import ir
from pilot.envoy.emit import Emitter
from pilot.model.catalog import Catalog
from pilot.model.proxy import Inbound, OutboundView, ProxyView, Upstream
from pilot.model.service import ServiceKey
from pilot.model.snapshot import Snapshot
from pilot.plan.change import endpoints_only
from pilot.plan.index import Index
from pilot.plan.proxy import (
    plan_endpoints,
    plan_gateways,
    plan_inbound,
    plan_outbound,
    plan_services,
    plan_upstreams,
    reduce_view,
)
from pilot.plan.proxyless import plan_proxyless, plan_proxyless_endpoints
from pilot.xds import cache
from pilot.xds.resource import CDS, EDS, LDS, ORDER, RDS, Resource, Resources, ResourceSet

NOTHING = Snapshot(Catalog(), Config())


class InconsistentPlanError(ValueError):
    """A plan that a proxy could not finish warming with; a bug of planning, and never served."""


@attrs.frozen(cache_hash=True)
class _Outbound:
    view: OutboundView

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

    def plan(self, index: Index) -> ir.Plan:
        return plan_services(index, self.view)

    def plan_endpoints(self, index: Index, key: ServiceKey) -> tuple[ir.LoadAssignment, ...]:
        return plan_endpoints(index, self.view, key)


@attrs.frozen(cache_hash=True)
class _Gateways:
    view: OutboundView
    gateways: tuple[str, ...]

    def plan(self, index: Index) -> ir.Plan:
        return plan_gateways(index, self.view, self.gateways)


@attrs.frozen(cache_hash=True)
class _Upstreams:
    view: OutboundView
    upstreams: tuple[Upstream, ...]

    def plan(self, index: Index) -> ir.Plan:
        return plan_upstreams(index, self.view, self.upstreams)


@attrs.frozen(cache_hash=True)
class _Inbound:
    namespace: str
    inbound: tuple[Inbound, ...]

    def plan(self, index: Index) -> ir.Plan:
        return plan_inbound(index, self.namespace, self.inbound)


_Part = _Outbound | _Proxyless | _Services | _Gateways | _Upstreams | _Inbound
"""What a part of a plan depends on, besides the snapshot: equal parts are planned once."""


def _parts_of(view: ProxyView) -> tuple[_Part, ...]:
    outbound = view.outbound
    if view.proxyless:
        return (_Proxyless(outbound),)
    if view.router:
        return (_Services(outbound), _Gateways(outbound, view.gateways))
    return (
        _Outbound(outbound),
        _Upstreams(outbound, view.upstreams),
        _Inbound(outbound.namespace, view.inbound),
    )


@attrs.frozen(eq=False)
class _View:
    """One view's resources, and the parts they were joined from, by type."""

    parts: Mapping[str, tuple[ResourceSet, ...]]
    resources: Resources


class Generator:
    """`update` takes a new snapshot; `resources` answers for a view, from memory where nothing changed."""

    def __init__(self) -> None:
        self._emitter = Emitter()
        self._snapshot = NOTHING
        self._index = Index.of(NOTHING)
        self._parts: dict[_Part, Resources] = {}
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

    def update(self, snapshot: Snapshot) -> None:
        """From now on `resources` answers from `snapshot`; views not asked for since the last update are let go."""
        before, self._snapshot = self._snapshot, snapshot
        old, self._index = self._index, Index.of(snapshot, self._index)
        self._old_views = self._views or self._old_views
        self._views = {}
        self._interned = {view: view for view in self._old_views}
        self._askers.clear()
        changed = endpoints_only(old.catalog, self._index.catalog) if before.config is snapshot.config else None
        if changed is not None:
            live = {part for view in self._old_views for part in _parts_of(view)}
            kept = {part: found for part, found in self._parts.items() if part in live}
            self._parts = {part: self._with_endpoints(part, found, changed) for part, found in kept.items()}
        else:
            self._old_parts = self._parts or self._old_parts
            self._parts = {}
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
        parts = [self._planned(part) for part in _parts_of(view)]
        by_type = {type_url: tuple(part[type_url] for part in parts) for type_url in ORDER}
        old = self._old_views.get(view)
        resources = {
            type_url: old.resources[type_url] if old and _same(old.parts[type_url], sets) else _joined(type_url, sets)
            for type_url, sets in by_type.items()
        }
        return _View(by_type, MappingProxyType(resources))

    def _planned(self, part: _Part) -> Resources:
        found = self._parts.get(part)
        if found is None:
            found = self._parts[part] = self._emit(part.plan(self._index), self._old_parts.get(part))
        return found

    def _emit(self, plan: ir.Plan, old: Resources | None) -> Resources:
        emitted = {
            CDS: self._emitter.emit(plan.clusters),
            EDS: self._emitter.emit(plan.endpoints),
            LDS: self._emitter.emit((*plan.listeners, *plan.api_listeners)),
            RDS: self._emitter.emit(plan.routes),
        }
        new = {type_url: _set(type_url, found, old[type_url] if old else None) for type_url, found in emitted.items()}
        if old is not None and all(new[type_url] is old[type_url] for type_url in new):
            return old
        problems = cache.problems(new)
        if problems:
            raise InconsistentPlanError("; ".join(problems))
        return MappingProxyType(new)


def _set(type_url: str, found: Sequence[Resource], old: ResourceSet | None) -> ResourceSet:
    """The old set if it holds the same."""
    before = old.resources if old is not None else {}
    if old is not None and len(before) == len(found) and all(before.get(each.name) is each for each in found):
        return old
    new = cache.resource_set(type_url, found)
    return old if old is not None and old.version == new.version else new


def _same(old: Iterable[Hashable], new: Iterable[Hashable]) -> bool:
    return all(before is after for before, after in zip(old, new, strict=True))


def _joined(type_url: str, parts: tuple[ResourceSet, ...]) -> ResourceSet:
    """The only part with anything in it is the whole; several make a set of their own."""
    filled = [part for part in parts if part.resources]
    if len(filled) == 1:
        return filled[0]
    return cache.resource_set(type_url, (each for part in filled for each in part.resources.values()))
