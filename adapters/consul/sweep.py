"""When a sweep over everything is due: the changes that no list shows. Pure.

Called by `adapters.consul.datacenter`. Consul moves the index of /v1/catalog/services with any change of any instance,
but tags that another instance has too, meta, weights, addresses and instances without checks don't show in its body.
What moved it is known if every index since the last answer is the index of a change that was seen elsewhere (a check,
an instance read for another reason). Then no sweep is needed now, only some time later, since one transaction may
change several instances under one index.
"""

from __future__ import annotations

import math

import attrs

from adapters.pace import Allowance

GRACE = 0.08
"""Seconds that other answers get to explain a move: the list of checks takes longer to arrive."""
LATE = 30.0
"""Seconds after which even an explained move is swept."""
SHORTEST_PAUSE = 0.3
REQUESTS_A_SECOND, REQUESTS_AT_ONCE = 150.0, 10_000.0
"""What sweeps may cost: single changes are swept at once, lasting churn is swept as often as this allows."""
_LONGEST_SPAN = 64


@attrs.define
class Sweeps:
    """Which moves of the index are not explained, and what sweeps cost."""

    _spans: list[tuple[int, int, float]] = attrs.field(factory=list)
    _seen: set[int] = attrs.field(factory=set)
    _done: int = 0
    _wanted: bool = False
    _late: float = math.inf
    _not_before: float = 0.0
    _running: bool = False
    _allowance: Allowance = attrs.field(factory=lambda: Allowance.full(REQUESTS_A_SECOND, REQUESTS_AT_ONCE))

    def moved(self, last: int, index: int, now: float) -> None:
        """The index of the catalog went from `last` to `index`."""
        self._spans.append((last, index, now))

    def explained(self, *indexes: int) -> None:
        """Changes with these indexes were seen."""
        self._seen.update(index for index in indexes if index > self._done)

    def is_due(self, now: float) -> bool:
        """Whether to start a sweep now."""
        self._judge(now)
        return not self._running and now >= self._not_before and (self._wanted or now >= self._late)

    def next_due(self) -> float:
        """When `is_due` may say otherwise; infinity if no time alone makes it."""
        grace = min((at + GRACE for _, _, at in self._spans), default=math.inf)
        if self._running:
            return grace
        return min(grace, max(self._not_before, 0.0 if self._wanted else self._late))

    def started(self, now: float, requests: int) -> None:
        """A sweep begins, of so many requests."""
        self._allowance, pause = self._allowance.spend(now, requests)
        self._not_before = now + pause
        self._wanted, self._late, self._running = False, math.inf, True

    def ended(self, now: float, complete: bool) -> None:
        """A sweep is through; what it could not read is a reason for another."""
        self._running = False
        self._not_before = max(self._not_before, now + SHORTEST_PAUSE)
        self._wanted |= not complete

    def reset(self) -> None:
        """Indexes before this mean nothing any more (the agent restarted)."""
        self._spans.clear()
        self._seen.clear()
        self._done = 0

    def _judge(self, now: float) -> None:
        """Decide about the moves whose grace is over."""
        ripe = [span for span in self._spans if now >= span[2] + GRACE]
        if not ripe:
            return
        for last, index, _ in ripe:
            if index - last <= _LONGEST_SPAN and all(i in self._seen for i in range(last + 1, index + 1)):
                self._late = min(self._late, now + LATE)
            else:
                self._wanted = True
            self._done = max(self._done, index)
        self._spans = [span for span in self._spans if span not in ripe]
        self._seen = {index for index in self._seen if index > self._done}
