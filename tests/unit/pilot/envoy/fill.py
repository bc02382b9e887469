"""Fills messages of any class from their descriptors, so that no field of Envoy's API needs to be named in a test.

What the library can't hold is not made: sub-microsecond durations, maps of several entries (it keeps their order, the
runtime sorts), and NaN, which equals nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message


class Chooser(Protocol):
    """Where the choices come from: chance, or always the first."""

    def __call__(self, options: tuple[Any, ...]) -> Any: ...


def first(options: tuple[Any, ...]) -> Any:
    """The plainest choice: a value that is not its type's default."""
    return options[0]


_INTEGERS = (1, 0, 127, 128, 2**31 - 1)
_SIGNED = (*_INTEGERS, -1, -(2**31))
_SCALARS: Mapping[int, tuple[Any, ...]] = {
    FieldDescriptor.TYPE_BOOL: (True, False),
    FieldDescriptor.TYPE_STRING: ("a", "", "é", "x" * 200),
    FieldDescriptor.TYPE_BYTES: (b"\xff", b"", b"\0"),
    FieldDescriptor.TYPE_DOUBLE: (1.5, 0.0, -2.25, 1e300),
    FieldDescriptor.TYPE_FLOAT: (1.5, 0.0, -2.25),
    FieldDescriptor.TYPE_UINT32: (*_INTEGERS, 2**32 - 1),
    FieldDescriptor.TYPE_FIXED32: (*_INTEGERS, 2**32 - 1),
    FieldDescriptor.TYPE_UINT64: (*_INTEGERS, 2**64 - 1),
    FieldDescriptor.TYPE_FIXED64: (*_INTEGERS, 2**64 - 1),
    FieldDescriptor.TYPE_INT32: _SIGNED,
    FieldDescriptor.TYPE_SINT32: _SIGNED,
    FieldDescriptor.TYPE_SFIXED32: _SIGNED,
    FieldDescriptor.TYPE_INT64: (*_SIGNED, 2**63 - 1, -(2**63)),
    FieldDescriptor.TYPE_SINT64: (*_SIGNED, 2**63 - 1, -(2**63)),
    FieldDescriptor.TYPE_SFIXED64: (*_SIGNED, 2**63 - 1, -(2**63)),
}
_TIMES = ((1, 0), (0, 0), (0, 500_000_000), (86_400, 1_000), (315_576, 999_999_000))
_ANYS = ("envoy.extensions.filters.http.router.v3.Router", "x.Unknown")
_JSON: tuple[Any, ...] = ("text", 1.5, True, None, {"deeper": [1.0, "two", {}]}, [])


def reachable(roots: Iterable[Descriptor]) -> dict[str, Descriptor]:
    """All message descriptors that the roots' fields lead to, by full name; the entries of maps left out."""
    found: dict[str, Descriptor] = {}
    waiting = list(roots)
    while waiting:
        each = waiting.pop()
        if each.full_name not in found:
            found[each.full_name] = each
            waiting += (field.message_type for field in each.fields if field.message_type)
    return {name: each for name, each in sorted(found.items()) if not each.GetOptions().map_entry}


def fill(message: Message, choose: Chooser, depth: int) -> None:
    """Sets some fields of the message; below `depth` messages are set and left empty."""
    taken: set[str] = set()
    for field in message.DESCRIPTOR.fields:
        group = field.containing_oneof
        if choose((True, False, False)) and (group is None or group.name not in taken):
            if group is not None:
                taken.add(group.name)
            set_field(message, field, choose, depth)


def set_field(message: Message, field: Any, choose: Chooser, depth: int) -> None:
    """Sets one field, and for a message what is below it."""
    target = getattr(message, field.name)
    if field.message_type is None:
        if field.is_repeated:
            target.extend(_scalar(field, choose) for _ in range(choose((1, 2))))
        else:
            setattr(message, field.name, _scalar(field, choose))
    elif field.message_type.GetOptions().map_entry:
        _set_entry(target, field.message_type, choose, depth)
    elif field.is_repeated:
        for _ in range(choose((1, 2))):
            _fill_below(target.add(), choose, depth)
    else:
        target.SetInParent()
        _fill_below(target, choose, depth)


def _fill_below(message: Any, choose: Chooser, depth: int) -> None:
    known = _WELL_KNOWN.get(message.DESCRIPTOR.full_name)
    if known is not None:
        known(message, choose)
    elif depth > 0:
        fill(message, choose, depth - 1)


def _set_entry(target: Any, entry: Descriptor, choose: Chooser, depth: int) -> None:
    key, value = entry.fields_by_name["key"], entry.fields_by_name["value"]
    name = _scalar(key, choose)
    if value.message_type is None:
        target[name] = _scalar(value, choose)
    else:
        _fill_below(target[name], choose, depth)


def _scalar(field: FieldDescriptor, choose: Chooser) -> Any:
    if field.enum_type is not None:
        numbers = [value.number for value in field.enum_type.values]
        return choose((*numbers[1:], *numbers[:1]))
    return choose(_SCALARS[field.type])


def _fill_time(message: Any, choose: Chooser) -> None:
    message.seconds, message.nanos = choose(_TIMES)


def _fill_any(message: Any, choose: Chooser) -> None:
    message.type_url, message.value = f"type.googleapis.com/{choose(_ANYS)}", choose((b"\x10\x01", b""))


def _fill_struct(message: Any, choose: Chooser) -> None:
    message.update({"key": choose(_JSON)})


def _fill_value(message: Any, choose: Chooser) -> None:
    json_format.ParseDict(choose(_JSON), message)


_WELL_KNOWN: Mapping[str, Callable[[Any, Chooser], None]] = {
    "google.protobuf.Any": _fill_any,
    "google.protobuf.Duration": _fill_time,
    "google.protobuf.Struct": _fill_struct,
    "google.protobuf.Timestamp": _fill_time,
    "google.protobuf.Value": _fill_value,
}
