"""The words in which `galley.kinds` describes messages: integer ranges, oneofs, fields of later versions.

A message class carries protobuf's rules in its annotations; `galley.decode` reads them once per class. Conventions of
every message class: all fields have protobuf's default; repeated is a tuple; a map is a tuple of pairs sorted by key; a
message, a wrapper and a oneof's member are `X | None`; a Duration is a timedelta.
"""

from __future__ import annotations

import enum
from typing import Annotated, TypeVar

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
class Wire:
    """The YAML name, where it is no Python name."""

    name: str


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


Int32 = Annotated[int, Between(-(2**31), 2**31 - 1)]
UInt32 = Annotated[int, Between(0, 2**32 - 1)]
UInt64 = Annotated[int, Between(0, 2**64 - 1)]
Later = Annotated[T, NotYet()]
