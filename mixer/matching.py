"""Which rules a bag concerns, found without asking each: rules are kept by the values that they wait for.

A rule whose condition says `destination.service.host == "a" && …` can match no other host; so of a hundred rules those
few are evaluated that the bag's values single out, and the ones that wait for nothing in particular. A rule that is
left out so would have been false, or without a value, which counts as false. Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, Protocol, TypeVar

import attrs

from mixer.attributes import Bag, Reference, ValueType
from mixer.expression import Program
from mixer.expression.functions import glob
from mixer.expression.terms import (
    Apply,
    Attribute,
    Both,
    Constant,
    Default,
    Either,
    Entry,
    Equal,
    OneOf,
    Term,
)

_HASHED = frozenset({ValueType.STRING, ValueType.INT64, ValueType.BOOL})
_MEMO = 4096


class Conditioned(Protocol):
    """What can be kept in an Index: anything with a condition; None holds always."""

    @property
    def predicate(self) -> Program | None: ...


R = TypeVar("R", bound=Conditioned)
Run = Callable[[Callable[..., Any]], Any]


@attrs.frozen
class Awaited:
    """The values of one attribute without which a condition does not hold; None among them is its absence."""

    reference: Reference
    values: frozenset[Any]


def awaited(term: Term) -> Iterator[Awaited]:
    """Everything of the kind that a condition says."""
    match term:
        case Both(terms):
            for each in terms:
                yield from awaited(each)
        case Either(terms):
            yield from _any_of(terms)
        case Equal(left, right, negated=False):
            yield from _one(left, (right,))
            yield from _one(right, (left,))
        case OneOf(inner, options):
            yield from _one(inner, options)
        case Apply(_, function, (text, Constant(_, pattern))) if function.run is glob and "*" not in pattern:
            yield from _one(text, (Constant(ValueType.STRING, pattern),))


def _any_of(terms: tuple[Term, ...]) -> Iterator[Awaited]:
    """`a == "x" || a == "y"`: what all of them say of the same attribute."""
    said = [{each.reference: each.values for each in awaited(term)} for term in terms]
    for reference in set(said[0]).intersection(*said[1:]):
        yield Awaited(reference, frozenset().union(*(each[reference] for each in said)))


def _one(term: Term, options: tuple[Term, ...]) -> Iterator[Awaited]:
    constants = [each.value for each in options if isinstance(each, Constant) and each.type in _HASHED]
    if len(constants) != len(options):
        return
    values = frozenset(constants)
    match term:
        case Attribute() | Entry():
            if (reference := _reference(term)) is not None:
                yield Awaited(reference, values)
        case Default(_, (first, Constant(_, otherwise))):
            if (reference := _reference(first)) is not None:
                yield Awaited(reference, values | {None} if otherwise in values else values)


def _reference(term: Term) -> Reference | None:
    match term:
        case Attribute(name=name):
            return Reference(name)
        case Entry(Attribute(name=name), Constant(_, key)):
            return Reference(name, key)
    return None


class Index(Generic[R]):
    """Rules in their order, ready to be asked which of them hold. Immutable but for a bounded memo of its own."""

    def __init__(self, rules: Iterable[R]) -> None:
        self.rules = tuple(rules)
        waiting = [tuple(awaited(rule.predicate.term)) if rule.predicate else () for rule in self.rules]
        popular = Counter(each.reference for all_ in waiting for each in all_)
        self._tables: dict[Reference, dict[Any, list[int]]] = {}
        self._always: list[int] = []
        for number, all_ in enumerate(waiting):
            if not all_:
                self._always.append(number)
                continue
            chosen = max(all_, key=lambda each: (popular[each.reference], -len(each.values), each.reference))
            table = self._tables.setdefault(chosen.reference, {})
            for value in chosen.values:
                table.setdefault(value, []).append(number)
        self._buckets = tuple(
            (reference.name, reference.key, {value: number + 1 for number, value in enumerate(table)})
            for reference, table in self._tables.items()
        )
        self._memo: dict[tuple[int, ...], tuple[tuple[R, Run | None], ...]] = {}

    def candidates(self, get: Callable[[str], Any]) -> tuple[R, ...]:
        """Those that may hold, in their order. `get` is the bag's."""
        return tuple([rule for rule, _ in self._candidates(get)])

    def _candidates(self, get: Callable[[str], Any]) -> tuple[tuple[R, Run | None], ...]:
        found = []
        for name, key, values in self._buckets:
            value = get(name)
            if key is not None and value is not None:
                value = value.get(key)
            found.append(values.get(value, 0))
        chosen = tuple(found)
        known = self._memo.get(chosen)
        return self._gather(chosen) if known is None else known

    def _gather(self, chosen: tuple[int, ...]) -> tuple[tuple[R, Run | None], ...]:
        numbers = set(self._always)
        for bucket, table in zip(chosen, self._tables.values(), strict=True):
            if bucket:
                numbers.update(list(table.values())[bucket - 1])
        if len(self._memo) >= _MEMO:
            self._memo.clear()
        rules = [self.rules[number] for number in sorted(numbers)]
        gathered = self._memo[chosen] = tuple((rule, rule.predicate.run if rule.predicate else None) for rule in rules)
        return gathered

    def matching(self, bag: Bag, failed: Callable[[R, Exception], None]) -> list[R]:
        """Those that hold, in their order; one whose condition has no value does not, and `failed` is told."""
        get = bag.get
        held = []
        for rule, run in self._candidates(get):
            try:
                if run is None or run(get):
                    held.append(rule)
            except Exception as error:  # noqa: BLE001 - one rule's trouble is not the others'; told to `failed`
                failed(rule, error)
        return held
