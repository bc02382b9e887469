"""Reads YAML (and so JSON) into nodes that know their line, within limits that keep a hostile file harmless.

Called by `adapters.static.convert` and `adapters.platforms_file`. PyYAML's own composer recurses, and expands aliases
in whoever walks its result; this one is a loop over libyaml's events and knows what every node would weigh with its
aliases written out.
"""

from __future__ import annotations

from collections.abc import Iterable

import attrs
import yaml

MAX_BYTES = 16 * 1024 * 1024
MAX_DEPTH = 32
MAX_NODES = 2_000_000

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@attrs.frozen
class Mark:
    """Where something is in a file; both count from one, as editors do."""

    line: int
    column: int


class MalformedError(Exception):
    """A document, or a part of it, that can't be used: where, what, and what mends it."""

    def __init__(self, mark: Mark, message: str, mend: str = "") -> None:
        super().__init__(message)
        self.mark = mark
        self.message = message
        self.mend = mend


@attrs.frozen
class Scalar:
    mark: Mark
    text: str
    plain: bool
    """Written without quotes: only then may it be a number, a boolean or null."""
    size: int = 1


@attrs.frozen
class Items:
    mark: Mark
    items: tuple[Node, ...]
    size: int


@attrs.frozen
class Fields:
    mark: Mark
    entries: tuple[tuple[Node, Node], ...]
    size: int


Node = Scalar | Items | Fields


@attrs.define
class _Open:
    """A list or mapping whose end was not read yet."""

    mark: Mark
    mapping: bool
    anchor: str | None
    children: list[Node] = attrs.field(factory=list)

    def closed(self) -> Node:
        size = 1 + sum(child.size for child in self.children)
        if self.mapping:
            pairs = zip(self.children[::2], self.children[1::2], strict=True)
            return Fields(self.mark, tuple(pairs), size)
        return Items(self.mark, tuple(self.children), size)


def read(content: bytes) -> Node:
    """The one document in `content`. MalformedError if there is none, or more, or it breaks a limit."""
    if len(content) > MAX_BYTES:
        raise MalformedError(Mark(1, 1), f"the file has {len(content)} bytes, more than {MAX_BYTES}", "split it")
    try:
        return _compose(yaml.parse(content, Loader=_Loader))
    except yaml.MarkedYAMLError as error:
        raise _explained(error) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise MalformedError(Mark(1, 1), f"not YAML: {error}", "save it as UTF-8 text") from None


def _compose(events: Iterable[yaml.Event]) -> Node:
    stack: list[_Open] = []
    anchors: dict[str, Node] = {}
    root: Node | None = None
    for event in events:
        node = _step(event, stack, anchors)
        if node is None:
            continue
        if node.size > MAX_NODES:
            raise MalformedError(
                node.mark, f"more than {MAX_NODES} values with aliases written out", "write less, or no alias"
            )
        if stack:
            stack[-1].children.append(node)
        elif root is None:
            root = node
        else:
            raise MalformedError(node.mark, "a second document in the file", "put all services under one `services:`")
    if root is None:
        raise MalformedError(Mark(1, 1), "the file is empty", "write `services: []` if no service is meant")
    return root


def _step(event: yaml.Event, stack: list[_Open], anchors: dict[str, Node]) -> Node | None:
    """The node that this event completes, if it completes one."""
    anchor: str | None = None
    node: Node
    match event:
        case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
            if len(stack) >= MAX_DEPTH:
                raise MalformedError(_mark(event), f"nested deeper than {MAX_DEPTH} levels", "a static file needs five")
            stack.append(_Open(_mark(event), isinstance(event, yaml.MappingStartEvent), event.anchor))
            return None
        case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
            ended = stack.pop()
            anchor, node = ended.anchor, ended.closed()
        case yaml.ScalarEvent():
            anchor, node = event.anchor, Scalar(_mark(event), event.value, event.style in (None, ""))
        case yaml.AliasEvent():
            known = anchors.get(event.anchor or "")
            if known is None:
                raise MalformedError(_mark(event), f"the alias *{event.anchor} names nothing that is complete here")
            node = known
        case _:
            return None
    if anchor:
        anchors[anchor] = node
    return node


def _mark(event: yaml.Event) -> Mark:
    start = event.start_mark
    return Mark(start.line + 1, start.column + 1) if start else Mark(1, 1)


def _explained(error: yaml.MarkedYAMLError) -> MalformedError:
    mark = error.problem_mark or error.context_mark
    where = Mark(mark.line + 1, mark.column + 1) if mark else Mark(1, 1)
    said = ", ".join(filter(None, (error.context, error.problem)))
    return MalformedError(where, f"not YAML: {said}", "mend the syntax; what the file last told stays in force")
