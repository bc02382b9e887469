"""What is known of one datacenter, and what has to be read next to know it better. Pure: time is an argument.

Driven by `adapters.consul.watch`, which does the reading. Lists that Consul tells by long polls (nodes, names, checks)
say where something changed; then the service's instances are read in a round. A round is judged as a whole, so that a
loss of everything is seen as one loss (`adapters.hold`). After an outage nothing is believed before everything
was read once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import attrs

from adapters.consul import convert
from adapters.consul.checks import CheckChange, CheckList
from adapters.consul.convert import InstanceKey, Reading
from adapters.consul.sweep import Sweeps
from adapters.hold import Hold, is_suspect, missing
from adapters.instance import Instance

RETRY = 0.5
_INCOMPLETE_ROUNDS = 3


@attrs.frozen
class ListNames:
    """Read /v1/catalog/services; answer with `listed` or `not_listed`."""


@attrs.frozen
class ReadServices:
    """Read /v1/health/service/NAME of each; answer with `read` or `not_read` for each."""

    names: tuple[str, ...]


@attrs.frozen
class Sweep:
    """Read what each node, or each service, has; answer with `swept_node` or `swept_service`, then `sweep_ended`."""

    nodes: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


Work = ListNames | ReadServices | Sweep


class Datacenter:
    """The state of one datacenter. Methods that take an answer return the names whose instances changed by it."""

    def __init__(self, patience: float) -> None:
        self.hold = Hold(patience)
        self.loaded = False
        self._sweeps = Sweeps()
        self._checks = CheckList()
        self._critical = CheckList()
        self._nodes: Mapping[str, str] = {}
        self._names: Mapping[str, tuple[str, ...]] = {}
        self._believed: dict[str, tuple[Instance, ...]] = {}
        self._versions: dict[str, dict[str, tuple[str, int]]] = {}
        self._readings: dict[str, Reading] = {}
        self._pending: set[str] = set()
        self._read_at = 0.0
        self._list_at = 0.0
        self._listing = False
        self._resync = True
        self._armed = False
        self._round = _Round()
        self._incomplete = 0
        self._spoiled = False

    # What lists say

    def nodes_told(self, body: bytes) -> None:
        """The answer of /v1/catalog/nodes is another."""
        nodes = convert.nodes(body)
        changed = {node for node in nodes.keys() | self._nodes.keys() if nodes.get(node) != self._nodes.get(node)}
        self._nodes = nodes
        self._pending |= self._names_on(changed)

    def names_told(self, body: bytes, last: int, index: int, now: float) -> None:
        """/v1/catalog/services was answered; `last` and `index` are its indexes before and now (last 0: unknown)."""
        self._compare_names(convert.service_names(body))
        if last and index > last:
            self._sweeps.moved(last, index, now)

    def checks_told(self, body: bytes, index: int) -> None:
        """The answer of /v1/health/state/any is another."""
        change = self._checks.update(body)
        self._sweeps.explained(*change.indexes)
        if change.vanished:
            self._sweeps.explained(index)
        self._see(change)

    def critical_told(self, body: bytes) -> None:
        """The answer of /v1/health/state/critical is another: what began to fail, or fails no more."""
        self._see(self._critical.update(body))

    def outage(self, now: float) -> None:
        """An answer failed, an index went back, or the token sees less than before: look at everything again.

        Readings under way may be from before or after: they are not used.
        """
        self._resync = self._armed = True
        self._spoiled = self._round.under_way
        self._list_at = min(self._list_at, now)
        self._sweeps.reset()
        self.hold.interrupted()

    # What to read

    def work(self, now: float) -> tuple[Work, ...]:
        """What to start reading now. Each is to be answered before the same kind is asked for again."""
        found: list[Work] = []
        if not self._listing and now >= self._list_at:
            self._listing, self._list_at = True, math.inf
            found.append(ListNames())
        if self._pending and not self._round.under_way and not self._resync and now >= self._read_at:
            found.append(self._begin_round(frozenset(self._pending), full=False))
        if self.loaded and not self._resync and self._sweeps.is_due(now):
            by_node = 0 < len(self._nodes) <= len(self._names)
            sweep = Sweep(nodes=tuple(self._nodes)) if by_node else Sweep(names=tuple(self._names))
            self._sweeps.started(now, requests=len(sweep.nodes) + len(sweep.names))
            found.append(sweep)
        return tuple(found)

    def next_due(self) -> float:
        """When `work` may have something new although nothing was answered."""
        due = math.inf if self._listing else self._list_at
        if self._pending and not self._round.under_way and not self._resync:
            due = min(due, self._read_at)
        return min(due, self._sweeps.next_due()) if self.loaded and not self._resync else due

    # What was read

    def listed(self, body: bytes, now: float) -> tuple[ReadServices | None, frozenset[str]]:
        """The names were read for us: what to read next if everything is to be read, and names let go by the hold."""
        self._listing = False
        self._compare_names(convert.service_names(body))
        released = self.hold.answered(now) if self.hold.active else frozenset()
        if self.hold.active:
            self._list_at = self.hold.next_question(now)
        if not self._resync:
            return None, released
        if self._round.under_way:
            self._list_at = now + RETRY / 10
            return None, released
        self._resync = False
        return self._begin_round(frozenset(self._names) | frozenset(self._believed), full=True), released

    def not_listed(self, now: float, pause: float) -> None:
        self._listing = False
        self._list_at = now + pause
        self.hold.interrupted()

    def read(self, reading: Reading, now: float) -> frozenset[str]:
        """A service was read."""
        return self._round_goes_on(reading.name, reading, now)

    def not_read(self, name: str, now: float, pause: float = RETRY) -> frozenset[str]:
        """A service could not be read: it is read again after the pause."""
        self._read_at = now + pause
        return self._round_goes_on(name, None, now)

    def round_is_empty(self, now: float) -> frozenset[str]:
        """A full round had nothing to read."""
        return self._end_round(now)

    def swept_node(self, node: str, found: Mapping[InstanceKey, tuple[str, int]]) -> None:
        """What a node has; a service that differs from what we read is read again."""
        known = self._versions.get(node, {})
        there = {service_id: version for (_, service_id), version in found.items()}
        differing = {i for i in known.keys() | there.keys() if known.get(i) != there.get(i)}
        names = {side[i][0] for i in differing for side in (known, there) if i in side}
        self._pending |= names - {convert.OWN_SERVICE}

    def swept_service(self, name: str, digest: int) -> None:
        """What a service has, as the digest of its answer."""
        known = self._readings.get(name)
        if known is None or known.digest != digest:
            self._pending.add(name)

    def sweep_ended(self, now: float, complete: bool) -> None:
        self._sweeps.ended(now, complete)

    # What is believed

    def instances(self, name: str) -> tuple[Instance, ...]:
        """Instances of the name as Consul lists them, then those that are held."""
        return self._believed.get(name, ()) + tuple(self.hold.held.get(name, {}).values())

    def read_names(self) -> frozenset[str]:
        """All names that were read, also those without an instance that can be used."""
        return frozenset(self._readings)

    def names(self) -> frozenset[str]:
        """All names with instances."""
        return frozenset(self._believed) | frozenset(self.hold.held)

    @property
    def current(self) -> bool:
        """Whether everything was read since the last outage."""
        return self.loaded and not self._resync and not self._armed

    def _begin_round(self, names: frozenset[str], full: bool) -> ReadServices:
        self._pending -= names
        self._round = _Round(awaiting=set(names), full=full, under_way=True)
        self._spoiled = False
        return ReadServices(tuple(sorted(names)))

    def _round_goes_on(self, name: str, reading: Reading | None, now: float) -> frozenset[str]:
        self._round.awaiting.discard(name)
        if reading is None:
            self._round.failed.add(name)
        else:
            self._round.readings[name] = reading
        return frozenset() if self._round.awaiting else self._end_round(now)

    def _end_round(self, now: float) -> frozenset[str]:
        ended, self._round = self._round, _Round()
        self._pending |= ended.failed
        if self._spoiled:
            self._spoiled = False
            self._pending |= ended.readings.keys()
            return frozenset()
        if ended.full:
            self._incomplete = self._incomplete + 1 if ended.failed else 0
            if 0 < self._incomplete < _INCOMPLETE_ROUNDS:
                self._resync, self._list_at = True, now + RETRY
                return frozenset()
            self._incomplete = 0
        changed = self._judge(ended.readings, now)
        if ended.full:
            self.loaded, self._armed = True, False
        return changed

    def _judge(self, readings: Mapping[str, Reading], now: float) -> frozenset[str]:
        """Believe a round's readings, but for a loss that is suspect."""
        before = sum(len(instances) for instances in self._believed.values())
        held_before = self.hold.active
        lost = {name: missing(self._believed.get(name, ()), reading.instances) for name, reading in readings.items()}
        changed = frozenset(n for n, r in readings.items() if self._take(n, r))
        after = sum(len(instances) for instances in self._believed.values())
        for reading in readings.values():
            self.hold.returned(reading.name, reading.instances)
        count = sum(len(instances) for instances in lost.values())
        if self.hold.patience > 0 and is_suspect(before, count, after, self._armed):
            self.hold.begin(lost, now)
        if self.hold.active and (not held_before or self._list_at == math.inf):
            self._list_at = self.hold.next_question(now)
        return changed

    def _take(self, name: str, reading: Reading) -> bool:
        """Put a reading in the place of the one before; whether it says anything else, or some of it is held."""
        old = self._readings.pop(name, None)
        for node, service_id in old.versions if old else ():
            self._versions.get(node, {}).pop(service_id, None)
        for (node, service_id), version in reading.versions.items():
            self._versions.setdefault(node, {})[service_id] = (name, version)
        if reading.versions or reading.problems:
            self._readings[name] = reading
        self._sweeps.explained(*reading.versions.values())
        if reading.instances:
            self._believed[name] = reading.instances
        else:
            self._believed.pop(name, None)
        same = old is not None and old.digest == reading.digest
        return not same or name in self.hold.held

    def _compare_names(self, names: Mapping[str, tuple[str, ...]]) -> None:
        differing = {n for n in names.keys() | self._names.keys() if names.get(n) != self._names.get(n)}
        self._names = names
        self._pending |= differing

    def _see(self, change: CheckChange) -> None:
        """Have the services of changed checks read, but for those that were read since."""
        seen = {n for n, index in change.latest.items() if (r := self._readings.get(n)) and r.index >= index > 0}
        self._pending |= (change.names - seen - {convert.OWN_SERVICE}) | self._names_on(change.nodes)

    def _names_on(self, nodes: frozenset[str] | set[str]) -> set[str]:
        return {name for node in nodes for name, _ in self._versions.get(node, {}).values()} - {convert.OWN_SERVICE}


@attrs.define
class _Round:
    """Readings under way: asked for, in, and failed."""

    awaiting: set[str] = attrs.field(factory=set)
    readings: dict[str, Reading] = attrs.field(factory=dict)
    failed: set[str] = attrs.field(factory=set)
    full: bool = False
    under_way: bool = False
