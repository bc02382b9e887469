"""Quota taken ahead of need, so that most requests wait for no call. Pure: time is an argument.

As Istio's client does: it predicts by what was taken within the last second, asks for at least ten, and after a grant
that fell short not for half a second. Unlike that one it asks when the stock does not suffice, not before. What is
taken ahead and not used is lost when it expires: never is more used than was granted, so nothing is over-granted, and
up to the prediction lies idle.
"""

from __future__ import annotations

from collections import deque

import attrs

WINDOW = 1.0
"""Seconds whose use is what is predicted."""
LEAST = 10
"""What is asked for at least."""
CLOSED = 0.5
"""Seconds without asking, after a grant that fell short."""
LONGEST = 60.0
"""Seconds that a grant lasts at most."""


@attrs.define(eq=False)
class _Grant:
    left: int
    until: float


class Pool:
    """What one quota has in stock for one set of values."""

    def __init__(self) -> None:
        self._grants: deque[_Grant] = deque()
        self._taken: deque[tuple[float, int]] = deque()
        self._closed_until = float("-inf")

    def take(self, amount: int, now: float) -> bool:
        """Takes all of it out of the stock, or nothing."""
        self._taken.append((now, amount))
        if self.stock(now) < amount:
            return False
        while amount:
            first = self._grants[0]
            part = min(first.left, amount)
            first.left -= part
            amount -= part
            if not first.left:
                self._grants.popleft()
        return True

    def stock(self, now: float) -> int:
        """What there is."""
        while self._grants and self._grants[0].until <= now:
            self._grants.popleft()
        return sum(each.left for each in self._grants if each.until > now)

    def wanted(self, now: float) -> int:
        """How much to ask for, now that the stock did not suffice; 0 for nothing."""
        while self._taken and self._taken[0][0] <= now - WINDOW:
            self._taken.popleft()
        predicted = max(sum(amount for _, amount in self._taken), LEAST)
        stock = self.stock(now)
        return max(predicted - stock, 0) if now >= self._closed_until else 0

    def granted(self, asked: int, got: int, valid: float, now: float) -> None:
        """Puts a grant into stock; `valid` is in seconds."""
        if got:
            self._grants.append(_Grant(got, now + min(valid, LONGEST)))
        if got < asked:
            self._closed_until = now + CLOSED
