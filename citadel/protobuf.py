"""Protobuf messages by the lines that define them, for the few small ones that do not repay generated code.

Called by whoever speaks a foreign gRPC API of a handful of messages (Istio's CSR API, SPIFFE's Workload API, Envoy's
SDS). Each set lives in a pool of its own: other packages may bring the same names. A sidecar's agent lives by this: the
whole of Envoy's API costs thirty megabytes, these messages none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_Field = descriptor_pb2.FieldDescriptorProto
_LINE = re.compile(r"(?P<many>repeated )?(?P<type>\w+|map<string, \w+>) (?P<name>\w+) = (?P<number>\d+)")
_SCALARS = {
    "string": _Field.TYPE_STRING,
    "bytes": _Field.TYPE_BYTES,
    "int32": _Field.TYPE_INT32,
    "int64": _Field.TYPE_INT64,
}


def message_classes(package: str, definitions: Mapping[str, tuple[str, ...]]) -> Mapping[str, Any]:
    """Classes by name. A definition is a message's fields as a .proto file has them (`repeated bytes crl = 2`).

    Types are string, bytes, int32, int64, maps from string to these, and messages of the same set.
    """
    file = descriptor_pb2.FileDescriptorProto(name=f"mesh_adapter/{package}.proto", package=package, syntax="proto3")
    for name, lines in definitions.items():
        message = file.message_type.add(name=name)
        for line in lines:
            _add_field(message, f".{package}", line)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}")) for name in definitions
    }


def _add_field(message: descriptor_pb2.DescriptorProto, scope: str, line: str) -> None:
    match = _LINE.fullmatch(line)
    if match is None:
        raise ValueError(f"{message.name}: {line!r} is no field as .proto files have them")
    kind, number = match["type"], int(match["number"])
    many = bool(match["many"]) or kind.startswith("map<")
    field = message.field.add(
        name=match["name"], number=number, label=_Field.LABEL_REPEATED if many else _Field.LABEL_OPTIONAL
    )
    if kind in _SCALARS:
        field.type = _SCALARS[kind]
        return
    field.type = _Field.TYPE_MESSAGE
    if kind.startswith("map<"):
        entry = "".join(part.title() for part in match["name"].split("_")) + "Entry"
        _add_map_entry(message, entry, kind.removeprefix("map<string, ").removesuffix(">"))
        kind = f"{message.name}.{entry}"
    field.type_name = f"{scope}.{kind}"


def _add_map_entry(message: descriptor_pb2.DescriptorProto, name: str, value: str) -> None:
    """A map is a repeated message of key and value, by the language's own definition."""
    entry = message.nested_type.add(name=name)
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=_Field.TYPE_STRING, label=_Field.LABEL_OPTIONAL)
    entry.field.add(name="value", number=2, type=_SCALARS[value], label=_Field.LABEL_OPTIONAL)
