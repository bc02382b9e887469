"""The one place between us and the protobuf library: message classes, encoding, JSON.

`message(cls)` gives the google-runtime class for one of envoy-data-plane's classes (docs/adr/0002-one-codec.md);
constructors take nested dicts and enum names. Encoding is deterministic, so that equal content has equal bytes and
therefore an equal version, in this process and in the next.
"""

from __future__ import annotations

import hashlib
import threading
from typing import Any

from google.protobuf import json_format, message_factory
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

from pilot.envoy import descriptors

_pool = descriptors.new_pool()
_known: dict[str, str] = {}
_classes: dict[descriptors.LibraryMessage, Any] = {}
_building = threading.Lock()

Any_: Any = message_factory.GetMessageClass(_pool.FindMessageTypeByName("google.protobuf.Any"))
"""google.protobuf.Any of our pool: messages of two pools do not mix."""


def message(cls: descriptors.LibraryMessage) -> Any:
    """The google-runtime class with the same full name, fields and bytes as the library's `cls`. Thread-safe."""
    found = _classes.get(cls)
    if found is None:
        with _building:
            descriptors.add(_pool, _known, cls)
            descriptor = _pool.FindMessageTypeByName(descriptors.full_name(cls))
            found = _classes[cls] = message_factory.GetMessageClass(descriptor)
    return found


def message_of(type_url: str) -> Any | None:
    """The class of an Any's type; None for one that Envoy's API as we have it does not know."""
    name = type_url.rpartition("/")[2]
    try:
        return message_factory.GetMessageClass(_pool.FindMessageTypeByName(name))
    except KeyError:  # not needed by anything so far
        found = descriptors.find(name)
    return message(found) if found is not None else None


def from_json(cls: Any, data: dict[str, Any]) -> Any:
    """The message that protobuf JSON says. ValueError if it does not fit, or names a type not asked for before."""
    try:
        return json_format.ParseDict(data, cls(), descriptor_pool=_pool)
    except json_format.ParseError as error:
        raise ValueError(str(error)) from error


def class_of(descriptor: Descriptor) -> Any:
    """The class of a message described in our pool."""
    return message_factory.GetMessageClass(descriptor)


def encode(value: Message) -> bytes:
    """Deterministic bytes: map entries sorted by key."""
    return value.SerializeToString(deterministic=True)


def pack(value: Message) -> AnyMessage:
    """`value` as a google.protobuf.Any of our pool."""
    packed: AnyMessage = Any_(type_url=f"type.googleapis.com/{value.DESCRIPTOR.full_name}", value=encode(value))
    return packed


def to_json(value: Message) -> dict[str, Any]:
    """Protobuf JSON with the API's own snake_case names, Any expanded: what `envoy -c` reads."""
    plain: dict[str, Any] = json_format.MessageToDict(value, preserving_proto_field_name=True, descriptor_pool=_pool)
    return plain


def content_version(data: bytes) -> str:
    """A short hash that names content: the same in every process that encodes the same."""
    return hashlib.blake2b(data, digest_size=8).hexdigest()


def length_delimited(number: int, data: bytes) -> bytes:
    """`data` as protobuf field `number` of wire type 2 (encoding.html, "Length-Delimited Records")."""
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
