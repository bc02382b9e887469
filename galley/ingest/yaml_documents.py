"""The bytes of one unit → its documents, with the position of every path; or why they cannot be read.

Called by the sources of this package. Built on libyaml's event stream, in one pass and without recursion, so that no
input, however nested or full of aliases, costs more than its limits. Reads as Kubernetes does: YAML 1.1 scalars, but
dates and `12:30` stay strings, and a key that is given twice is an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import attrs
import yaml

from galley.document import Document, Loaded, Path, Position, Unreadable
from galley.ingest.scalars import UnresolvableError, scalar

MAX_BYTES = 4 * 1024 * 1024
MAX_DEPTH = 100
MAX_NODES = 500_000
_MERGE = "<<"
_UNPRINTABLE = re.compile(
    "[^\\t\\n\\r\\x20-\\x7e\\x85\\xa0-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]"
)  # YAML 1.1, 5.1
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _RefusedError(Exception):
    """The unit is not readable: what, where, and the way out."""

    def __init__(self, message: str, mend: str, line: int = 0, column: int = 0) -> None:
        super().__init__(message)
        self.message, self.mend, self.line, self.column = message, mend, line, column


def read_documents(unit: str, data: bytes) -> Loaded | Unreadable:
    """All documents of the unit; empty ones are left out. One that is broken makes the whole unit unreadable."""
    try:
        text = _text(data)
        events = yaml.parse(text, Loader=_LOADER)
        return Loaded(unit, tuple(_documents(unit, _Budget(), events)))
    except _RefusedError as fault:
        where = f"{unit}:{fault.line}:{fault.column}" if fault.line else unit
        return Unreadable(unit, where, fault.message, fault.mend)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{unit}:{mark.line + 1}:{mark.column + 1}" if mark else unit
        about = " ".join(part for part in (error.problem, error.context) if part)
        return Unreadable(unit, where, f"is not valid YAML: {about}", "correct the syntax at this place")
    except yaml.YAMLError as error:
        return Unreadable(unit, unit, f"is not valid YAML: {error}".splitlines()[0], "save it as UTF-8 text")


def _text(data: bytes) -> str:
    if len(data) > MAX_BYTES:
        raise _RefusedError(f"is larger than {MAX_BYTES} bytes", "split it into several files")
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line, column = _coordinates(data[: error.start].decode(encoding, "replace"))
        raise _RefusedError(
            f"is not valid {error.encoding}: {error.reason}", "save it as UTF-8", line, column
        ) from None
    control = _UNPRINTABLE.search(text)
    if control:
        message = f"holds the control character U+{ord(control[0]):04X}"
        raise _RefusedError(message, "save it as plain text", *_coordinates(text[: control.start()]))
    return text


def _coordinates(before: str) -> tuple[int, int]:
    return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


@attrs.define
class _Budget:
    """Nodes that may still come, aliases counted as if they were written out."""

    left: int = MAX_NODES

    def spend(self, nodes: int, event: Any) -> None:
        self.left -= nodes
        if self.left < 0:
            raise _refused_at(event, f"expands to more than {MAX_NODES} nodes", "split it, or use fewer aliases")


@attrs.define
class _Open:
    """A mapping or a list that is still being read."""

    value: dict[Any, Any] | list[Any]
    path: Path
    anchor: str | None
    left_before: int
    key: Any = None
    has_key: bool = False
    merging: bool = False
    keys: dict[Any, Position] = attrs.field(factory=dict)
    merged: list[Any] = attrs.field(factory=list)


@attrs.define
class _Anchored:
    value: Any
    nodes: int


def _documents(unit: str, budget: _Budget, events: Iterator[Any]) -> Iterator[Document]:
    for event in events:
        if isinstance(event, yaml.DocumentStartEvent):
            builder = _Builder(budget)
            for inner in events:
                if isinstance(inner, yaml.DocumentEndEvent):
                    break
                builder.take(inner)
            if builder.root is None:
                continue
            if not isinstance(builder.root, dict):
                position = builder.positions[()]
                message = "is not a mapping with apiVersion, kind, metadata and spec"
                raise _RefusedError(
                    f"the document {message}", "write one object a document", position.line, position.column
                )
            yield Document(unit, builder.root, builder.positions)


class _Builder:
    """Folds the events of one document into plain data. The stack is its own, so depth costs no recursion."""

    def __init__(self, budget: _Budget) -> None:
        self.root: Any = None
        self.positions: dict[Path, Position] = {}
        self._budget = budget
        self._open: list[_Open] = []
        self._anchors: dict[str, _Anchored | None] = {}

    def take(self, event: Any) -> None:
        """The next event of the document."""
        if isinstance(event, yaml.ScalarEvent):
            self._scalar(event)
        elif isinstance(event, yaml.AliasEvent):
            self._alias(event)
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            self._start(event)
        else:
            self._end(event)

    def _scalar(self, event: Any) -> None:
        self._budget.spend(1, event)
        try:
            value = scalar(event.value, event.tag, plain=event.implicit[0])
        except UnresolvableError as fault:
            raise _refused_at(event, str(fault), "remove the tag, or correct the value") from None
        if event.anchor:
            self._anchors[event.anchor] = _Anchored(value, 1)
        self._put(value, event, plain_merge=value == _MERGE and event.implicit[0])

    def _alias(self, event: Any) -> None:
        anchored = self._anchors.get(event.anchor)
        if anchored is None:
            known = event.anchor in self._anchors
            message = f"the alias *{event.anchor} refers to {'itself' if known else 'no anchor'}"
            raise _refused_at(event, message, "write out what is meant")
        self._budget.spend(anchored.nodes, event)
        self._put(anchored.value, event)

    def _start(self, event: Any) -> None:
        left = self._budget.left
        self._budget.spend(1, event)
        if len(self._open) >= MAX_DEPTH:
            raise _refused_at(event, f"is nested deeper than {MAX_DEPTH} levels", "check its brackets and indentation")
        if event.tag not in (None, "!", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"):
            raise _refused_at(event, f"the tag {event.tag} is not supported", "remove the tag")
        path = self._next_path(event)
        if event.anchor:
            self._anchors[event.anchor] = None
        value: dict[Any, Any] | list[Any] = {} if isinstance(event, yaml.MappingStartEvent) else []
        self._open.append(_Open(value, path, event.anchor, left))

    def _end(self, event: Any) -> None:
        done = self._open.pop()
        if isinstance(done.value, dict):
            for mapping in done.merged:
                for key, value in mapping.items():
                    done.value.setdefault(key, value)
        if done.anchor:
            self._anchors[done.anchor] = _Anchored(done.value, done.left_before - self._budget.left)
        self._store(done.value, event)

    def _put(self, value: Any, event: Any, *, plain_merge: bool = False) -> None:
        """A finished node: a key if a mapping waits for one, else a value."""
        parent = self._open[-1] if self._open else None
        if parent is None or isinstance(parent.value, list) or parent.has_key:
            self._next_path(event)
            self._store(value, event)
            return
        self._new_key(parent, value, event, plain_merge)

    def _new_key(self, parent: _Open, key: Any, event: Any, plain_merge: bool) -> None:
        if isinstance(key, dict | list):
            raise _refused_at(event, "a key must be a scalar", "write the key as a word")
        here = _position(event)
        if key in parent.keys and not plain_merge:
            message = f"the key {key!r} is given twice in one mapping, first in line {parent.keys[key].line}"
            raise _refused_at(event, message, "keep one of the two")
        parent.keys[key] = here
        parent.key, parent.has_key, parent.merging = key, True, plain_merge
        if not plain_merge:
            self.positions[(*parent.path, key if isinstance(key, str) else str(key))] = here

    def _next_path(self, event: Any) -> Path:
        """The path of the node that begins; notes its position unless its key did."""
        if not self._open:
            self.positions[()] = _position(event)
            return ()
        parent = self._open[-1]
        if isinstance(parent.value, list):
            path = (*parent.path, len(parent.value))
            self.positions[path] = _position(event)
            return path
        if not parent.has_key:
            raise _refused_at(event, "a key must be a scalar", "write the key as a word")
        return (*parent.path, parent.key if isinstance(parent.key, str) else str(parent.key))

    def _store(self, value: Any, event: Any) -> None:
        if not self._open:
            self.root = value
            return
        parent = self._open[-1]
        if isinstance(parent.value, list):
            parent.value.append(value)
            return
        parent.has_key = False
        if parent.merging:
            self._merge(parent, value, event)
        else:
            parent.value[parent.key] = value

    def _merge(self, parent: _Open, value: Any, event: Any) -> None:
        mappings = value if isinstance(value, list) else [value]
        if not all(isinstance(mapping, dict) for mapping in mappings):
            raise _refused_at(event, "'<<' merges mappings only", "give it an alias of a mapping")
        parent.merged += mappings


def _position(event: Any) -> Position:
    mark = event.start_mark
    return Position(mark.line + 1, mark.column + 1)


def _refused_at(event: Any, message: str, mend: str) -> _RefusedError:
    return _RefusedError(message, mend, event.start_mark.line + 1, event.start_mark.column + 1)
