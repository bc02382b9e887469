"""The words in which `galley.kinds` describes messages: integer ranges, oneofs, fields of later versions.

A message class carries protobuf's rules in its annotations; `galley.decode` reads them once per class. Conventions of
every message class: all fields have protobuf's default; repeated is a tuple; a map is a tuple of pairs sorted by key
(a string or an integer); a message, a wrapper and a oneof's member are `X | None`; a Duration is a timedelta; a
google.protobuf.Struct is a Struct.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

import attrs

T = TypeVar("T")


@attrs.frozen
class Between:
    """The range of an integer type, both ends included."""

    low: int
    high: int


@attrs.frozen
class OneOf:
    """A member of the oneof `group`: at most one of the members may be set."""

    group: str


@attrs.frozen
class Deprecated:
    """A field that is still read, with a warning that names what replaced it."""

    instead: str


@attrs.frozen
class Becomes:
    """What Envoy is told of the field, in Envoy's names: for docs/reference/traffic.md, and read by nothing else.

    `refused` is of a field that a check refuses, as Istio's own check does or for the reason in the words.
    """

    words: str
    refused: bool = False


@attrs.frozen
class Wire:
    """The YAML name, where it is no Python name."""

    name: str


@attrs.frozen
class Derived:
    """A field that no document has: what other kinds are turned into this one with (`galley.gateway_api`)."""


class Numbered(enum.Enum):
    """An enum whose members stand in the order of their protobuf numbers, from 0, and may be written as those."""


@attrs.frozen
class NotYet:
    """What Istio has and this version does not carry out: refused when present, never ignored in silence.

    Without `values` the whole field is meant, else these values of its enum. `why` is told to who uses it.
    """

    values: tuple[enum.Enum, ...] = ()
    why: str = ""

    @property
    def reason(self) -> str:
        """To put behind the words that it is not supported."""
        return f": {self.why}" if self.why else ""


@attrs.frozen
class Struct:
    """A free mapping (google.protobuf.Struct), kept immutable: what it means is for somebody else to say.

    Kept as JSON, so that `true`, `1` and `1.0` are three values, which they are not as Python's.
    """

    text: str = "{}"

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Struct:
        """Plain data, as YAML gives it, with strings as keys."""
        return cls(json.dumps(data, ensure_ascii=False))

    def plain(self) -> dict[str, Any]:
        """The mapping as it was written."""
        found: dict[str, Any] = json.loads(self.text)
        return found


Int32 = Annotated[int, Between(-(2**31), 2**31 - 1)]
Int64 = Annotated[int, Between(-(2**63), 2**63 - 1)]
UInt32 = Annotated[int, Between(0, 2**32 - 1)]
UInt64 = Annotated[int, Between(0, 2**64 - 1)]
Later = Annotated[T, NotYet()]
