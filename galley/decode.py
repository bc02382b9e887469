"""Plain YAML data → the frozen classes of `galley.kinds`, by their annotations and by protobuf JSON's rules.

Called by `galley.validate` for every document. It never raises for bad input and never stops at the first error: each
bad field becomes a Finding with its path and is left at its default, so that the rest can still be looked at. Why our
own: docs/adr/0004-a-decoder-of-our-own.md.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import difflib
import enum
import functools
import math
import re
import types
import typing
from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeVar

import attrs

from galley.document import Path
from galley.duration import parse_duration
from galley.finding import Finding
from galley.schema import Between, Deprecated, Derived, NotYet, Numbered, OneOf, Struct, Wire

T = TypeVar("T")
Decode = Callable[[object, Path, list[Finding]], Any]
"""From plain data at a path to the value; what is wrong is appended, and protobuf's zero value given back."""

_INTEGER = re.compile(r"-?\d{1,20}")
_SHOWN = 40
NOT_SUPPORTED = "is not supported by this version of mesh-adapter"
_NOTHING_REFUSED = NotYet()


def decode(message: type[T], data: object, path: Path = ()) -> tuple[T, list[Finding]]:
    """The message, and everything that is wrong with `data`. Without errors among the findings it is what was meant."""
    findings: list[Finding] = []
    read: Any = _decoder(message)
    value: T = read(data, path, findings)
    return value, findings


@attrs.frozen
class _Field:
    """What is known of one field before any data is seen."""

    attribute: str
    wire: str
    decode: Decode
    later: NotYet | None
    deprecated: str
    group: str


@attrs.frozen
class _Plan:
    """A message class, prepared: fields by each of the names that protobuf JSON accepts."""

    fields: Mapping[str, _Field]

    def nearest(self, name: str) -> str:
        """Advice for an unknown field."""
        wires = sorted({field.wire for field in self.fields.values() if field.later is None and not field.deprecated})
        folded = {wire.lower(): wire for wire in wires}
        close = difflib.get_close_matches(name.lower(), folded, n=1, cutoff=0.65)
        return f"did you mean {folded[close[0]]}?" if close else f"known fields are {', '.join(wires)}"


@functools.cache
def _message(message: type[Any]) -> Decode:
    plan: _Plan | None = None

    def read(data: object, path: Path, findings: list[Finding]) -> Any:
        nonlocal plan
        plan = plan or _prepare(message)
        if not isinstance(data, Mapping):
            findings.append(_expected("a mapping", data, path))
            return message()
        return message(**_read_fields(plan, data, path, findings))

    return read


def _read_fields(plan: _Plan, data: Mapping[Any, object], path: Path, findings: list[Finding]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    groups: dict[str, list[str]] = {}
    for name, item in data.items():
        field = plan.fields.get(name)
        here = (*path, name if isinstance(name, str) else str(name))
        if field is None:
            findings.append(Finding(here, "is not a known field", plan.nearest(str(name))))
        elif item is None:
            continue  # protobuf JSON: null is the same as absent
        elif field.later is not None:
            findings.append(Finding(here, NOT_SUPPORTED + field.later.reason, "remove it"))
        elif field.attribute in values:
            findings.append(Finding(here, "is given twice, under both of its names", f"keep {field.wire}"))
        else:
            values[field.attribute] = field.decode(item, here, findings)
            if field.deprecated:
                findings.append(Finding(here, "is deprecated", f"use {field.deprecated}", warning=True))
            if field.group:
                groups.setdefault(field.group, []).append(field.wire)
    findings.extend(_crowded(groups, path))
    return values


def _crowded(groups: Mapping[str, list[str]], path: Path) -> list[Finding]:
    return [
        Finding(
            path, f"sets {' and '.join(members)}, of which only one may be set", f"keep one of {', '.join(members)}"
        )
        for members in groups.values()
        if len(members) > 1
    ]


def _prepare(message: type[Any]) -> _Plan:
    hints = typing.get_type_hints(message, include_extras=True)
    fields = {}
    for attribute in attrs.fields(message):
        if is_derived(hints[attribute.name]):
            continue
        field = _field(attribute.name, hints[attribute.name])
        fields[field.wire] = field
        fields.setdefault(field.attribute.rstrip("_"), field)
    return _Plan(fields)


def is_derived(annotation: Any) -> bool:
    """Whether no document may have the field."""
    return any(isinstance(mark, Derived) for mark in getattr(annotation, "__metadata__", ()))


def _field(name: str, annotation: Any) -> _Field:
    marks = {type(mark): mark for mark in getattr(annotation, "__metadata__", ())}
    refused = marks.get(NotYet)
    return _Field(
        attribute=name,
        wire=wire_name(name, annotation),
        decode=_decoder(annotation),
        later=refused if refused is not None and not refused.values else None,
        deprecated=marks[Deprecated].instead if Deprecated in marks else "",
        group=marks[OneOf].group if OneOf in marks else "",
    )


def wire_name(name: str, annotation: Any) -> str:
    """The name of a field in YAML."""
    said = next((mark.name for mark in getattr(annotation, "__metadata__", ()) if isinstance(mark, Wire)), "")
    return said or _camel(name)


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part[:1].upper() + part[1:] for part in rest)


def _decoder(annotation: Any, marks: tuple[Any, ...] = ()) -> Decode:
    """The decoder of an annotation; `marks` are those that stood around it."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        return _decoder(arguments[0], (*annotation.__metadata__, *marks))
    if origin in (typing.Union, types.UnionType):
        return _decoder(next(each for each in arguments if each is not type(None)), marks)
    if origin is tuple:
        return _collection(arguments[0])
    if annotation is int:
        return _integer(next(mark for mark in marks if isinstance(mark, Between)))
    if annotation is Struct:
        return _struct
    if annotation in _SCALARS:
        return _SCALARS[annotation]
    if issubclass(annotation, enum.Enum):
        refused = next((mark for mark in marks if isinstance(mark, NotYet)), _NOTHING_REFUSED)
        return _enum(annotation, refused)
    return _message(annotation)


def _collection(item: Any) -> Decode:
    if typing.get_origin(item) is tuple:
        key, value = typing.get_args(item)
        return _map(_decoder(value)) if key is str else _map_by_number(_decoder(key), _decoder(value))
    return _repeated(_decoder(item))


def _repeated(item: Decode) -> Decode:
    def read(data: object, path: Path, findings: list[Finding]) -> tuple[Any, ...]:
        if not isinstance(data, list | tuple):
            findings.append(_expected("a list", data, path))
            return ()
        return tuple(item(each, (*path, index), findings) for index, each in enumerate(data))

    return read


def _map(value: Decode) -> Decode:
    def read(data: object, path: Path, findings: list[Finding]) -> tuple[tuple[str, Any], ...]:
        if not isinstance(data, Mapping):
            findings.append(_expected("a mapping", data, path))
            return ()
        pairs = []
        for key, each in data.items():
            here = (*path, str(key))
            if not isinstance(key, str):
                findings.append(Finding(here, f"expected a string as its key, got {key!r}", f'quote the key: "{key}"'))
            pairs.append((str(key), value(each, here, findings)))
        return tuple(sorted(pairs, key=lambda pair: pair[0]))

    return read


def _map_by_number(key: Decode, value: Decode) -> Decode:
    """Numbers as keys, which JSON has to write as strings and YAML need not."""

    def read(data: object, path: Path, findings: list[Finding]) -> tuple[tuple[Any, Any], ...]:
        if not isinstance(data, Mapping):
            findings.append(_expected("a mapping", data, path))
            return ()
        pairs = []
        for number, each in data.items():
            here = (*path, str(number))
            pairs.append((key(number, here, findings), value(each, here, findings)))
        return tuple(sorted(pairs, key=lambda pair: pair[0]))

    return read


def _string(data: object, path: Path, findings: list[Finding]) -> str:
    if isinstance(data, str):
        return data
    quoted = f'put it in quotes: "{data}"' if isinstance(data, int | float) and not isinstance(data, bool) else ""
    if isinstance(data, bool):
        quoted = "put it in quotes: YAML reads true, yes and on without quotes as a boolean"
    findings.append(_expected("a string", data, path, quoted))
    return ""


def _boolean(data: object, path: Path, findings: list[Finding]) -> bool:
    if isinstance(data, bool):
        return data
    findings.append(_expected("true or false", data, path))
    return False


def _number(data: object, path: Path, findings: list[Finding]) -> float:
    if isinstance(data, int | float) and not isinstance(data, bool) and math.isfinite(data):
        return float(data)
    findings.append(_expected("a number", data, path))
    return 0.0


def _integer(allowed: Between) -> Decode:
    def read(data: object, path: Path, findings: list[Finding]) -> int:
        value = _whole(data)
        if value is None:
            findings.append(_expected("an integer", data, path))
        elif not allowed.low <= value <= allowed.high:
            findings.append(_expected(f"an integer from {allowed.low} to {allowed.high}", data, path))
        else:
            return value
        return 0

    return read


def _whole(data: object) -> int | None:
    """An integer as protobuf JSON accepts it: `3`, `3.0` and `"3"`."""
    if isinstance(data, bool):
        return None
    if isinstance(data, int):
        return data
    if isinstance(data, float) and data.is_integer():
        return int(data)
    if isinstance(data, str) and _INTEGER.fullmatch(data):
        return int(data)
    return None


def _duration(data: object, path: Path, findings: list[Finding]) -> datetime.timedelta:
    value = parse_duration(data) if isinstance(data, str) else None
    if value is not None:
        return value
    is_bare = isinstance(data, int | float) and not isinstance(data, bool)
    mend = f"give it a unit: {data}s" if is_bare else "write it like 3s, 0.5s, 100ms or 1m30s"
    findings.append(_expected("a duration", data, path, mend))
    return datetime.timedelta()


def _bytes(data: object, path: Path, findings: list[Finding]) -> bytes:
    try:
        if isinstance(data, str):
            return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        pass  # told below, as every other type is
    findings.append(_expected("base64", data, path))
    return b""


def _struct(data: object, path: Path, findings: list[Finding]) -> Struct:
    if not isinstance(data, Mapping):
        findings.append(_expected("a mapping", data, path))
        return Struct()
    before = len(findings)
    _check_keys(data, path, findings)
    return Struct.of(data) if len(findings) == before else Struct()


def _check_keys(data: object, path: Path, findings: list[Finding]) -> None:
    if isinstance(data, Mapping):
        for key, each in data.items():
            if not isinstance(key, str):
                mend = f'quote the key: "{key}"'
                findings.append(Finding((*path, str(key)), f"expected a string as its key, got {key!r}", mend))
            _check_keys(each, (*path, str(key)), findings)
    elif isinstance(data, list | tuple):
        for index, each in enumerate(data):
            _check_keys(each, (*path, index), findings)


def _enum(members: type[enum.Enum], refused: NotYet) -> Decode:
    by_name = {member.value: member for member in members}
    known = ", ".join(name for name, member in by_name.items() if member not in refused.values)
    zero = next(iter(members))
    numbered = dict(enumerate(members)) if issubclass(members, Numbered) else {}

    def read(data: object, path: Path, findings: list[Finding]) -> enum.Enum:
        member = by_name.get(data) if isinstance(data, str) else numbered.get(data) if type(data) is int else None
        if member is None:
            findings.append(_expected(f"one of {known}", data, path))
        elif member in refused.values:
            message = f"{data} {NOT_SUPPORTED}{refused.reason}"
            findings.append(Finding(path, message, f"use one of {known}, or remove it"))
        else:
            return member
        return zero

    return read


_SCALARS: Mapping[Any, Decode] = {
    str: _string,
    bool: _boolean,
    float: _number,
    bytes: _bytes,
    datetime.timedelta: _duration,
}


def _expected(what: str, data: object, path: Path, mend: str = "") -> Finding:
    return Finding(path, f"expected {what}, got {shown(data)}", mend)


def shown(data: object) -> str:
    """Bad data in a few words, for messages."""
    if data is None:
        return "nothing"
    if isinstance(data, Mapping):
        return "a mapping"
    if isinstance(data, list | tuple):
        return "a list"
    text = repr(data)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
