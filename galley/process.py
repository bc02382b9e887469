"""The pure fold from what sources tell to the configuration in force: `state' = fold(state, event, now)`.

Called by `mesh_adapter` for every event of every source; a State is immutable, so a reader keeps the one it has. An
object's last good version stays in force while its new one is invalid, or while its unit cannot be read; an object that
is gone from a readable unit is gone. What does not depend on the order of events: who wins when two units define one
object (the first by unit name that has a good version).
"""

from __future__ import annotations

import datetime
import functools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import attrs

from galley.config import Config, ConfigObject, ObjectKey, Problem
from galley.document import Document, Fresh, Loaded, Removed, SourceEvent, Stale, Synced, Unreadable
from galley.finding import Finding
from galley.kind import NO_CHECKS, Checks, find_kind
from galley.validate import DEFAULT_NAMESPACE, Validated, origin, validate

UnitId = tuple[str, str]
"""Unit name and source: two sources may well have a unit of the same name."""


@attrs.frozen(eq=False)
class InForce:
    """A good version of an object, and when it was accepted."""

    object: ConfigObject[Any]
    since: datetime.datetime


@attrs.frozen(eq=False)
class _Held:
    """What one unit says of one object. `good` is its last good version, if it ever had one."""

    key: ObjectKey | None
    good: InForce | None
    verdict: Validated | None


@attrs.frozen(eq=False)
class _Unit:
    held: tuple[_Held, ...] = ()
    fault: Unreadable | None = None

    def keys(self) -> set[ObjectKey]:
        return {each.key for each in self.held if each.key is not None}

    @functools.cached_property
    def good(self) -> Mapping[ObjectKey, tuple[_Held, InForce]]:
        """The first document of each object that has a good version."""
        return {each.key: (each, each.good) for each in reversed(self.held) if each.key and each.good}


@attrs.frozen(eq=False)
class State:
    """Everything that is known of the documents. `version` grows when the configuration in force changes.

    `accepted` and `rejected` count versions of objects by kind (`unknown` where the kind is not known), `unreadable`
    counts units; all since the start. `checks` are those that documents must pass besides those of their kinds.
    """

    version: int = 0
    accepted: Mapping[str, int] = attrs.field(factory=dict)
    rejected: Mapping[str, int] = attrs.field(factory=dict)
    unreadable: int = 0
    checks: Checks = NO_CHECKS
    synced: frozenset[str] = frozenset()
    stale: Mapping[str, str] = attrs.field(factory=dict)
    units: Mapping[UnitId, _Unit] = attrs.field(factory=dict, repr=False)
    claims: Mapping[ObjectKey, tuple[UnitId, ...]] = attrs.field(factory=dict, repr=False)
    in_force: Mapping[ObjectKey, InForce] = attrs.field(factory=dict, repr=False)

    def config(self) -> Config:
        """The configuration in force."""
        return self._config

    def problems(self) -> tuple[Problem, ...]:
        """All that operators should know, unit by unit."""
        return self._problems

    @functools.cached_property
    def _config(self) -> Config:
        return Config.of((each.object for each in self.in_force.values()), self.version)

    @functools.cached_property
    def _problems(self) -> tuple[Problem, ...]:
        return tuple(problem for unit_id in sorted(self.units) for problem in _unit_problems(self, unit_id))


def fold(state: State, event: SourceEvent, now: datetime.datetime, source: str = "") -> State:
    """The state after `event` of `source` at `now`."""
    match event:
        case Loaded(unit, documents):
            return _load(state, (unit, source), documents, now)
        case Removed(unit):
            return _replace(state, (unit, source), None)
        case Unreadable(unit):
            return _unreadable(state, (unit, source), event)
        case Synced():
            return attrs.evolve(state, synced=state.synced | {source})
        case Stale(reason):
            return attrs.evolve(state, stale={**state.stale, source: reason})
        case Fresh():
            return attrs.evolve(state, stale={name: why for name, why in state.stale.items() if name != source})


def _load(state: State, unit_id: UnitId, documents: Iterable[Document], now: datetime.datetime) -> State:
    former = state.units.get(unit_id, _Unit()).held
    by_key: dict[ObjectKey | None, _Held] = {each.key: each for each in reversed(former) if each.key is not None}
    held = tuple(_hold(document, by_key, now, state.checks) for document in documents)
    counted = _count(state, held, former)
    return _replace(counted, unit_id, _Unit(held + tuple(_perhaps_meant(held, by_key))))


def _hold(
    document: Document, former: Mapping[ObjectKey | None, _Held], now: datetime.datetime, checks: Checks
) -> _Held:
    before = former.get(_apparent_key(document.body))
    if before and before.verdict and not before.verdict.problems and before.verdict.document.body == document.body:
        return _moved(before, before.verdict, document)
    verdict = validate(document, checks)
    key = verdict.claim.key
    before = former.get(key)
    good = before.good if before else None
    if verdict.object is not None:
        good = _accept(good, verdict.object, now)
    return _Held(key, good, verdict)


def _apparent_key(body: Mapping[str, Any]) -> ObjectKey | None:
    """The key as it is written, unchecked: enough to find the version before."""
    metadata = body.get("metadata")
    if not isinstance(metadata, Mapping):
        return None
    kind, name = find_kind(body.get("apiVersion"), body.get("kind")), metadata.get("name")
    if isinstance(kind, Finding) or not isinstance(name, str):
        return None
    namespace = metadata.get("namespace") or ("" if kind.cluster_wide else DEFAULT_NAMESPACE)
    return ObjectKey(kind.title, namespace, name) if isinstance(namespace, str) else None


def _moved(before: _Held, verdict: Validated, document: Document) -> _Held:
    """The same body, perhaps at another line: nothing to validate again."""
    if before.good is None or before.good.object.origin == origin(document):
        return before
    there = attrs.evolve(before.good.object, origin=origin(document))
    return attrs.evolve(
        before,
        good=attrs.evolve(before.good, object=there),
        verdict=attrs.evolve(verdict, document=document, object=there),
    )


def _accept(before: InForce | None, new: ConfigObject[Any], now: datetime.datetime) -> InForce:
    """Keeps the identity of what did not change: the spec at least, the whole object if it also stayed in its place."""
    if before is None or before.object.spec != new.spec or _metadata(before.object) != _metadata(new):
        return InForce(new, now)
    if before.object.origin == new.origin:
        return before
    return attrs.evolve(before, object=attrs.evolve(before.object, origin=new.origin))


def _metadata(each: ConfigObject[Any]) -> tuple[object, ...]:
    return each.labels, each.created, each.annotations


def _perhaps_meant(held: Iterable[_Held], former: Mapping[ObjectKey | None, _Held]) -> Iterator[_Held]:
    """Former objects that a document too broken to tell may be: a misspelt kind or name removes nothing."""
    held = tuple(held)
    mentioned = {each.key for each in held}
    nameless = [each.verdict.claim for each in held if each.key is None and each.verdict is not None]
    for key, before in former.items():
        if (
            key is not None
            and key not in mentioned
            and before.good is not None
            and any(claim.may_be(key) for claim in nameless)
        ):
            yield _Held(key, before.good, None)


def _unreadable(state: State, unit_id: UnitId, fault: Unreadable) -> State:
    unit = attrs.evolve(state.units.get(unit_id, _Unit()), fault=fault)
    return attrs.evolve(state, units={**state.units, unit_id: unit}, unreadable=state.unreadable + 1)


def _replace(state: State, unit_id: UnitId, unit: _Unit | None) -> State:
    """The state with another content of one unit, and what follows for the objects it held or holds."""
    before = state.units.get(unit_id, _Unit())
    after = unit or _Unit()
    units = {**state.units, unit_id: after}
    if unit is None:
        del units[unit_id]
    claims = dict(state.claims)
    held = after.keys()
    touched = before.keys() | held
    for key in touched:
        others = {each for each in claims.get(key, ()) if each != unit_id}
        claims[key] = tuple(sorted(others | {unit_id} if key in held else others))
        if not claims[key]:
            del claims[key]
    in_force = _settle(state.in_force, touched, units, claims)
    version = state.version + (in_force is not state.in_force)
    return attrs.evolve(state, units=units, claims=claims, in_force=in_force, version=version)


def _settle(
    in_force: Mapping[ObjectKey, InForce],
    touched: Iterable[ObjectKey],
    units: Mapping[UnitId, _Unit],
    claims: Mapping[ObjectKey, tuple[UnitId, ...]],
) -> Mapping[ObjectKey, InForce]:
    """What is in force once the touched objects are decided anew; the same mapping if nothing changes."""
    decided = {}
    for key in touched:
        winner = _winner(key, units, claims)
        # No claimant has a good version, but one exists: a unit's broken version is not a deletion.
        decided[key] = winner[1] if winner else in_force.get(key) if key in claims else None
    changed = {key: new for key, new in decided.items() if _object_of(new) is not _object_of(in_force.get(key))}
    if not changed:
        return in_force
    merged: dict[ObjectKey, InForce | None] = {**in_force, **changed}
    return {key: each for key, each in merged.items() if each is not None}


def _object_of(each: InForce | None) -> ConfigObject[Any] | None:
    return None if each is None else each.object


def _winner(
    key: ObjectKey, units: Mapping[UnitId, _Unit], claims: Mapping[ObjectKey, tuple[UnitId, ...]]
) -> tuple[_Held, InForce] | None:
    good = (units[unit_id].good.get(key) for unit_id in claims.get(key, ()))
    return next((each for each in good if each is not None), None)


def _count(state: State, held: Iterable[_Held], former: Iterable[_Held]) -> State:
    known = {id(each.good and each.good.object.spec) for each in former}
    seen = [each.verdict.document.body for each in former if each.verdict and each.verdict.object is None]
    accepted, rejected = dict(state.accepted), dict(state.rejected)
    for each in held:
        if each.verdict is None:
            continue
        kind = each.verdict.claim.kind or "unknown"
        if each.verdict.object is None:
            rejected[kind] = rejected.get(kind, 0) + (each.verdict.document.body not in seen)
        elif id(each.good and each.good.object.spec) not in known:
            accepted[kind] = accepted.get(kind, 0) + 1
    return attrs.evolve(state, accepted=accepted, rejected=rejected)


def _unit_problems(state: State, unit_id: UnitId) -> Iterator[Problem]:
    unit = state.units[unit_id]
    if unit.fault is not None:
        fault = unit.fault
        since = max((each.good.since for each in unit.held if each.good), default=None)
        yield Problem(fault.where, "", fault.message, fault.mend, kept_since=since)
    for each in unit.held:
        if each.verdict is None:
            continue
        kept = _kept(state, unit, each.verdict)
        for problem in each.verdict.problems:
            yield attrs.evolve(problem, kept_since=kept.since if kept else None)
        yield from _lost(state, each, each.verdict)


def _kept(state: State, unit: _Unit, verdict: Validated) -> InForce | None:
    """The version that stays in force instead of a rejected document."""
    if verdict.object is not None:
        return None
    if verdict.claim.key is not None:
        return state.in_force.get(verdict.claim.key)
    meant = (each for each in unit.held if each.verdict is None and each.key and verdict.claim.may_be(each.key))
    return next((each.good for each in meant), None)


def _lost(state: State, each: _Held, verdict: Validated) -> Iterator[Problem]:
    """The problem of a document whose object another one defines too, and wins."""
    winner = _winner(each.key, state.units, state.claims) if each.key else None
    if each.key is None or winner is None or winner[0] is each:
        return
    first = winner[1].object.origin
    message = f"is defined twice: {first} is in force, {origin(verdict.document)} is not"
    yield Problem(verdict.document.where(), str(each.key), message, "remove one of the two, or rename it")
