"""A raw configuration document with its coordinates, and the contract of the sources that bring them.

A source (`galley.ingest`) yields changes by *unit*: a file, a KV key, a Kubernetes object. What a unit held before is
replaced as a whole, so that a document that moves inside a file is no deletion.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import attrs

Path = tuple[str | int, ...]
"""Where in a document: `("spec", "http", 0, "route")`."""


@attrs.frozen
class Position:
    """Line and column, both from 1; 0 where the source has none."""

    line: int = 0
    column: int = 0


@attrs.frozen(eq=False)
class Document:
    """One YAML document: its plain data, and the position of every path in it."""

    unit: str
    body: Mapping[str, Any]
    positions: Mapping[Path, Position]

    def where(self, path: Path = ()) -> str:
        """`unit:line:column` of the deepest part of `path` that has a position."""
        for depth in range(len(path), -1, -1):
            position = self.positions.get(path[:depth])
            if position is not None and position.line:
                return f"{self.unit}:{position.line}:{position.column}"
        return self.unit


@attrs.frozen
class Loaded:
    """What the unit holds now: replaces all that it held before."""

    unit: str
    documents: tuple[Document, ...]


@attrs.frozen
class Removed:
    """The unit is gone, and with it its documents."""

    unit: str


@attrs.frozen
class Synced:
    """Everything there is has been told. Exactly once."""


@attrs.frozen
class Stale:
    """The source is away; what it last told stays in force until Fresh."""

    reason: str


@attrs.frozen
class Fresh:
    """The source is back, and the differences were told before this."""


@attrs.frozen
class Unreadable:
    """The unit could not be read or parsed: what it held before stays in force."""

    unit: str
    where: str
    message: str
    mend: str = ""


SourceEvent = Loaded | Removed | Synced | Stale | Fresh | Unreadable


class Source(Protocol):
    """One place where configuration lives; the same shape as a platform.

    `watch` runs in a thread of its own, first yields everything, then Synced once, then differences for ever; it
    never raises for one bad unit. `close` may come from any thread and more than once; `watch` then ends within two
    seconds.
    """

    def watch(self) -> Iterator[SourceEvent]: ...

    def close(self) -> None: ...
