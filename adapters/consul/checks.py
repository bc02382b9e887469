"""The list of all checks, and what changed in it since the answer before. Pure.

Fed by `adapters.consul.datacenter` with every answer of /v1/health/state/any. With 5,000 instances that is over 2 MB of
JSON for the change of one check, so only the part between the first and the last difference is parsed. This is exact:
where an object ends depends on the text before it alone, so every end inside the common beginning of two answers is an
end in both; and from two ends on, equal texts hold equal objects.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import accumulate

import attrs

from adapters.consul.convert import Json, UnreadableError

_STEP = 1 << 16


@attrs.frozen
class CheckChange:
    """Where something changed.

    `names` are services with a check that came, went or changed, `nodes` are nodes of which a node check did.
    `latest` has those of the names whose changes are all visible, with Consul's index of the last: who has read the
    service at that index has seen them. A check that went leaves no index. `indexes` are all that are visible.
    """

    names: frozenset[str] = frozenset()
    latest: Mapping[str, int] = attrs.field(factory=dict)
    nodes: frozenset[str] = frozenset()
    indexes: frozenset[int] = frozenset()
    vanished: bool = False


@attrs.frozen
class _Check:
    """One check: its text's length with what separates it from the one before, and what identifies it."""

    length: int
    key: tuple[str, str]
    name: str
    digest: int
    modified: int


_NO_CHANGE = CheckChange()


class CheckList:
    """The checks of the last answer."""

    def __init__(self) -> None:
        self._text = ""
        self._checks: list[_Check] = []

    def update(self, body: bytes) -> CheckChange:
        """Take the next answer in. UnreadableError, and the list as it was, if it is no list of checks."""
        text = body.decode("utf-8", "replace")
        if text == self._text:
            return _NO_CHANGE
        ends = [*accumulate((check.length for check in self._checks), initial=0)]
        first = _count_below(ends, _common_start(self._text, text))
        tail = min(_common_end(self._text, text), len(self._text) - ends[first], len(text) - ends[first])
        last, middle = self._middle(text, ends, first, tail)
        change = _difference(self._checks[first:last], middle)
        self._checks[first:last] = middle
        self._text = text
        return change

    def _middle(self, text: str, ends: list[int], first: int, tail: int) -> tuple[int, list[_Check]]:
        """The checks from the first difference on, and the position in the old list behind which all are equal."""
        shift = len(text) - len(self._text)
        known = {end: place for place, end in enumerate(ends) if end >= len(self._text) - tail}
        middle: list[_Check] = []
        end = ends[first]
        for check in _scan(text, end):
            middle.append(check)
            end += check.length
            # Behind an end in both, inside the common end: the rest is equal, and so are its ends.
            if end >= len(text) - tail and end - shift in known:
                return known[end - shift], middle
        return len(self._checks), middle


def _scan(text: str, start: int) -> Iterator[_Check]:
    """The checks from an end of the list on; `start` is 0 or behind an object."""
    decode = json.JSONDecoder().raw_decode
    position = start
    while True:
        begin = _skip(text, position, "[" if position == 0 else ",")
        if begin is None:
            return
        try:
            found, end = decode(text, begin)
        except (ValueError, RecursionError) as fault:
            raise UnreadableError(f"not a list of checks: {fault}") from fault
        if not isinstance(found, dict):
            raise UnreadableError("the list of checks holds something else")
        yield _check(found, text[begin:end], end - position)
        position = end


def _skip(text: str, position: int, separator: str) -> int | None:
    """Where the next object begins; None at the end of the list."""
    position = _blank(text, position)
    if position < len(text) and text[position] == separator:
        position = _blank(text, position + 1)
        if text[position : position + 1] != "]":
            return position
    elif text[position : position + 4] != "null" and text[position : position + 1] != "]":
        raise UnreadableError("not a list of checks")
    return None


def _blank(text: str, position: int) -> int:
    while text[position : position + 1].isspace():
        position += 1
    return position


def _check(found: Json, text: str, length: int) -> _Check:
    key = (str(found.get("Node")), str(found.get("CheckID")))
    return _Check(length, key, str(found.get("ServiceName") or ""), hash(text), int(found.get("ModifyIndex") or 0))


def _difference(old: list[_Check], new: list[_Check]) -> CheckChange:
    before, after = {check.key: check for check in old}, {check.key: check for check in new}
    gone = [check for key, check in before.items() if key not in after]
    came = [check for key, check in after.items() if key not in before]
    other = [check for key, check in after.items() if key in before and before[key].digest != check.digest]
    moved = [before[check.key] for check in other]
    touched = gone + came + other + moved
    unseen = {check.name for check in gone + [old for old in moved if old.name != after[old.key].name]}
    latest: dict[str, int] = {}
    for check in came + other:
        if check.name and check.name not in unseen:
            latest[check.name] = max(check.modified, latest.get(check.name, 0))
    return CheckChange(
        latest=latest,
        names=frozenset(check.name for check in touched if check.name),
        nodes=frozenset(check.key[0] for check in touched if not check.name),
        indexes=frozenset(check.modified for check in came + other),
        vanished=bool(gone),
    )


def _common_start(one: str, two: str) -> int:
    """How many characters both begin with. By slices, which compare as memory does."""
    length, step = 0, _STEP
    while step:
        while (part := one[length : length + step]) and len(part) == step and part == two[length : length + step]:
            length += step
        step //= 4
    return length


def _common_end(one: str, two: str) -> int:
    """How many characters both end with."""
    length, step = 0, _STEP
    while step:
        while _before_end(one, length, step) is not None and _before_end(one, length, step) == _before_end(
            two, length, step
        ):
            length += step
        step //= 4
    return length


def _before_end(text: str, length: int, step: int) -> str | None:
    end = len(text) - length
    return text[end - step : end] if end >= step else None


def _count_below(ends: list[int], limit: int) -> int:
    """The position of the last end that is not behind `limit`: everything before it is equal in both texts.

    An end right at the limit counts: what follows it may differ, what lies before it can't.
    """
    low, high = 0, len(ends) - 1
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if ends[middle] <= limit else (low, middle - 1)
    return low
