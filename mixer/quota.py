"""Windows that amounts are taken from: pure, time is an argument (seconds, monotonic), exact.

`memquota` keeps them in memory; other handlers may keep the same by other means. A Window never grants more than its
maximum within its duration, and never counts below nothing.
"""

from __future__ import annotations

import datetime
import enum
import ipaddress
from collections import deque
from collections.abc import Mapping
from typing import Any, Protocol

import attrs


class Algorithm(enum.Enum):
    """How a window moves; the names are those of redisquota."""

    ROLLING_WINDOW = "ROLLING_WINDOW"
    FIXED_WINDOW = "FIXED_WINDOW"


@attrs.frozen
class Limit:
    """`maximum` amounts within `duration` seconds; no duration: `maximum` at all, until somebody gives back."""

    maximum: int
    duration: float


class Window(Protocol):
    """`take` grants what it can of `amount` at `now`: all of it or, with `best_effort`, a part; 0 if nothing."""

    def take(self, amount: int, best_effort: bool, now: float) -> int: ...

    def left(self, now: float) -> float:
        """Seconds until what was granted last counts no more."""
        ...

    def idle(self, now: float) -> bool:
        """Whether it could be forgotten: nothing that was taken counts any more."""
        ...


class FixedWindow:
    """Windows of equal length, beginning with the first amount that is taken; each starts from nothing."""

    def __init__(self, limit: Limit) -> None:
        self._limit = limit
        self._used = 0
        self._ends = float("-inf")

    def take(self, amount: int, best_effort: bool, now: float) -> int:
        if now >= self._ends:
            self._used, self._ends = 0, now + self._limit.duration
        granted = _grant(amount, self._limit.maximum - self._used, best_effort)
        self._used += granted
        return granted

    def left(self, now: float) -> float:
        return max(self._ends - now, 0.0)

    def idle(self, now: float) -> bool:
        return now >= self._ends


class RollingWindow:
    """At each moment, what was taken within the duration before it. Kept in `SLOTS` slots, so memory is bounded.

    A slot counts until its last amount is old enough: the window is at most one slot longer than asked, never shorter.
    """

    SLOTS = 100

    def __init__(self, limit: Limit) -> None:
        self._limit = limit
        self._width = limit.duration / self.SLOTS
        self._taken: deque[list[float]] = deque()  # of [the slot's end, amount]
        self._used = 0

    def take(self, amount: int, best_effort: bool, now: float) -> int:
        self._forget(now)
        granted = _grant(amount, self._limit.maximum - self._used, best_effort)
        if granted:
            self._used += granted
            if not self._taken or now >= self._taken[-1][0]:
                self._taken.append([now + self._width, 0])
            self._taken[-1][1] += granted
        return granted

    def left(self, now: float) -> float:
        return self._limit.duration

    def idle(self, now: float) -> bool:
        self._forget(now)
        return not self._taken

    def _forget(self, now: float) -> None:
        while self._taken and self._taken[0][0] + self._limit.duration <= now:
            self._used -= int(self._taken.popleft()[1])


class Allotment:
    """A maximum that never comes back by itself (a limit without a duration)."""

    def __init__(self, limit: Limit) -> None:
        self._left = limit.maximum

    def take(self, amount: int, best_effort: bool, now: float) -> int:
        granted = _grant(amount, self._left, best_effort)
        self._left -= granted
        return granted

    def left(self, now: float) -> float:
        return float("inf")

    def idle(self, now: float) -> bool:
        return False


def _grant(amount: int, available: int, best_effort: bool) -> int:
    if amount <= available:
        return amount
    return max(available, 0) if best_effort else 0


@attrs.frozen
class Override:
    """Another limit where all these dimensions have these values, as text."""

    dimensions: tuple[tuple[str, str], ...]
    limit: Limit


@attrs.frozen
class Quota:
    """One quota's limits: the first override that fits, else its own."""

    limit: Limit
    overrides: tuple[Override, ...] = ()

    def limit_for(self, dimensions: Mapping[str, Any]) -> Limit:
        """The limit of these dimensions."""
        for each in self.overrides:
            if all(dimension_text(dimensions.get(name)) == wanted for name, wanted in each.dimensions):
                return each.limit
        return self.limit


def dimension_text(value: Any) -> str:
    """A dimension's value as overrides write it, and as keys of counters hold it."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case bytes():
            return str(ipaddress.ip_address(value))
        case datetime.timedelta():
            return f"{value.total_seconds():g}s"
        case Mapping():
            return ",".join(f"{key}={value[key]}" for key in sorted(value))
        case _:
            return str(value)


def quota_key(name: str, dimensions: Mapping[str, Any]) -> tuple[str, ...]:
    """What one counter is kept by: quotas of equal names and dimensions share it, whatever order they come in."""
    return (name, *(f"{key}={dimension_text(dimensions[key])}" for key in sorted(dimensions)))


class Deduplication:
    """Answers that were given to a deduplication id: a repetition within `keep` seconds takes nothing again.

    Bounded in number: the oldest goes first.
    """

    MOST = 100_000

    def __init__(self, keep: float) -> None:
        self._keep = keep
        self._answers: dict[tuple[str, ...], tuple[float, int]] = {}

    def known(self, key: tuple[str, ...], now: float) -> int | None:
        """What was granted to it before."""
        self._forget(now)
        found = self._answers.get(key)
        return found[1] if found and found[0] > now else None

    def remember(self, key: tuple[str, ...], granted: int, now: float) -> None:
        self._answers.pop(key, None)
        self._answers[key] = (now + self._keep, granted)
        if len(self._answers) > self.MOST:
            del self._answers[next(iter(self._answers))]

    def _forget(self, now: float) -> None:
        while self._answers:
            oldest = next(iter(self._answers))
            if self._answers[oldest][0] > now:
                return
            del self._answers[oldest]
