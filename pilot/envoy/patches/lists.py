"""What patches do to a list of messages, the same for filters of each sort and for routes. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from galley.kinds.envoy_filter import Operation

Named = Callable[[Any], bool]
"""Whether an item is the one that the patch's match names."""


def edited(items: list[Any], operation: Operation, value: Any, named: Named | None) -> list[Any]:
    """The list after one operation; without `named` the match names none. Merging is not done here.

    Beside or in the place of the first item that is named, and not at all where there is none; all that are named are
    removed. Before nothing in particular is first, after it is last.
    """
    if operation is Operation.REMOVE:
        return [each for each in items if named is None or not named(each)]
    if operation is Operation.ADD or (operation is Operation.INSERT_AFTER and named is None):
        return [*items, value]
    if operation is Operation.INSERT_FIRST or (operation is Operation.INSERT_BEFORE and named is None):
        return [value, *items]
    index = next((number for number, each in enumerate(items) if named is not None and named(each)), None)
    if index is None:
        return items
    if operation is Operation.REPLACE:
        return [*items[:index], value, *items[index + 1 :]]
    at = index if operation is Operation.INSERT_BEFORE else index + 1
    return [*items[:at], value, *items[at:]]


def put(field: Any, items: Iterable[Any]) -> None:
    """Makes a repeated field hold these messages."""
    copies = []
    for each in items:
        copy = type(each)()
        copy.CopyFrom(each)
        copies.append(copy)
    del field[:]
    field.extend(copies)
