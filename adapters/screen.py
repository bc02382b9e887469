"""Between a platform's events and the merge: what a platform says, as far as it is believed. Pure: time is an argument.

Called by `mesh_adapter.control_plane` with every event, for platforms of every kind, so that a registry that loses its
data, or a token that sees less, empties no mesh. Endpoints that vanish all at once are kept, and the platform is stale,
until they return or the platform has stayed with its word for a while. A platform that judges losses itself, knowing
how often it was told so, is passed through (`hold` 0). The rule: docs/reference/platforms.md.

It also knows what a watch that had to begin anew did not tell again: that is gone.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator

import attrs

from adapters.platform import Delete, Event, Fresh, Problem, Resolved, Stale, Synced, Upsert, Workloads
from pilot.model.service import Endpoint, Service, ServiceKey

WINDOW = 5.0
"""Seconds in which losses count as one: platforms tell a loss of everything service by service."""


@attrs.frozen
class Limits:
    """When a loss is not believed: nothing is left, or at least `count` endpoints and more than `share` are lost.

    `hold` is for how many seconds; 0 believes everything.
    """

    hold: float = 300.0
    share: float = 0.5
    count: int = 20


@attrs.define
class _Held:
    """Endpoints of a service that are kept, and the service as it was when it lost them."""

    service: Service
    endpoints: dict[str, Endpoint]


class Screen:
    """One platform's. `now` is monotonic, in seconds."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._services: dict[ServiceKey, Service] = {}
        self._count = 0
        self._counts: deque[tuple[float, int]] = deque()
        self._losses: deque[tuple[float, Service, tuple[Endpoint, ...]]] = deque()
        self._held: dict[ServiceKey, _Held] = {}
        self._since = math.inf
        self._stale = ""
        self._told_stale = ""
        self._synced = False
        self._again: set[ServiceKey] | None = None
        self._workloads: set[str] = set()
        self._workloads_before: set[str] = set()
        self._problems: set[str] = set()
        self._problems_before: set[str] = set()
        self._is_failed = False

    @property
    def held(self) -> int:
        """Endpoints that are kept though the platform no longer tells of them."""
        return sum(len(each.endpoints) for each in self._held.values())

    def take(self, event: Event, now: float) -> Iterator[Event]:
        """What is believed after one event."""
        match event:
            case Upsert(service):
                if self._again is not None:
                    self._again.add(service.key)
                yield from self._change(service.key, service, now)
            case Delete(key):
                yield from self._change(key, None, now)
            case Synced():
                yield from self._begun(now)
            case Stale(reason):
                self._stale, self._since, self._is_failed = reason, math.inf, False
                yield from self._staleness()
            case Fresh():
                self._stale, self._since = "", now
                yield from self._staleness()
            case Problem(where):
                self._problems.add(where)
                self._problems_before.discard(where)
                yield event
            case Resolved(where):
                self._problems.discard(where)
                yield event
            case Workloads(told, gone):
                self._workloads.update(each.id for each in told)
                self._workloads.difference_update(gone)
                self._workloads_before.difference_update((each.id for each in told), gone)
                yield event

    def failed(self, reason: str) -> Iterator[Event]:
        """The watch broke off and is going to begin anew: stale until it has told everything again."""
        self.restarted()
        yield from self.take(Stale(reason), 0.0)
        self._is_failed = True

    def restarted(self) -> None:
        """The watch begins anew and will tell everything again; what it does not is gone when it has."""
        self._again = set()
        self._problems_before = set(self._problems)
        self._workloads_before = set(self._workloads)

    def limit(self, limits: Limits, now: float) -> Iterator[Event]:
        """Other limits from now on; without any, what is held is let go."""
        self._limits = limits
        if not limits.hold:
            yield from self._release()
        yield from self.tick(now)

    def next_due(self) -> float:
        """When `tick` may let go of something; infinity if nothing is held or the platform is away."""
        return self._since + self._limits.hold if self._held else math.inf

    def tick(self, now: float) -> Iterator[Event]:
        """What time alone brings: the platform stayed with its word for long enough."""
        if now >= self.next_due():
            yield from self._release()

    def _begun(self, now: float) -> Iterator[Event]:
        missing = self._services.keys() - self._again if self._again is not None else set()
        self._again = None
        if self._is_failed:
            self._stale, self._is_failed = "", False
        for key in sorted(missing):
            yield from self._change(key, None, now)
        for where in sorted(self._problems_before):
            self._problems.discard(where)
            yield Resolved(where)
        self._problems_before = set()
        if self._workloads_before:
            yield Workloads(gone=tuple(sorted(self._workloads_before)))
        self._workloads -= self._workloads_before
        self._workloads_before = set()
        yield from self._staleness()
        if not self._synced:
            self._synced = True
            yield Synced()

    def _change(self, key: ServiceKey, service: Service | None, now: float) -> Iterator[Event]:
        before = self._services.get(key)
        if service is None:
            self._services.pop(key, None)
        else:
            self._services[key] = service
            self._returned(service)
        affected = {key}
        if self._limits.hold and self._synced:
            affected |= self._judge(before, service, now)
        self._count += (len(service.endpoints) if service else 0) - (len(before.endpoints) if before else 0)
        for each in sorted(affected):
            yield from self._told(each, existed=before is not None or each != key)
        yield from self._staleness()

    def _judge(self, before: Service | None, after: Service | None, now: float) -> set[ServiceKey]:
        """Hold the losses of the window if they are too many together; the services that get endpoints back by it."""
        self._look_back(now)
        lost = _lost(before, after)
        if not lost or before is None:
            return set()
        self._losses.append((now, before, lost))
        count = self._count + (len(after.endpoints) if after else 0) - len(before.endpoints)
        peak = self._counts[0][1]
        many = peak - count >= self._limits.count and peak - count > self._limits.share * peak
        if count > 0 and not many:
            return set()
        keys = {service.key for _, service, _ in self._losses}
        for _, service, endpoints in self._losses:
            kept = self._held.setdefault(service.key, _Held(service, {}))
            kept.endpoints.update((each.instance, each) for each in endpoints)
        self._losses.clear()
        for key in keys:
            if key in self._services:
                self._returned(self._services[key])
        self._since = math.inf if self._stale else now
        return keys

    def _look_back(self, now: float) -> None:
        """Keep the losses of the window, and its counts as far as no later one is as high: the first is the peak."""
        while self._losses and self._losses[0][0] < now - WINDOW:
            self._losses.popleft()
        while self._counts and self._counts[-1][1] <= self._count:
            self._counts.pop()
        self._counts.append((now, self._count))
        while self._counts[0][0] < now - WINDOW:
            self._counts.popleft()

    def _returned(self, service: Service) -> None:
        """Let go of what the platform tells again, by its identity or by its address and ports."""
        held = self._held.get(service.key)
        if held is None:
            return
        held.endpoints = {each.instance: each for each in _missing(held.endpoints.values(), service.endpoints)}
        if not held.endpoints:
            del self._held[service.key]

    def _told(self, key: ServiceKey, existed: bool) -> Iterator[Event]:
        service, held = self._services.get(key), self._held.get(key)
        if held is not None:
            base = service or attrs.evolve(held.service, endpoints=())
            yield Upsert(attrs.evolve(base, endpoints=(*base.endpoints, *_fitting(held.endpoints.values(), base))))
        elif service is not None:
            yield Upsert(service)
        elif existed:
            yield Delete(key)

    def _release(self) -> Iterator[Event]:
        keys, self._held = sorted(self._held), {}
        self._losses.clear()
        self._counts.clear()
        self._since = math.inf
        for key in keys:
            yield from self._told(key, existed=True)
        yield from self._staleness()

    def _staleness(self) -> Iterator[Event]:
        text = "; ".join(filter(None, (self._stale, self._reason())))
        if text != self._told_stale:
            self._told_stale = text
            yield Stale(text) if text else Fresh()

    def _reason(self) -> str:
        if not self._held:
            return ""
        return (
            f"suspect: {self.held} endpoints of {len(self._held)} services vanished at once; they are kept until they "
            f"return or the platform has stayed with its word for {self._limits.hold:g} s"
        )


def _lost(before: Service | None, after: Service | None) -> tuple[Endpoint, ...]:
    return _missing(before.endpoints, after.endpoints if after else ()) if before else ()


def _missing(before: Iterable[Endpoint], after: Iterable[Endpoint]) -> tuple[Endpoint, ...]:
    """Those that are no longer there, unless their address and ports are, under another identity."""
    there, taken = set(), set()
    for each in after:
        there.add(each.instance)
        taken.add((each.address, each.ports))
    return tuple(each for each in before if each.instance not in there and (each.address, each.ports) not in taken)


def _fitting(endpoints: Iterable[Endpoint], service: Service) -> Iterator[Endpoint]:
    """Held endpoints with those ports only that the service still has."""
    names = {port.name for port in service.ports}
    for each in endpoints:
        yield attrs.evolve(each, ports=tuple(port for port in each.ports if port[0] in names))
