"""What is believed of one resource, by what its listings and its watch said. Pure: time is an argument.

Driven by `kubeapi.mirror`. A watch tells of every object by itself and is believed. A listing that lacks most of what
there was looks like an API server that was restored from nothing, or that answers for another cluster: it is held for a
while.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Generic

import attrs

from kubeapi.resource import Broken, Key, T


def is_suspect(before: int, after: int) -> bool:
    """Whether a listing of `after` objects where `before` were known is not believed: none, or fewer than half."""
    return before > 0 and after * 2 < before


@attrs.define
class Collection(Generic[T]):
    """The objects that count. `patience`: seconds for which a suspect loss must last; 0 believes it at once."""

    patience: float
    objects: dict[Key, T] = attrs.field(factory=dict)
    broken: dict[Key, Broken] = attrs.field(factory=dict)
    held: frozenset[Key] = frozenset()
    loaded: bool = False
    _since: float = 0.0

    def listed(self, found: Mapping[Key, T | Broken], now: float) -> frozenset[Key]:
        """Everything there is. Keys whose object is another now, or gone."""
        self.loaded = True
        missing = self._missing(found, now)
        changed = {key for key, value in found.items() if self._put(key, value)}
        for key in self.broken.keys() - found.keys():
            del self.broken[key]
        for key in missing:
            del self.objects[key]
        return frozenset(changed | missing)

    def changed(self, key: Key, value: T | Broken | None) -> bool:
        """One object as the watch tells it, None if it is gone; whether that is news."""
        self.held -= {key}
        if value is not None:
            return self._put(key, value)
        self.broken.pop(key, None)
        return self.objects.pop(key, None) is not None

    def interrupted(self, now: float) -> None:
        """The server was away: the time for which it said the same begins anew."""
        self._since = now

    def removed(self) -> frozenset[Key]:
        """The resource is no longer looked at: all keys there were."""
        return frozenset(self.objects)

    @property
    def confirm_at(self) -> float | None:
        """When to list again, to see whether what is held is still missing; None if nothing is held."""
        return self._since + self.patience if self.held else None

    def _missing(self, found: Mapping[Key, T | Broken], now: float) -> set[Key]:
        """What to let go of, of all that the listing lacks; what is held is in `held` afterwards."""
        missing = self.objects.keys() - found.keys()
        suspect = self.patience > 0 and is_suspect(len(self.objects), len(found))
        still = missing & self.held
        if still and now >= self._since + self.patience:
            suspect, still = suspect and bool(missing - self.held), set()
        if suspect and not missing <= self.held:
            self._since = now
        self.held = frozenset(missing if suspect else still)
        return missing - self.held

    def _put(self, key: Key, value: T | Broken) -> bool:
        if isinstance(value, Broken):
            news = self.broken.get(key) != value
            self.broken[key] = value
            return news
        news = self.broken.pop(key, None) is not None or self.objects.get(key) != value
        self.objects[key] = value
        return news


def held_reason(collections: Iterable[tuple[str, int]], patience: float) -> str:
    """For Stale: what of each resource is held; empty if nothing is."""
    said = [f"{count} {name}" for name, count in collections if count]
    if not said:
        return ""
    return (
        f"suspect: {', '.join(said)} are no longer listed; they are kept until they return or the API server's answer "
        f"stays like this for {patience:g} s"
    )
