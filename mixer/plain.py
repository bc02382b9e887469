"""Attributes as people write them, JSON or YAML, and values as they are shown: text for times, durations, addresses.

Pure; for the command line and the tests. The types come from the vocabulary, since plain data does not tell a
duration from a string.
"""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Mapping

from galley.duration import parse_duration
from galley.finding import Finding
from mixer.attributes import Value, ValueType, Vocabulary, type_fault
from mixer.expression.error import EvaluationError
from mixer.expression.functions import to_ip, to_timestamp

_MENDS = {
    ValueType.TIMESTAMP: "write it as 2019-04-01T12:00:00Z (RFC 3339)",
    ValueType.DURATION: "write it as 1.5s",
    ValueType.IP_ADDRESS: "write it as 10.0.0.1 or 2001:db8::1",
    ValueType.STRING_MAP: "write a mapping of strings",
}


def read_bag(data: Mapping[str, object], vocabulary: Vocabulary) -> tuple[dict[str, Value], list[Finding]]:
    """The bag, and what is wrong with the data; names of headers become lower case."""
    bag: dict[str, Value] = {}
    findings = []
    for name, item in data.items():
        type_ = vocabulary.types.get(name)
        if type_ is None:
            findings.append(Finding((name,), "is no known attribute", vocabulary.nearest(name)))
            continue
        value = read_value(item, type_)
        if value is None:
            findings.append(Finding((name,), f"is no {type_.value}: {item!r}", _MENDS.get(type_, "")))
        elif isinstance(value, Mapping) and name.endswith(".headers"):
            bag[name] = {key.lower(): each for key, each in value.items()}
        else:
            bag[name] = value
    return bag, findings


def read_value(item: object, type_: ValueType) -> Value | None:
    """The value, or None if it is none of that type."""
    value: object = item
    try:
        match type_, item:
            case ValueType.IP_ADDRESS, str():
                value = to_ip(item)
            case ValueType.TIMESTAMP, str():
                value = to_timestamp(item)
            case ValueType.DURATION, str():
                value = parse_duration(item)
            case ValueType.DOUBLE, int() if not isinstance(item, bool):
                value = float(item)
            case ValueType.INT64, float() if item.is_integer():
                value = int(item)
    except (EvaluationError, OverflowError):
        return None
    return None if type_fault(value, type_) else value  # type: ignore[return-value]  # what has no fault is a Value


def shown_value(value: Value) -> str | int | float | bool | dict[str, str]:
    """The value as JSON can hold it."""
    match value:
        case bytes():
            return str(ipaddress.ip_address(value))
        case datetime.datetime():
            return value.astimezone(datetime.UTC).isoformat().replace("+00:00", "Z")
        case datetime.timedelta():
            micros = value // datetime.timedelta(microseconds=1)
            seconds, rest = divmod(abs(micros), 1_000_000)
            fraction = f".{rest:06d}".rstrip("0") if rest else ""
            return f"{'-' if micros < 0 else ''}{seconds}{fraction}s"
        case Mapping():
            return dict(value)
        case _:
            return value


def read_manifest(data: object) -> tuple[dict[str, ValueType], list[Finding]]:
    """Types by attribute, from a plain mapping of names to types or from the `attributes` of an attributemanifest."""
    types: dict[str, ValueType] = {}
    findings = []
    if not isinstance(data, Mapping):
        return types, [Finding((), "expected a mapping of attributes to types")]
    known = ", ".join(each.value for each in ValueType)
    for name, item in data.items():
        given = item.get("valueType", item.get("value_type")) if isinstance(item, Mapping) else item
        if isinstance(given, str) and given in ValueType.__members__:
            types[str(name)] = ValueType(given)
        else:
            findings.append(Finding((str(name),), f"{given!r} is no type of an attribute", f"use one of {known}"))
    return types, findings
