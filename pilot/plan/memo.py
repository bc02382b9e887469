"""What planning worked out before and need not work out again, so that one changed rule costs little in a large mesh.

Held by `pilot.plan.index.Index`, handed from one index to the next, and read by planning alone, from the one thread
that plans. A key must name everything that the value follows from, besides what the index promises of the memo. What a
whole snapshot passed without asking for is dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

T = TypeVar("T")


class Memo:
    """Values by key; begins with what was asked of `before`."""

    def __init__(self, before: Memo | None = None) -> None:
        self._old: dict[Hashable, Any] = before._new if before else {}
        self._new: dict[Hashable, Any] = {}

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """The value of that key, made now if nobody asked for it lately."""
        if key in self._new:
            found: T = self._new[key]
            return found
        found = self._new[key] = self._old[key] if key in self._old else make()
        return found
