"""Text → tokens, for both languages: Istio's (a part of Go's expressions) and CEL."""

from __future__ import annotations

import re
from collections.abc import Iterator

import attrs

from mixer.expression.error import ExpressionError, Position

MAX_LENGTH = 16_384
"""Characters of an expression; more is refused before it is looked at."""

_TOKEN = re.compile(
    r"""
    (?P<space>[ \t\r\n]+)
  | (?P<float>\d+\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+)
  | (?P<int>0[xX][0-9a-fA-F]+|\d+)
  | (?P<name>[A-Za-z_$][A-Za-z0-9_$]*)
  | (?P<double>"(?:[^"\\\n]|\\.)*")
  | (?P<single>'(?:[^'\\\n]|\\.)*')
  | (?P<raw>`[^`]*`)
  | (?P<operator>==|!=|<=|>=|&&|\|\||[<>!|+\-*/%?:.,()\[\]])
    """,
    re.VERBOSE,
)
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|x([0-9a-fA-F]{2})|([0-7]{3})|(.))", re.DOTALL)
_SHORT = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_SELF = frozenset("\\\"'`?")


@attrs.frozen
class Token:
    """`kind` is `name`, `string`, `cel-string` (in single quotes), `int`, `float`, `end` or the operator itself."""

    kind: str
    text: str
    at: int


def tokens(text: str) -> Iterator[Token]:
    """The tokens, with one `end` behind them; ExpressionError where the text is none."""
    if len(text) > MAX_LENGTH:
        message = f"is {len(text)} characters long, more than {MAX_LENGTH}"
        raise ExpressionError(message, Position(0, 1, 1), "split it into several rules")
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise ExpressionError(f"unexpected {text[at]!r}", Position.of(text, at), _advice(text[at]))
        kind = found.lastgroup or ""
        word = found.group()
        if kind == "operator":
            yield Token(word, word, at)
        elif kind in ("double", "single", "raw"):
            inner = word[1:-1]
            value = inner if kind == "raw" else _unescape(inner, text, at + 1)
            yield Token("cel-string" if kind == "single" else "string", value, at)
        elif kind != "space":
            yield Token(kind, word, at)
        at = found.end()
    yield Token("end", "the end", at)


def _advice(character: str) -> str:
    if character in "\"'`":
        return "close the string"
    return {"=": "write ==", "&": "write &&"}.get(character, "")


def _unescape(inner: str, text: str, at: int) -> str:
    def replace(found: re.Match[str]) -> str:
        four, eight, hexadecimal, octal, other = found.groups()
        if number := four or eight or hexadecimal:
            code = int(number, 16)
        elif octal:
            code = int(octal, 8)
        elif other in _SHORT or other in _SELF:
            return str(_SHORT.get(other, other))
        else:
            raise ExpressionError(
                f"unknown escape \\{other}", Position.of(text, at + found.start()), "write \\\\ for a backslash"
            )
        if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
            raise ExpressionError(f"{found.group()} is no character", Position.of(text, at + found.start()))
        return chr(code)

    return _ESCAPE.sub(replace, inner)
