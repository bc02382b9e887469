"""The IR as plain data for YAML: what has its default is left out, a choice of classes is named by its class."""

from __future__ import annotations

import enum
from datetime import timedelta
from typing import Any

import attrs

from pilot import ir

CHOICES = (ir.Forward, ir.DirectResponse, ir.Redirect, ir.HttpConnectionManager, ir.TcpProxy)
"""Classes that stand for one another in a field, so that the fields alone do not tell which it is."""


def plain(value: Any) -> Any:
    """`value` in mappings, lists, texts and numbers."""
    if attrs.has(type(value)):
        fields = _fields(value)
        return {type(value).__name__: fields} if isinstance(value, CHOICES) else fields
    if isinstance(value, tuple):
        return [plain(each) for each in value]
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, timedelta):
        return f"{value.total_seconds():g}s"
    return value


def _fields(value: Any) -> dict[str, Any]:
    every = attrs.fields(type(value))
    given = {each.name: getattr(value, each.name) for each in every if getattr(value, each.name) != each.default}
    return {name: plain(found) for name, found in given.items()}
