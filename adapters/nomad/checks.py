"""When the checks of which allocation are read next. Pure.

Kept by `adapters.nomad.feed`. Nomad tells nobody of a check's result: the only way is to ask the node of each
allocation (/v1/client/allocation/ID/checks). So it is a matter of what asking may cost: each is asked every `interval`
seconds while that is at most `rate` requests a second; beyond that all wait their turn equally.
"""

from __future__ import annotations

import heapq
import math

import attrs

from adapters.pace import Allowance

AFTER_FAILURE = 15.0
"""Seconds until an allocation is asked for again whose node did not answer."""
AT_ONCE = 5_000.0
"""Requests that may be made at once after a rest: the first look at everything should not take minutes."""
UNDER_WAY = 16
"""Requests that are started before the first of them is answered: what waits in a queue waits here instead."""


@attrs.define
class Checks:
    """The allocations that have checks, by when they are due."""

    interval: float
    rate: float
    _due: dict[str, float] = attrs.field(factory=dict)
    _heap: list[tuple[float, str]] = attrs.field(factory=list)
    _asked: set[str] = attrs.field(factory=set)
    _new: set[str] = attrs.field(factory=set)
    _allowance: Allowance = attrs.field(init=False)
    _not_before: float = 0.0

    def __attrs_post_init__(self) -> None:
        self._allowance = Allowance.full(self.rate, max(AT_ONCE, self.rate))

    def want(self, alloc: str, now: float) -> None:
        """This allocation has checks."""
        if alloc not in self._due and alloc not in self._asked:
            self._new.add(alloc)
            self._put(alloc, now)

    def drop(self, alloc: str) -> None:
        """It has none any more."""
        self._due.pop(alloc, None)
        self._asked.discard(alloc)
        self._new.discard(alloc)

    def due(self, now: float) -> tuple[str, ...]:
        """Whose checks to read now; each to be answered by `answered` or `failed`."""
        found: list[str] = []
        while now >= self._not_before and len(self._asked) < UNDER_WAY and (alloc := self._first(now)) is not None:
            heapq.heappop(self._heap)
            del self._due[alloc]
            self._asked.add(alloc)
            self._allowance, pause = self._allowance.spend(now)
            self._not_before = now + pause
            found.append(alloc)
        return tuple(found)

    def answered(self, alloc: str, now: float) -> None:
        self._again(alloc, now + self.interval)

    def failed(self, alloc: str, now: float) -> None:
        self._again(alloc, now + max(self.interval, AFTER_FAILURE))

    @property
    def all_seen(self) -> bool:
        """Whether each was asked for at least once."""
        return not self._new

    def next_due(self) -> float:
        """When `due` may have something; infinity if that depends on answers alone."""
        if len(self._asked) >= UNDER_WAY:
            return math.inf
        self._first(math.inf)
        return max(self._heap[0][0], self._not_before) if self._heap else math.inf

    def _again(self, alloc: str, at: float) -> None:
        self._new.discard(alloc)
        if alloc in self._asked:
            self._asked.discard(alloc)
            self._put(alloc, at)

    def _put(self, alloc: str, at: float) -> None:
        self._due[alloc] = at
        heapq.heappush(self._heap, (at, alloc))

    def _first(self, now: float) -> str | None:
        """The allocation at the head of the heap, if it is due; what was dropped meanwhile is cleared away."""
        while self._heap and self._due.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][1] if self._heap and self._heap[0][0] <= now else None
