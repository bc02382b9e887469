"""Where in an expression the thing stands that had no value: for people who try one out, not for hot paths."""

from __future__ import annotations

from mixer.expression.error import AbsentError, EvaluationError, Position
from mixer.expression.parser import parse
from mixer.expression.syntax import Literal, Node, Select, Subscript, children, dotted, start


def locate(source: str, error: EvaluationError) -> Position:
    """The place of the attribute or the entry that is absent; the beginning for any other error."""
    if not isinstance(error, AbsentError):
        return Position.of(source, 0)
    nodes: list[Node] = [parse(source).tree]
    found = 0
    while nodes:
        node = nodes.pop()
        if _is(node, error):
            found = start(node)
            break
        nodes.extend(reversed(children(node)))
    return Position.of(source, found)


def _is(node: Node, error: AbsentError) -> bool:
    if error.key is None:
        return dotted(node) == error.name
    match node:
        case Subscript(of, Literal(key)):
            same_key = key == error.key or (isinstance(key, str) and key.lower() == error.key)
            return same_key and dotted(of) in (error.name, None)
        case Subscript(of, _):
            return dotted(of) == error.name
        case Select(of, field):
            return field == error.key and dotted(of) == error.name
        case _:
            return False
