"""Merging a patch's message into one of ours, by Istio's rules. Pure but for the message that is changed.

Fields that the patch sets win; messages are merged field by field, also inside an Any of the same type (one of another
type takes its place). Durations and wrappers are one value each. Lists are appended to, or replaced where the operation
says so; entries of maps are replaced by key. As always in protobuf, a field at its default counts as not set.
"""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor import Descriptor

from pilot.envoy import codec

_ANY = "google.protobuf.Any"
_WHOLE = frozenset(
    f"google.protobuf.{name}"
    for name in (
        "BoolValue",
        "BytesValue",
        "DoubleValue",
        "Duration",
        "FloatValue",
        "Int32Value",
        "Int64Value",
        "ListValue",
        "StringValue",
        "Timestamp",
        "UInt32Value",
        "UInt64Value",
        "Value",
    )
)


def merge(target: Any, patch: Any, *, replace_lists: bool = False) -> None:
    """Changes `target`; both are messages of one class."""
    for field, value in patch.ListFields():
        inner = field.message_type
        if inner is not None and inner.GetOptions().map_entry:
            _merge_map(getattr(target, field.name), inner, value)
        elif field.is_repeated:
            if replace_lists:
                target.ClearField(field.name)
            getattr(target, field.name).extend(value)
        elif inner is not None:
            _merge_message(target, field.name, inner.full_name, value, replace_lists)
        else:
            setattr(target, field.name, value)


def _merge_map(target: Any, entry: Descriptor, value: Any) -> None:
    holds_messages = entry.fields_by_name["value"].message_type is not None
    for key in value:
        if holds_messages:
            target[key].CopyFrom(value[key])
        else:
            target[key] = value[key]


def _merge_message(target: Any, field: str, name: str, value: Any, replace_lists: bool) -> None:
    inner = getattr(target, field)
    if name == _ANY and inner.type_url == value.type_url:
        merge_any(inner, value, replace_lists=replace_lists)
    elif name == _ANY or name in _WHOLE:
        inner.CopyFrom(value)
    else:
        inner.SetInParent()
        merge(inner, value, replace_lists=replace_lists)


def merge_any(target: Any, patch: Any, *, replace_lists: bool = False) -> None:
    """Two Any of one type: what `patch` holds is merged into what `target` holds."""
    cls = codec.message_of(target.type_url)
    if cls is None:
        target.CopyFrom(patch)
        return
    message = cls.FromString(target.value)
    merge(message, cls.FromString(patch.value), replace_lists=replace_lists)
    target.value = codec.encode(message)
