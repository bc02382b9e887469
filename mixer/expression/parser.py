"""Tokens → tree. One grammar reads Istio's expressions and CEL's: they differ in a few forms, which it takes note of.

Precedence is Go's, in which `|` binds as `+` does: `a | "b" == "c"` compares the default. Bounded: depth and number of
nodes are counted while parsing, so that hostile text costs no more than its length.
"""

from __future__ import annotations

import attrs

from mixer.expression.error import ExpressionError, Position
from mixer.expression.lexer import Token, tokens
from mixer.expression.syntax import (
    Chain,
    Invoke,
    Items,
    Literal,
    Name,
    Node,
    Select,
    Subscript,
    Ternary,
    Unary,
    children,
)

MAX_DEPTH = 48
MAX_NODES = 2_000
MAX_OPERANDS = 100
"""Of one row of `|` or `+`, whose code nests."""

_PRECEDENCE = {
    "||": 1,
    "&&": 2,
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">=", "in"), 3),
    **dict.fromkeys(("+", "-", "|"), 4),
    **dict.fromkeys(("*", "/", "%"), 5),
}
_ASSOCIATIVE = frozenset({"||", "&&", "+", "|"})
_CEL_OPERATORS = frozenset({"in", "-", "*", "/", "%"})
_CEL_FUNCTIONS = frozenset({"has", "contains", "int", "double", "string", "duration"})


@attrs.frozen
class Parsed:
    """`cel` and `cexl` say where a form stands that only the one or the other language has; None: nowhere."""

    tree: Node
    cel: int | None
    cexl: int | None


def parse(text: str) -> Parsed:
    """The tree of the text; ExpressionError with the place where it stops making sense."""
    return _Parser(text).whole()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = tokens(text)
        self._now = next(self._tokens)
        self._depth = 0
        self._nodes = 0
        self._cel: int | None = None
        self._cexl: int | None = None

    def whole(self) -> Parsed:
        if self._now.kind == "end":
            raise self._error("is empty", self._now.at)
        tree = self._ternary()
        if self._now.kind != "end":
            raise self._unexpected("an operator")
        self._bound(tree)
        return Parsed(tree, self._cel, self._cexl)

    def _ternary(self) -> Node:
        self._deeper()
        test = self._binary(1)
        if self._now.kind == "?":
            at = self._take().at
            self._note_cel(at)
            yes = self._ternary()
            self._expect(":")
            test = Ternary(test, yes, self._ternary(), at)
        self._depth -= 1
        return test

    def _binary(self, least: int) -> Node:
        """Operands joined by operators that bind at least so tightly, the left ones first."""
        left = self._unary()
        while (precedence := _PRECEDENCE.get(operator := self._operator(), 0)) >= least:
            at = self._take().at
            if operator in _CEL_OPERATORS:
                self._note_cel(at)
            elif operator == "|":
                self._cexl = at if self._cexl is None else self._cexl
            right = self._binary(precedence + 1)
            if operator in _ASSOCIATIVE and isinstance(left, Chain) and left.operator == operator:
                left = attrs.evolve(left, operands=(*left.operands, right))
                if operator in "|+" and len(left.operands) > MAX_OPERANDS:
                    raise self._error(f"has more than {MAX_OPERANDS} operands of {operator}", at)
            else:
                left = self._count(Chain(operator, (left, right), at))
        return left

    def _operator(self) -> str:
        return "in" if self._now.kind == "name" and self._now.text == "in" else self._now.kind

    def _unary(self) -> Node:
        if self._now.kind not in ("!", "-"):
            return self._postfix(self._primary())
        token = self._take()
        if token.kind == "-" and self._now.kind in ("int", "float"):
            return self._number(self._take(), token.at, -1)
        self._deeper()
        if token.kind == "-":
            self._note_cel(token.at)
        operand = self._unary()
        self._depth -= 1
        return self._count(Unary(token.kind, operand, token.at))

    def _postfix(self, node: Node) -> Node:
        while self._now.kind in (".", "["):
            at = self._take().at
            if self._text[at] == "[":
                node = self._count(Subscript(node, self._ternary(), at))
                self._expect("]")
                continue
            field = self._expect("name")
            if self._now.kind == "(":
                node = self._invoke(node, field)
            else:
                node = self._count(Select(node, field.text, field.at))
        return node

    def _primary(self) -> Node:
        token = self._take()
        match token.kind:
            case "string":
                return self._count(Literal(token.text, token.at))
            case "cel-string":
                self._note_cel(token.at)
                return self._count(Literal(token.text, token.at))
            case "int" | "float":
                return self._number(token, token.at, 1)
            case "name" if token.text in ("true", "false"):
                return self._count(Literal(token.text == "true", token.at))
            case "name" if self._now.kind == "(":
                return self._invoke(None, token)
            case "name":
                return self._count(Name(token.text, token.at))
            case "(":
                inner = self._ternary()
                self._expect(")")
                return inner
            case "[":
                self._note_cel(token.at)
                return self._count(Items(self._listed("]"), token.at))
        raise self._error(f"unexpected {_shown(token)}, expected a value", token.at)

    def _invoke(self, receiver: Node | None, name: Token) -> Node:
        if name.text in _CEL_FUNCTIONS:
            self._note_cel(name.at)
        return self._count(Invoke(receiver, name.text, self._arguments(), name.at))

    def _number(self, token: Token, at: int, sign: int) -> Node:
        if token.kind == "float":
            return self._count(Literal(sign * float(token.text), at))
        if len(token.text) > 20:
            raise self._error(f"{token.text[:20]}… does not fit into 64 bits", at)
        value = sign * int(token.text, 16 if token.text[:2] in ("0x", "0X") else 10)
        if not -(2**63) <= value < 2**63:
            raise self._error(f"{value} does not fit into 64 bits", at)
        return self._count(Literal(value, at))

    def _arguments(self) -> tuple[Node, ...]:
        self._expect("(")
        return self._listed(")")

    def _listed(self, closing: str) -> tuple[Node, ...]:
        items: list[Node] = []
        while self._now.kind != closing:
            items.append(self._ternary())
            if self._now.kind != closing:
                self._expect(",")
        self._take()
        return tuple(items)

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._too_deep(self._now.at)

    def _bound(self, tree: Node) -> None:
        """Holds the tree itself to the depth: a long row of operators or subscripts is deep without a bracket."""
        level = [tree]
        for _ in range(MAX_DEPTH):
            level = [child for node in level for child in children(node)]
            if not level:
                return
        raise self._too_deep(level[0].at)

    def _too_deep(self, at: int) -> ExpressionError:
        return self._error(f"is nested more than {MAX_DEPTH} deep", at, "split it into several rules")

    def _count(self, node: Node) -> Node:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise self._error(f"has more than {MAX_NODES} parts", node.at, "split it into several rules")
        return node

    def _note_cel(self, at: int) -> None:
        self._cel = at if self._cel is None else self._cel

    def _take(self) -> Token:
        token = self._now
        if token.kind != "end":
            self._now = next(self._tokens)
        return token

    def _expect(self, kind: str) -> Token:
        if self._now.kind != kind:
            raise self._unexpected("a name" if kind == "name" else repr(kind))
        return self._take()

    def _unexpected(self, wanted: str) -> ExpressionError:
        return self._error(f"unexpected {_shown(self._now)}, expected {wanted}", self._now.at)

    def _error(self, message: str, at: int, mend: str = "") -> ExpressionError:
        return ExpressionError(message, Position.of(self._text, at), mend)


def _shown(token: Token) -> str:
    return token.text if token.kind == "end" else repr(token.text)
