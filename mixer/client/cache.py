"""Verdicts that a caller keeps: found again for requests that agree in all that the verdict rests on. Pure.

Istio's client cache: the shapes of verdicts (which attributes are absent, which have a value) are kept and tried one
after another; a verdict is found by the hash of the values. It is used until its time is up or its uses are; refusals
are kept too. One that rests on a regular expression is not kept. Time is an argument.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Mapping
from typing import Generic, TypeVar

import attrs

from mixer.attributes import Bag, Condition, Reference
from mixer.result import UNLIMITED

V = TypeVar("V")
CAPACITY = 10_000
Shape = tuple[tuple[Reference, Condition], ...]
Key = tuple[Shape, tuple[Hashable, ...]]


@attrs.define(eq=False)
class _Kept(Generic[V]):
    verdict: V
    until: float
    uses: int


class CheckCache(Generic[V]):
    """Not for two threads at once."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._kept: OrderedDict[Key, _Kept[V]] = OrderedDict()
        self._shapes: dict[Shape, int] = {}

    def get(self, bag: Bag, now: float) -> V | None:
        """A verdict for this bag that may still be used; that is one use of it."""
        for shape in tuple(self._shapes):
            key = _key(shape, bag)
            if key is None or (kept := self._kept.get(key)) is None:
                continue
            if now >= kept.until or kept.uses == 0:
                self._drop(key)
                continue
            kept.uses -= kept.uses != UNLIMITED
            self._kept.move_to_end(key)
            return kept.verdict
        return None

    def put(
        self,
        bag: Bag,
        verdict: V,
        references: Mapping[Reference, Condition],
        *,
        until: float,
        uses: int,
    ) -> None:
        """Keeps a verdict that this bag got; `uses` are those beyond the one that it was asked for."""
        shape = tuple(sorted(references.items(), key=lambda item: item[0]))
        if uses == 0 or any(condition is Condition.REGEX for _, condition in shape):
            return
        key = _key(shape, bag)
        if key is None:
            return  # it rests on what the bag does not say
        if key not in self._kept:
            self._shapes[shape] = self._shapes.get(shape, 0) + 1
        self._kept[key] = _Kept(verdict, until, uses)
        self._kept.move_to_end(key)
        while len(self._kept) > self._capacity:
            self._drop(next(iter(self._kept)))

    def __len__(self) -> int:
        return len(self._kept)

    def _drop(self, key: Key) -> None:
        del self._kept[key]
        shape = key[0]
        self._shapes[shape] -= 1
        if not self._shapes[shape]:
            del self._shapes[shape]


def _key(shape: Shape, bag: Bag) -> Key | None:
    """What a verdict of this shape is found by; None if the bag is not of it."""
    values: list[Hashable] = []
    for reference, condition in shape:
        value = reference.read(bag)
        if (value is None) is not (condition is Condition.ABSENCE):
            return None
        values.append(tuple(sorted(value.items())) if isinstance(value, Mapping) else value)
    return shape, tuple(values)
