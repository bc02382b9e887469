"""What is known of a request or a connection: names, types, values, and which of them a verdict rests on.

An attribute bag is any `Mapping[str, Value]` without None among its values; a plain dict will do. Whoever makes one
(the wire, an Envoy face, `mixer eval`) holds it to the vocabulary with `type_faults`; nothing behind it looks again.
Pure: read by expressions, rules and dispatch.
"""

from __future__ import annotations

import datetime
import difflib
import enum
from collections.abc import Iterator, Mapping
from typing import Any

import attrs

Value = str | int | float | bool | bytes | datetime.datetime | datetime.timedelta | Mapping[str, str]
Bag = Mapping[str, Value]

INT64 = (-(2**63), 2**63 - 1)


class ValueType(enum.Enum):
    """Istio's value types (policy/v1beta1/value_type.proto), and what carries them in Python.

    str: STRING, DNS_NAME, EMAIL_ADDRESS, URI. int, within 64 bits: INT64. bytes, 4 or 16 of them: IP_ADDRESS.
    datetime with a time zone: TIMESTAMP. timedelta: DURATION. Mapping[str, str]: STRING_MAP.
    """

    STRING = "STRING"
    INT64 = "INT64"
    DOUBLE = "DOUBLE"
    BOOL = "BOOL"
    TIMESTAMP = "TIMESTAMP"
    IP_ADDRESS = "IP_ADDRESS"
    EMAIL_ADDRESS = "EMAIL_ADDRESS"
    URI = "URI"
    DNS_NAME = "DNS_NAME"
    DURATION = "DURATION"
    STRING_MAP = "STRING_MAP"


@attrs.frozen(eq=False)
class Vocabulary:
    """The attributes that expressions may name, with their types."""

    types: Mapping[str, ValueType]

    def extended(self, more: Mapping[str, ValueType]) -> Vocabulary:
        """Both; `more` wins."""
        return Vocabulary({**self.types, **more}) if more else self

    def nearest(self, name: str) -> str:
        """Advice for a name that is not known."""
        close = difflib.get_close_matches(name, self.types, n=1, cutoff=0.7)
        return f"did you mean {close[0]}?" if close else "declare it in an attributemanifest, or correct the name"


def type_fault(value: object, wanted: ValueType) -> str:
    """What keeps `value` from being of the type; empty if nothing does."""
    good: bool
    match wanted:
        case ValueType.STRING | ValueType.DNS_NAME | ValueType.EMAIL_ADDRESS | ValueType.URI:
            good = isinstance(value, str)
        case ValueType.INT64:
            good = isinstance(value, int) and not isinstance(value, bool) and INT64[0] <= value <= INT64[1]
        case ValueType.DOUBLE:
            good = isinstance(value, float)
        case ValueType.BOOL:
            good = isinstance(value, bool)
        case ValueType.TIMESTAMP:
            good = isinstance(value, datetime.datetime) and value.tzinfo is not None
        case ValueType.DURATION:
            good = isinstance(value, datetime.timedelta)
        case ValueType.IP_ADDRESS:
            good = isinstance(value, bytes) and len(value) in (4, 16)
        case ValueType.STRING_MAP:
            good = isinstance(value, Mapping) and all(
                isinstance(key, str) and isinstance(item, str) for key, item in value.items()
            )
    return "" if good else f"is no {wanted.value}"


def type_faults(bag: Mapping[str, object], vocabulary: Vocabulary) -> Iterator[tuple[str, str]]:
    """Attribute and fault of every value that is not of its declared type; unknown attributes are let through."""
    for name, value in bag.items():
        wanted = vocabulary.types.get(name)
        if wanted is not None and (fault := type_fault(value, wanted)):
            yield name, fault


class Condition(enum.Enum):
    """How a verdict depends on an attribute (mixer.v1 ReferencedAttributes.Condition, same numbers)."""

    ABSENCE = 1
    EXACT = 2
    REGEX = 3


@attrs.frozen(order=True)
class Reference:
    """One attribute, or with `key` one entry of a STRING_MAP attribute."""

    name: str
    key: str | None = attrs.field(default=None, order=lambda key: key or "")

    def read(self, bag: Bag) -> Value | None:
        """Its value in the bag, None if it is absent."""
        value = bag.get(self.name)
        if self.key is None or value is None:
            return value
        return value.get(self.key) if isinstance(value, Mapping) else None


_Read = dict[str | tuple[str, str], Condition]
"""Attributes by name, entries by name and key: References are made of them when somebody asks."""


class TrackedBag(Mapping[str, Value]):
    """A bag that keeps account of what was read from it: `references` is what a verdict may be cached by.

    Give it to a Check whose caller caches; elsewhere a plain dict is faster. An entry of a map that is asked for is
    accounted for alone; the whole map is, when it is walked, counted or compared.
    """

    __slots__ = ("_bag", "_maps", "_read")

    def __init__(self, bag: Bag) -> None:
        self._bag = bag
        self._maps: dict[str, _TrackedMap] = {}
        self._read: _Read = {}

    @property
    def references(self) -> dict[Reference, Condition]:
        """What was read so far, and whether its value or its absence counts."""
        return {Reference(*key) if isinstance(key, tuple) else Reference(key): said for key, said in self._read.items()}

    def get(self, name: str, default: Any = None) -> Any:
        value = self._bag.get(name)
        if value is None:
            self._read[name] = Condition.ABSENCE
            return default
        if isinstance(value, Mapping):
            known = self._maps.get(name)
            if known is None:
                known = self._maps[name] = _TrackedMap(name, value, self._read)
            return known
        self._read[name] = Condition.EXACT
        return value

    def __getitem__(self, name: str) -> Value:
        value: Value | None = self.get(name)
        if value is None:
            raise KeyError(name)
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(self._bag)

    def __len__(self) -> int:
        return len(self._bag)


class _TrackedMap(Mapping[str, str]):
    __slots__ = ("_entries", "_name", "_read")

    def __init__(self, name: str, entries: Mapping[str, str], read: _Read) -> None:
        self._name = name
        self._entries = entries
        self._read = read

    def get(self, key: str, default: Any = None) -> Any:
        value = self._entries.get(key)
        self._read[self._name, key] = Condition.ABSENCE if value is None else Condition.EXACT
        return default if value is None else value

    def __getitem__(self, key: str) -> str:
        value: str | None = self.get(key)
        if value is None:
            raise KeyError(key)
        return value

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self.get(key) is not None

    def __iter__(self) -> Iterator[str]:
        self._read[self._name] = Condition.EXACT
        return iter(self._entries)

    def __len__(self) -> int:
        self._read[self._name] = Condition.EXACT
        return len(self._entries)


class LayeredBag(Mapping[str, Value]):
    """A bag with attributes above it that somebody found out: those win, and are not accounted for as references.

    What they were found out from is: a generator's instance was made of the bag below.
    """

    __slots__ = ("_above", "_below")

    def __init__(self, above: Bag, below: Bag) -> None:
        self._above = above
        self._below = below

    def get(self, name: str, default: Any = None) -> Any:
        value = self._above.get(name)
        return self._below.get(name, default) if value is None else value

    def __getitem__(self, name: str) -> Value:
        value: Value | None = self.get(name)
        if value is None:
            raise KeyError(name)
        return value

    def __iter__(self) -> Iterator[str]:
        return iter({**dict.fromkeys(self._below), **self._above})

    def __len__(self) -> int:
        return len({*self._above, *self._below})
