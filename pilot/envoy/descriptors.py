"""Turns envoy-data-plane's classes into descriptors of google's protobuf runtime.

envoy-data-plane stays the one source of Envoy's API (names, numbers, types); its own encoder takes about a thousand
times as long as google's, because it builds a validator for every message (docs/adr/0002-one-codec.md). Each class
carries its fields' numbers, wire types, oneofs, maps and classes: all that a FileDescriptorProto needs. Called by
`pilot.envoy.codec` only. Tests hold the bytes against the library's own encoder.

Descriptors live in files, and files may not import each other in a circle while messages may. So each strongly
connected group of messages becomes one file. Enums keep no full name in the library: each gets a wrapper message of
its own, which shows neither on the wire nor in JSON.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import importlib
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import betterproto2
from envoy_data_plane.message_pool import default_message_pool
from google.protobuf import any_pb2, descriptor_pb2, duration_pb2, empty_pb2, struct_pb2, timestamp_pb2, wrappers_pb2
from google.protobuf.descriptor_pool import DescriptorPool

_F = descriptor_pb2.FieldDescriptorProto
_URL = "type.googleapis.com/"
_FULL_NAME = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+", re.ASCII)
_WELL_KNOWN = (any_pb2, duration_pb2, empty_pb2, struct_pb2, timestamp_pb2, wrappers_pb2)
_SCALARS: Mapping[str, int] = {
    "double": _F.TYPE_DOUBLE,
    "float": _F.TYPE_FLOAT,
    "int64": _F.TYPE_INT64,
    "uint64": _F.TYPE_UINT64,
    "int32": _F.TYPE_INT32,
    "fixed64": _F.TYPE_FIXED64,
    "fixed32": _F.TYPE_FIXED32,
    "bool": _F.TYPE_BOOL,
    "string": _F.TYPE_STRING,
    "bytes": _F.TYPE_BYTES,
    "uint32": _F.TYPE_UINT32,
    "sfixed32": _F.TYPE_SFIXED32,
    "sfixed64": _F.TYPE_SFIXED64,
    "sint32": _F.TYPE_SINT32,
    "sint64": _F.TYPE_SINT64,
}

LibraryMessage = type[betterproto2.Message]


@dataclasses.dataclass(frozen=True)
class _Node:
    """A file to be: a top-level message with all that is nested in it, or one enum."""

    name: str
    target: LibraryMessage | type[enum.IntEnum]


def new_pool() -> DescriptorPool:
    """A pool that knows google's well-known types, what the library lacks of xDS, and nothing else."""
    pool = DescriptorPool()
    for module in _WELL_KNOWN:
        pool.AddSerializedFile(module.DESCRIPTOR.serialized_pb)
    for package in ("xds.type.v3", "udpa.type.v1"):
        pool.AddSerializedFile(_typed_struct(package).SerializeToString())
    return pool


def _typed_struct(package: str) -> descriptor_pb2.FileDescriptorProto:
    """TypedStruct: any configuration as JSON, with the type that Envoy is to make of it."""
    file = descriptor_pb2.FileDescriptorProto(
        name=f"mesh_adapter/{package}.TypedStruct.proto", package=package, syntax="proto3"
    )
    file.dependency.append(struct_pb2.DESCRIPTOR.name)
    message = file.message_type.add(name="TypedStruct")
    message.field.add(name="type_url", number=1, label=_F.LABEL_OPTIONAL, type=_F.TYPE_STRING)
    message.field.add(
        name="value",
        number=2,
        label=_F.LABEL_OPTIONAL,
        type=_F.TYPE_MESSAGE,
        type_name=f".{struct_pb2.Struct.DESCRIPTOR.full_name}",
    )
    return file


def full_name(cls: LibraryMessage) -> str:
    """`envoy.config.cluster.v3.Cluster.EdsClusterConfig` of the library's class."""
    return default_message_pool.type_to_url[cls].removeprefix(_URL)


def find(name: str) -> LibraryMessage | None:
    """The library's class of that full name, which may come from a configuration; None for one that it has not."""
    package = name.rpartition(".")[0] if _FULL_NAME.fullmatch(name) else ""
    while package:
        try:
            importlib.import_module(f"envoy_data_plane.{package}")
            break
        except ModuleNotFoundError:  # the name of a message that the one meant is nested in, or of nothing
            package = package.rpartition(".")[0]
    return default_message_pool.url_to_type.get(_URL + name)


def package_of(cls: type[Any]) -> str:
    """The protobuf package; the library's modules mirror it below `envoy_data_plane`."""
    return cls.__module__.removeprefix("envoy_data_plane.")


def add(pool: DescriptorPool, known: dict[str, str], root: LibraryMessage) -> None:
    """Adds `root` and all it refers to; `known` maps what the pool already has to its file, and is extended."""
    if _is_well_known(root):
        return
    for group in _groups(_top_level(root), known):
        file = descriptor_pb2.FileDescriptorProto(
            name=f"mesh_adapter/{group[0].name}.proto", package=package_of(group[0].target), syntax="proto3"
        )
        known.update((node.name, file.name) for node in group)
        file.dependency.extend(sorted(_dependencies(group, known) - {file.name}))
        for node in group:
            _fill_node(file, node)
        pool.AddSerializedFile(file.SerializeToString())


def _top_level(cls: LibraryMessage) -> _Node:
    package = package_of(cls)
    simple = full_name(cls).removeprefix(package + ".").split(".")[0]
    top = default_message_pool.url_to_type[f"{_URL}{package}.{simple}"]
    return _Node(f"{package}.{simple}", top)


def _enum_node(cls: type[enum.IntEnum]) -> _Node:
    return _Node(f"{package_of(cls)}.{cls.__name__}Enum", cls)


@functools.cache
def _nested(node: _Node) -> tuple[tuple[str, LibraryMessage], ...]:
    """The message itself and all nested in it, by full name, parents first."""
    if issubclass(node.target, enum.IntEnum):
        return ()
    module = sys.modules[node.target.__module__]
    found = {}
    for value in vars(module).values():
        if isinstance(value, type) and issubclass(value, betterproto2.Message) and value.__module__ == module.__name__:
            name = full_name(value)
            if name == node.name or name.startswith(node.name + "."):
                found[name] = value
    return tuple(sorted(found.items()))


def _fields(cls: LibraryMessage) -> Iterator[tuple[str, betterproto2.FieldMetadata, Any]]:
    """Name, metadata and target class of each field; the class of a map field is its entry's value class."""
    described: Any = cls
    for field in dataclasses.fields(described):
        meta = betterproto2.FieldMetadata.get(field)
        key = f"{field.name}.value" if meta.map_meta else field.name
        yield field.name, meta, described._betterproto.cls_by_field[key]


def _target(meta: betterproto2.FieldMetadata, cls: Any) -> type[Any] | None:
    """The message or enum class a field refers to; wrappers and timestamps are unwrapped by the library, not here."""
    value = meta.map_meta[1] if meta.map_meta else meta
    if value.unwrap is not None:
        wrapped: type[Any] = value.unwrap()
        return wrapped
    if value.proto_type in ("message", "enum"):
        target: type[Any] = cls
        return target
    return None


@functools.cache
def _references(node: _Node) -> tuple[_Node, ...]:
    found: dict[str, _Node] = {}
    for _, cls in _nested(node):
        for _, meta, field_class in _fields(cls):
            target = _target(meta, field_class)
            if target is None or _is_well_known(target):
                continue
            other = _enum_node(target) if issubclass(target, enum.IntEnum) else _top_level(target)
            found.setdefault(other.name, other)
    return tuple(found.values())


def _is_well_known(cls: type[Any]) -> bool:
    return package_of(cls) == "google.protobuf"


def _groups(root: _Node, known: Mapping[str, str]) -> list[list[_Node]]:
    """Tarjan's strongly connected components below `root`, dependencies first, those already known left out."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[_Node] = []
    done: list[list[_Node]] = []
    on_stack: set[str] = set()

    def visit(node: _Node) -> None:
        index[node.name] = low[node.name] = len(index)
        stack.append(node)
        on_stack.add(node.name)
        for other in _references(node):
            if other.name in known:
                continue
            if other.name not in index:
                visit(other)
                low[node.name] = min(low[node.name], low[other.name])
            elif other.name in on_stack:
                low[node.name] = min(low[node.name], index[other.name])
        if low[node.name] == index[node.name]:
            cut = next(i for i, member in enumerate(stack) if member.name == node.name)
            group = stack[cut:]
            del stack[cut:]
            on_stack.difference_update(member.name for member in group)
            done.append(group)

    if root.name not in known:
        visit(root)
    return done


def _dependencies(group: list[_Node], known: Mapping[str, str]) -> set[str]:
    files = {module.DESCRIPTOR.name for module in _WELL_KNOWN}
    return files | {known[other.name] for node in group for other in _references(node)}


def _fill_node(file: descriptor_pb2.FileDescriptorProto, node: _Node) -> None:
    if issubclass(node.target, enum.IntEnum):
        _fill_enum(file.message_type.add(name=node.name.rsplit(".", 1)[1]), node.target)
        return
    by_name: dict[str, descriptor_pb2.DescriptorProto] = {}
    for name, cls in _nested(node):
        parent, _, simple = name.rpartition(".")
        message = by_name[parent].nested_type.add() if parent in by_name else file.message_type.add()
        message.name = simple
        by_name[name] = message
        _fill_message(message, name, cls)


def _fill_enum(wrapper: descriptor_pb2.DescriptorProto, cls: type[enum.IntEnum]) -> None:
    values = wrapper.enum_type.add(name="Value")
    values.options.allow_alias = len(cls.__members__) != len(list(cls))
    if not values.options.allow_alias:
        values.ClearField("options")
    for name, member in sorted(cls.__members__.items(), key=lambda item: (item[1] != 0, item[1])):
        values.value.add(name=name, number=int(member))


def _fill_message(message: descriptor_pb2.DescriptorProto, name: str, cls: LibraryMessage) -> None:
    oneofs: dict[str, int] = {}
    optional: list[descriptor_pb2.FieldDescriptorProto] = []
    for field_name, meta, field_class in _fields(cls):
        field = message.field.add(name=field_name, number=meta.number, label=_F.LABEL_OPTIONAL)
        if meta.map_meta:
            _fill_map(message, field, name, meta, field_class)
            continue
        _fill_type(field, meta, _target(meta, field_class))
        if meta.repeated:
            field.label = _F.LABEL_REPEATED
        elif meta.group:
            if meta.group not in oneofs:
                oneofs[meta.group] = len(message.oneof_decl)
                message.oneof_decl.add(name=meta.group)
            field.oneof_index = oneofs[meta.group]
        elif meta.optional and field.type not in (_F.TYPE_MESSAGE,):
            optional.append(field)
    for field in optional:
        field.proto3_optional = True
        field.oneof_index = len(message.oneof_decl)
        message.oneof_decl.add(name="_" + field.name)


def _fill_type(
    field: descriptor_pb2.FieldDescriptorProto, meta: betterproto2.FieldMetadata, target: type[Any] | None
) -> None:
    if target is None:
        field.type = _SCALARS[meta.proto_type]  # type: ignore[assignment]
    elif issubclass(target, enum.IntEnum):
        field.type = _F.TYPE_ENUM
        own = f".{_enum_node(target).name}.Value"
        field.type_name = f".google.protobuf.{target.__name__}" if _is_well_known(target) else own
    else:
        field.type = _F.TYPE_MESSAGE
        field.type_name = "." + full_name(target)


def _fill_map(
    message: descriptor_pb2.DescriptorProto,
    field: descriptor_pb2.FieldDescriptorProto,
    name: str,
    meta: betterproto2.FieldMetadata,
    value_class: Any,
) -> None:
    if meta.map_meta is None:
        raise TypeError(f"{name}.{field.name} is no map")
    entry = message.nested_type.add(name="".join(part.capitalize() for part in field.name.split("_")) + "Entry")
    entry.options.map_entry = True
    key = entry.field.add(name="key", number=1, label=_F.LABEL_OPTIONAL)
    _fill_type(key, meta.map_meta[0], None)
    value = entry.field.add(name="value", number=2, label=_F.LABEL_OPTIONAL)
    _fill_type(value, meta.map_meta[1], _target(meta, value_class))
    field.label = _F.LABEL_REPEATED
    field.type = _F.TYPE_MESSAGE
    field.type_name = f".{name}.{entry.name}"
