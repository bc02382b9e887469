"""A slow evaluator of expressions, written from the language's description: what compiled code must agree with.

It walks the parser's tree, knows values and not types, and shares no code with the compiler but the parser.
"""

from __future__ import annotations

import datetime
import ipaddress
import re
from collections.abc import Mapping
from typing import Any

from galley.duration import parse_duration
from mixer.expression.syntax import Chain, Invoke, Literal, Name, Node, Select, Subscript, Unary


class Missing(Exception):  # noqa: N818 - the word of the language's description
    """An attribute or an entry is absent."""


def evaluate(node: Node, bag: Mapping[str, Any]) -> Any:
    """The value of a well-typed expression of Istio's language; Missing if it has none."""
    match node:
        case Literal(value):
            return value
        case Name() | Select():
            return _attribute(node, bag)
        case Subscript(of, key):
            entries = evaluate(of, bag)
            wanted = evaluate(key, bag)
            wanted = wanted.lower() if _words(of).endswith(".headers") else wanted
            if wanted not in entries:
                raise Missing(wanted)
            return entries[wanted]
        case Unary(_, operand):
            return not evaluate(operand, bag)
        case Invoke(receiver, name, arguments):
            return _invoke(receiver, name, arguments, bag)
        case Chain(operator, operands):
            return _chain(operator, operands, bag)
        case _:
            raise AssertionError(f"not in Istio's language: {node}")


def _words(node: Node) -> str:
    match node:
        case Name(text):
            return text
        case Select(of, field):
            return f"{_words(of)}.{field}"
        case _:
            return ""


def _attribute(node: Node, bag: Mapping[str, Any]) -> Any:
    name = _words(node)
    if name not in bag:
        raise Missing(name)
    return bag[name]


def _chain(operator: str, operands: tuple[Node, ...], bag: Mapping[str, Any]) -> Any:
    if operator == "&&":
        return all(evaluate(each, bag) for each in operands)
    if operator == "||":
        return any(evaluate(each, bag) for each in operands)
    if operator == "|":
        return _default(operands, bag)
    first, *rest = (evaluate(each, bag) for each in operands)
    for other in rest:
        one, two = _alike(first, other)
        match operator:
            case "+":
                first = one + two
            case "==":
                first = one == two
            case "!=":
                first = one != two
            case "<":
                first = one < two
            case "<=":
                first = one <= two
            case ">":
                first = one > two
            case ">=":
                first = one >= two
    return first


def _default(operands: tuple[Node, ...], bag: Mapping[str, Any]) -> Any:
    for each in operands[:-1]:
        try:
            return evaluate(each, bag)
        except Missing:
            continue
    return evaluate(operands[-1], bag)


def _alike(one: Any, other: Any) -> tuple[Any, Any]:
    """Addresses in one form; a string beside a duration as one."""
    if isinstance(one, bytes) and isinstance(other, bytes):
        return _address(one), _address(other)
    if isinstance(one, datetime.timedelta) and isinstance(other, str):
        return one, parse_duration(other)
    if isinstance(other, datetime.timedelta) and isinstance(one, str):
        return parse_duration(one), other
    return one, other


def _address(packed: bytes) -> Any:
    address = ipaddress.ip_address(packed)
    return getattr(address, "ipv4_mapped", None) or address


def _invoke(receiver: Node | None, name: str, arguments: tuple[Node, ...], bag: Mapping[str, Any]) -> Any:
    if name == "conditional":
        test, yes, no = arguments
        return evaluate(yes if evaluate(test, bag) else no, bag)
    values = [evaluate(each, bag) for each in ((receiver, *arguments) if receiver else arguments)]
    match name, values:
        case "match", [text, pattern]:
            return re.fullmatch(_glob(pattern), text, re.DOTALL) is not None
        case "matches", [pattern, text]:
            return re.search(pattern, text) is not None
        case "startsWith", [text, part]:
            return text[: len(part)] == part
        case "endsWith", [text, part]:
            return part == "" or text[-len(part) :] == part
        case "toLower", [text]:
            return text.lower()
        case "reverse", [text]:
            return "".join(reversed(text))
        case "size", [text]:
            return len(text)
        case "ip", [text]:
            return ipaddress.ip_address(text).packed
        case "emptyStringMap", []:
            return {}
    raise AssertionError(f"unknown {name}")


def _glob(pattern: str) -> str:
    if pattern.endswith("*"):
        return re.escape(pattern[:-1]) + ".*"
    if pattern.startswith("*"):
        return ".*" + re.escape(pattern[1:])
    return re.escape(pattern)
