"""The tree that the parser makes, before anything is known of types; `at` is the offset in the text."""

from __future__ import annotations

from typing import Union

import attrs


@attrs.frozen
class Literal:
    """A string, a number, true or false."""

    value: str | int | float | bool
    at: int


@attrs.frozen
class Name:
    """The head of a name, as `source` in `source.ip`."""

    text: str
    at: int


@attrs.frozen
class Select:
    """`of.field`: one more word of a name, or CEL's entry of a map."""

    of: Node
    field: str
    at: int


@attrs.frozen
class Subscript:
    """`of[key]`."""

    of: Node
    key: Node
    at: int


@attrs.frozen
class Invoke:
    """`name(...)`, or `receiver.name(...)`."""

    receiver: Node | None
    name: str
    arguments: tuple[Node, ...]
    at: int


@attrs.frozen
class Unary:
    """`!x`, `-x`."""

    operator: str
    operand: Node
    at: int


@attrs.frozen
class Chain:
    """Operands joined by one operator; more than two only where the operator is associative (`&&`, `||`, `|`, `+`)."""

    operator: str
    operands: tuple[Node, ...]
    at: int


@attrs.frozen
class Ternary:
    """CEL's `test ? yes : no`."""

    test: Node
    yes: Node
    no: Node
    at: int


@attrs.frozen
class Items:
    """CEL's `[a, b]`, known behind `in` only."""

    items: tuple[Node, ...]
    at: int


Node = Union[Literal, Name, Select, Subscript, Invoke, Unary, Chain, Ternary, Items]  # noqa: UP007 - refers to itself


def children(node: Node) -> tuple[Node, ...]:
    """The nodes right below."""
    match node:
        case Select(of=of):
            return (of,)
        case Subscript(of=of, key=key):
            return (of, key)
        case Invoke(receiver=receiver, arguments=arguments):
            return arguments if receiver is None else (receiver, *arguments)
        case Unary(operand=operand):
            return (operand,)
        case Chain(operands=operands):
            return operands
        case Ternary(test=test, yes=yes, no=no):
            return (test, yes, no)
        case Items(items=items):
            return items
        case _:
            return ()


def dotted(node: Node) -> str | None:
    """`source.labels`, if the node is such a name."""
    words: list[str] = []
    while isinstance(node, Select):
        words.append(node.field)
        node = node.of
    return ".".join([node.text, *reversed(words)]) if isinstance(node, Name) else None


def start(node: Node) -> int:
    """Where the text of a node begins."""
    while True:
        match node:
            case Select(of=inner) | Subscript(of=inner):
                node = inner
            case Invoke(receiver=receiver) if receiver is not None:
                node = receiver
            case Chain(operands=operands):
                node = operands[0]
            case Ternary(test=test):
                node = test
            case _:
                return node.at
