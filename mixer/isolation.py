"""When a handler is not called: its circuit is open, or too many calls are in it. Pure: time is an argument.

One Guard a handler. After `FAILURES` failures in a row nothing is asked of it for `PAUSE` seconds; then one call at a
time tries whether it is well again. A timed-out call counts as a failure.
"""

from __future__ import annotations

FAILURES = 5
PAUSE = 3.0
MOST_CALLS = 128
"""Calls of one handler that may wait at the same time."""


class Guard:
    """Counts the calls of one handler. `enter` before, then exactly one of `succeeded`, `failed` and `abandoned`."""

    def __init__(self) -> None:
        self.waiting = 0
        self._failures = 0
        self._closed_until = float("-inf")
        self._trying = False

    def enter(self, now: float) -> str:
        """Why the call is not made; empty if it is."""
        if self._failures >= FAILURES:
            if now < self._closed_until:
                return "its circuit is open after repeated failures"
            if self._trying:
                return "its circuit is open, one call tries it"
            self._trying = True
        elif self.waiting >= MOST_CALLS:
            return f"{MOST_CALLS} calls wait for it"
        self.waiting += 1
        return ""

    def succeeded(self) -> None:
        self.waiting -= 1
        self._failures = 0
        self._trying = False

    def failed(self, now: float) -> None:
        self.waiting -= 1
        self._failures += 1
        self._trying = False
        self._closed_until = now + PAUSE

    def abandoned(self) -> None:
        """The caller went away: nothing is known of the handler."""
        self.waiting -= 1
        self._trying = False

    @property
    def open(self) -> bool:
        """Whether the circuit is open."""
        return self._failures >= FAILURES
