"""Message classes of google's protobuf runtime from a short table of fields.

For APIs that no library on PyPI carries (`mixer.wire.messages`): a table line says what a line of a .proto says, so
there is neither a code generator nor a foreign top-level package. Each table has a descriptor pool of its own.
Pure: no I/O.

    {"Point": "x=1:sint32 tags=2:string[] by_name=3:map<string,Point> when=4:google.protobuf.Timestamp"}
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from google.protobuf import any_pb2, descriptor_pb2, duration_pb2, message_factory, struct_pb2, timestamp_pb2
from google.protobuf.descriptor_pool import DescriptorPool

_F = descriptor_pb2.FieldDescriptorProto
_WELL_KNOWN = (any_pb2, duration_pb2, struct_pb2, timestamp_pb2)
_SCALARS: Mapping[str, Any] = {
    "double": _F.TYPE_DOUBLE,
    "int64": _F.TYPE_INT64,
    "int32": _F.TYPE_INT32,
    "uint32": _F.TYPE_UINT32,
    "sint32": _F.TYPE_SINT32,
    "bool": _F.TYPE_BOOL,
    "string": _F.TYPE_STRING,
    "bytes": _F.TYPE_BYTES,
}
_FIELD = re.compile(r"(\w+)=(\d+):(map<(\w+),([\w.]+)>|[\w.]+)(\[\])?(?:\|(\w+))?")


def classes(
    package: str, messages: Mapping[str, str], enums: Mapping[str, str], imported: Mapping[str, str]
) -> dict[str, Any]:
    """Class by message name.

    `messages`: name to its fields, `name=number:type`, a type followed by `[]` where it is repeated and by `|group`
    where it belongs to a oneof; a type is a scalar, `map<scalar,type>`, a name of this table or a full name.
    `enums`: name to its values, numbered from 0. `imported`: messages of other packages by full name, as `messages`.
    Raises ValueError for a field that cannot be read.
    """
    pool = DescriptorPool()
    for module in _WELL_KNOWN:
        pool.AddSerializedFile(module.DESCRIPTOR.serialized_pb)
    dependencies = [module.DESCRIPTOR.name for module in _WELL_KNOWN]
    for full_name, fields in imported.items():
        outside, _, simple = full_name.rpartition(".")
        file = _file(outside, {simple: fields}, {}, dependencies)
        pool.AddSerializedFile(file.SerializeToString())
        dependencies.append(file.name)
    pool.AddSerializedFile(_file(package, messages, enums, dependencies).SerializeToString())
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}")) for name in messages}


def _file(
    package: str, messages: Mapping[str, str], enums: Mapping[str, str], dependencies: list[str]
) -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(
        name=f"mesh_adapter/{package}/{next(iter(messages))}.proto",
        package=package,
        syntax="proto3",
        dependency=dependencies,
    )
    for name, values in enums.items():
        added = file.enum_type.add(name=name)
        for number, value in enumerate(values.split()):
            added.value.add(name=value, number=number)
    for name, fields in messages.items():
        message = file.message_type.add(name=name)
        for text in fields.split():
            _add_field(message, text, package, enums)
    return file


def _add_field(message: descriptor_pb2.DescriptorProto, text: str, package: str, enums: Mapping[str, str]) -> None:
    read = _FIELD.fullmatch(text)
    if read is None:
        raise ValueError(f"{package}.{message.name}: cannot read the field {text!r}; write name=number:type")
    name, number, kind, key, value, repeated, group = read.groups()
    field = message.field.add(name=name, number=int(number), label=_F.LABEL_REPEATED if repeated else _F.LABEL_OPTIONAL)
    if key:
        entry = message.nested_type.add(name="".join(part.capitalize() for part in name.split("_")) + "Entry")
        entry.options.map_entry = True
        _set_type(entry.field.add(name="key", number=1, label=_F.LABEL_OPTIONAL), key, package, enums)
        _set_type(entry.field.add(name="value", number=2, label=_F.LABEL_OPTIONAL), value, package, enums)
        field.label, field.type, field.type_name = (
            _F.LABEL_REPEATED,
            _F.TYPE_MESSAGE,
            f".{package}.{message.name}.{entry.name}",
        )
    else:
        _set_type(field, kind, package, enums)
    if group:
        field.oneof_index = _oneof(message, group)


def _set_type(field: descriptor_pb2.FieldDescriptorProto, kind: str, package: str, enums: Mapping[str, str]) -> None:
    if kind in _SCALARS:
        field.type = _SCALARS[kind]
        return
    field.type = _F.TYPE_ENUM if kind in enums else _F.TYPE_MESSAGE
    field.type_name = f".{kind}" if "." in kind else f".{package}.{kind}"


def _oneof(message: descriptor_pb2.DescriptorProto, group: str) -> int:
    names = [oneof.name for oneof in message.oneof_decl]
    if group not in names:
        message.oneof_decl.add(name=group)
        names.append(group)
    return names.index(group)
