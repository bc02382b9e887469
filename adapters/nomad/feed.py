"""What is known of one region, in one namespace or all, and what has to be read to know it better. Pure.

Driven by `adapters.nomad.loop`, which does the reading. Nomad's event stream forgets (it keeps 100 events), begins anew
after a restart and says nothing of what it left out. So each time it was opened everything is listed, and only events
that are younger than the list count: that is the only way in which nothing is missed. It is listed anew now and then,
too, since registrations have been known to be lost or to outlive their tasks.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from adapters.hold import Hold, is_suspect, missing
from adapters.instance import Instance
from adapters.nomad import convert
from adapters.nomad.checks import Checks
from adapters.nomad.facts import (
    AllocationTold,
    Deregistered,
    JobName,
    Listing,
    NodeGone,
    NodeTold,
    NomadEvent,
    Registered,
    ServiceName,
    Spec,
    Unreadable,
)
from adapters.nomad.store import Names, Store
from adapters.nomad.workloads import Runs
from adapters.platform import Problem, Workloads

RELIST_EVERY = 300.0
RELIST_SOONEST = 30.0
RETRY = 0.5
CHECKS_PATIENCE = 1.0
"""Seconds after the first list was understood for which Synced waits for the results of checks."""
_NONE: Names = frozenset()
T = TypeVar("T")


class Feed:
    """The state of one feed. Methods that take something in return the services whose instances changed by it."""

    def __init__(self, region: str, platform: str, patience: float, checks: Checks) -> None:
        self.region = region
        self.streaming = False
        self.hold = Hold(patience)
        self.checks = checks
        self.problems: tuple[Problem, ...] = ()
        """What could not be read, of the last list and of the events since."""
        self._platform = platform
        self._store = Store()
        self._runs = Runs()
        self._instances: dict[ServiceName, tuple[Instance, ...]] = {}
        self._faults: dict[ServiceName, tuple[Problem, ...]] = {}
        self._listing: Listing | None = None
        self._listed_at = -math.inf
        self._understood_at = math.inf
        self._under_way = self._spoiled = False
        self._queue: list[NomadEvent] = []
        self._last_index = 0
        self._current = self._armed = False
        self._list_at = math.inf
        self._outdated: set[JobName] = set()
        self._asked: set[JobName] = set()
        self._ask_at = 0.0
        self._differed = False

    @property
    def loaded(self) -> bool:
        """Whether everything was listed once."""
        return self._listing is not None

    @property
    def current(self) -> bool:
        """Whether everything was listed since the stream was opened."""
        return self._current

    # The stream

    def opened(self, now: float) -> None:
        """The stream is there: whatever happens from now on will be heard, so it is time to list."""
        self.streaming, self._current, self._spoiled = True, False, self._under_way
        self._last_index, self._list_at = 0, now

    def cut(self) -> None:
        """The stream ended. What it would have told is found by the list that follows when it is there again."""
        self.streaming = self._current = False
        self._armed, self._spoiled, self._list_at = True, self._under_way, math.inf
        self.hold.interrupted()

    def heard(self, events: Iterable[NomadEvent], now: float) -> Names:
        """The stream told something."""
        touched: set[ServiceName] = set()
        for event in events:
            if event.index < self._last_index:
                # The servers count anew: their data are others, or older.
                self.cut()
                self.opened(now)
            self._last_index = event.index
            if isinstance(event, Unreadable):
                self.problems = (*self.problems, event.problem)
                self._list_at = min(self._list_at, max(now + RETRY, self._listed_at + RELIST_SOONEST))
            if self._under_way:
                self._queue.append(event)
            if self._current:
                touched |= self._apply(event)
        return self._refresh(touched, now)

    # What to read

    def list_due(self, now: float) -> bool:
        """Whether to list everything now; to be answered by `listed` or `not_listed`."""
        if not self.streaming or self._under_way or now < self._list_at:
            return False
        self._under_way, self._spoiled, self._list_at = True, False, math.inf
        self._queue.clear()
        return True

    def jobs_due(self, now: float) -> tuple[JobName, ...]:
        """Jobs to read; each to be answered by `job_read` or `job_not_read`."""
        if now < self._ask_at:
            return ()
        wanted = tuple(sorted((self._store.unknown_jobs | self._outdated) - self._asked))
        self._asked.update(wanted)
        return wanted

    def checks_due(self, now: float) -> tuple[str, ...]:
        """Allocations whose checks to read; each to be answered by `checks_read` or `checks_not_read`.

        None before the jobs of the first list are known: nothing can be told without these, and each question to a node
        would keep them waiting.
        """
        if self._understood_at == math.inf:
            return ()
        found: list[str] = []
        for alloc in self.checks.due(now):
            if self._store.runs_checks(alloc):
                found.append(alloc)
            else:
                self.checks.drop(alloc)
        return tuple(found)

    def next_due(self) -> float:
        """When there may be something to do although nothing was heard."""
        listing = self._list_at if self.streaming and not self._under_way else math.inf
        asking = self._ask_at if self._store.unknown_jobs - self._asked else math.inf
        checking = self.checks.next_due() if self._understood_at < math.inf else math.inf
        return min(listing, asking, checking)

    # What was read

    def listed(self, listing: Listing, now: float) -> Names:
        """Everything was read."""
        if self._spoiled:
            return self.not_listed(now, 0.0)
        self._under_way = False
        before = dict(self._instances)
        released = self.hold.answered(now) if self.hold.active else frozenset()
        self._store.replace(listing)
        self._listing, self._listed_at, self._current = listing, now, True
        self.problems = listing.problems
        touched = {*before, *self._store.services}
        for event in self._queue:
            touched |= self._apply(event)
        self._queue.clear()
        self._runs.touch_all(self._store)
        self._outdated = set(self._store.outdated_jobs())
        changed = self._refresh(touched, now)
        held = self._judge(before, listing, now)
        self._armed = False
        self._list_at = now + RELIST_EVERY
        if self.hold.active:
            self._list_at = min(self._list_at, self.hold.next_question(now))
        return changed | held | frozenset(_name(text) for text in released)

    def not_listed(self, now: float, pause: float = RETRY) -> Names:
        """Everything could not be read: it is tried again after the pause."""
        self._under_way = False
        self._list_at = now + pause
        self.hold.interrupted()
        return _NONE

    def probed(self, names: Sequence[ServiceName], now: float) -> None:
        """The names of services were read by themselves. Twice in a row others than ours: events are missing."""
        differ = self._current and set(names) != set(self._store.services)
        if differ and self._differed and not self._under_way:
            self._list_at = min(self._list_at, max(now, self._listed_at + RELIST_SOONEST))
        self._differed = differ

    def job_read(self, job: JobName, specs: Iterable[Spec], now: float) -> Names:
        """The versions of a job were read; none if there is no such job any more."""
        self._asked.discard(job)
        self._outdated.discard(job)
        return self._refresh(self._store.learn(job, specs), now)

    def job_not_read(self, job: JobName, now: float, pause: float = RETRY) -> None:
        """A job could not be read: it is read again after the pause."""
        self._asked.discard(job)
        self._ask_at = now + pause

    def checks_read(self, alloc: str, results: Mapping[str, tuple[str, ...]], now: float) -> Names:
        """The checks of an allocation were read."""
        self.checks.answered(alloc, now)
        return self._refresh(self._store.results(alloc, results), now)

    def checks_not_read(self, alloc: str, now: float) -> None:
        """Its node did not answer, which says nothing of the tasks there: what is known holds."""
        self.checks.failed(alloc, now)

    # What is believed

    def names(self) -> frozenset[ServiceName]:
        """All services with instances or problems."""
        held = frozenset(_name(text) for text in self.hold.held)
        return frozenset(self._instances) | frozenset(self._faults) | held

    def instances(self, name: ServiceName) -> tuple[Instance, ...]:
        """Instances as Nomad lists them, then those that are held."""
        return self._instances.get(name, ()) + tuple(self.hold.held.get(_text(name), {}).values())

    def workloads(self) -> Workloads | None:
        """What is different about allocations since it was asked last; None if nothing is."""
        return self._runs.take(self._store)

    def no_workloads(self) -> Workloads | None:
        """Take back what was told of allocations; None if nothing was."""
        return self._runs.forget()

    def faults(self, name: ServiceName) -> tuple[Problem, ...]:
        """What is wrong with single instances of the service."""
        return self._faults.get(name, ())

    def is_settled(self, now: float) -> bool:
        """Whether all that the first list needs to be understood was read."""
        if not self.loaded or self._store.unknown_jobs:
            return False
        return self.checks.all_seen or now >= self._understood_at + CHECKS_PATIENCE

    def _apply(self, event: NomadEvent) -> Names:
        """Take an event in, unless the list was younger."""
        if self._listing is None or event.index <= _listed_index(self._listing, event):
            return _NONE
        match event:
            case AllocationTold(_, allocation):
                self._runs.touch(allocation)
            case NodeTold(_, node) if self._store.is_renamed(node):
                self._runs.touch_all(self._store)
        return self._store.apply(event)

    def _refresh(self, names: Iterable[ServiceName], now: float) -> Names:
        """Make the instances of these services anew; those that came out different."""
        if self.loaded and not self._store.unknown_jobs:
            self._understood_at = min(self._understood_at, now)
        changed: set[ServiceName] = set()
        for name in names:
            made: list[Instance] = []
            faults: list[Problem] = []
            for _, registration in sorted(self._store.services.get(name, {}).items()):
                around = self._store.around(registration)
                if around is None:
                    continue
                found, problems = convert.instance(registration, around, region=self.region, platform=self._platform)
                faults += problems
                made += [found] if found else []
                if convert.is_checked(registration, around):
                    self.checks.want(registration.alloc, now)
            if self._put(name, tuple(made), tuple(faults)):
                changed.add(name)
        return frozenset(changed)

    def _put(self, name: ServiceName, made: tuple[Instance, ...], faults: tuple[Problem, ...]) -> bool:
        """Believe these; whether anything is different by it."""
        different = made != self._instances.get(name, ()) or faults != self._faults.get(name, ())
        _set(self._instances, name, made)
        _set(self._faults, name, faults)
        if (text := _text(name)) in self.hold.held:
            self.hold.returned(text, made)
            different = True
        return different

    def _judge(self, before: Mapping[ServiceName, Sequence[Instance]], listing: Listing, now: float) -> Names:
        """Hold what a list lost without a reason, if it is suspect; the services of what is held.

        An allocation that is still listed is the reason: Nomad knows it, and knows that nothing is registered of it.
        """
        lost: dict[str, tuple[Instance, ...]] = {}
        for name, instances in before.items():
            gone = missing(instances, self._instances.get(name, ()))
            left = tuple(i for i in gone if convert.allocation_of(i) not in listing.allocations)
            if left:
                lost[_text(name)] = left
        count = sum(len(instances) for instances in before.values())
        after = sum(len(instances) for instances in self._instances.values())
        lost_count = sum(len(instances) for instances in lost.values())
        if not lost or self.hold.patience <= 0 or not is_suspect(count, lost_count, after, self._armed):
            return _NONE
        self.hold.begin(lost, now)
        return frozenset(_name(text) for text in lost)


def _listed_index(listing: Listing, event: NomadEvent) -> int:
    """Up to which index the list knows of such an event."""
    match event:
        case Registered(_, registration):
            return listing.services.get(registration.name, (listing.services_index, {}))[0]
        case Deregistered(_, name, _):
            return listing.services.get(name, (listing.services_index, {}))[0]
        case AllocationTold():
            return listing.allocations_index
        case NodeTold() | NodeGone():
            return listing.nodes_index
    return 0


def _set(where: dict[ServiceName, tuple[T, ...]], name: ServiceName, value: tuple[T, ...]) -> None:
    if value:
        where[name] = value
    else:
        where.pop(name, None)


def _text(name: ServiceName) -> str:
    """A service as the hold keeps it."""
    return f"{name[0]}/{name[1]}"


def _name(text: str) -> ServiceName:
    namespace, _, name = text.partition("/")
    return namespace, name
