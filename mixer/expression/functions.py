"""The functions of the expression languages: their types, and what carries them out.

All are pure and total but for EvaluationError; each takes time linear in its input. The same ones are called for
constants when an expression is read and by compiled expressions for every request.
"""

from __future__ import annotations

import datetime
import email.utils
import ipaddress
import posixpath
import re
import urllib.parse
from collections.abc import Callable, Mapping
from typing import Any

import attrs
import idna

from mixer.attributes import INT64, ValueType
from mixer.expression.error import EvaluationError
from mixer.expression.terms import Function

EMPTY: Mapping[str, str] = {}
MAX_TEXT = 65_536
"""Characters that a string may grow to by `+`."""


def glob(text: str, pattern: str) -> bool:
    """`prefix*`, `*suffix`, or the whole: Istio's `match`."""
    if pattern.endswith("*"):
        return text.startswith(pattern[:-1])
    if pattern.startswith("*"):
        return text.endswith(pattern[1:])
    return text == pattern


def to_ip(text: str) -> bytes:
    try:
        return ipaddress.ip_address(text).packed
    except ValueError:
        raise EvaluationError(f"{_shown(text)} is no IP address") from None


def same_ip(one: bytes, other: bytes) -> bool:
    """Whether they mean one address: 10.0.0.1 and ::ffff:10.0.0.1 do."""
    return _short(one) == _short(other)


def _short(address: bytes) -> bytes:
    return address[12:] if len(address) == 16 and address[:12] == b"\0" * 10 + b"\xff\xff" else address


_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)


def to_timestamp(text: str) -> datetime.datetime:
    """RFC 3339; what is finer than a microsecond is cut off."""
    try:
        if _RFC3339.fullmatch(text):
            return datetime.datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text.upper()))
    except ValueError:
        pass  # the 30th of February; told as every other text that is none
    raise EvaluationError(f"{_shown(text)} is no timestamp (RFC 3339)")


def to_dns_name(text: str) -> str:
    """The name in its ASCII form, lower case, without the dot at the end."""
    name = text[:-1] if text.endswith(".") else text
    try:
        if name.isascii():
            if name and len(name) <= 253 and all(_LABEL.fullmatch(each) for each in name.split(".")):
                return name.lower()
        else:
            return idna.encode(name, uts46=True).decode()
    except idna.IDNAError:
        pass  # told below, as every other text that is none
    raise EvaluationError(f"{_shown(text)} is no DNS name")


_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")


def same_dns_name(one: str, other: str) -> bool:
    return to_dns_name(one) == to_dns_name(other)


def to_email(text: str) -> str:
    """A bare address, its domain in lower case ASCII."""
    name, address = email.utils.parseaddr(text)
    local, at, domain = address.rpartition("@")
    if name or address != text or not (local and at) or re.search(r"\s", text):
        raise EvaluationError(f"{_shown(text)} is no e-mail address")
    return f"{local}@{to_dns_name(domain)}"


def same_email(one: str, other: str) -> bool:
    return to_email(one) == to_email(other)


def to_uri(text: str) -> str:
    if not text:
        raise EvaluationError("an empty string is no URI")
    try:
        parts = urllib.parse.urlsplit(text)
        _ = parts.port
    except ValueError:
        raise EvaluationError(f"{_shown(text)} is no URI") from None
    if re.search(r"[\s\x00-\x1f\x7f]", text):
        raise EvaluationError(f"{_shown(text)} is no URI")
    return text


def same_uri(one: str, other: str) -> bool:
    """Equal after normalising: case of scheme and host, the scheme's own port, dot segments, a trailing dot."""
    return _plain_uri(one) == _plain_uri(other)


_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443, "ftp": 21}


def _plain_uri(text: str) -> tuple[object, ...]:
    parts = urllib.parse.urlsplit(to_uri(text))
    host = (parts.hostname or "").rstrip(".")
    port = parts.port if parts.port != _PORTS.get(parts.scheme) else None
    path = posixpath.normpath(parts.path) if parts.path else ""
    path = "" if path in ("/", ".") else path.replace("//", "/", 1)
    return parts.scheme, parts.username, parts.password, host, port, path, parts.query, parts.fragment


def add(left: Any, right: Any) -> Any:
    """Checked: neither beyond 64 bits nor beyond MAX_TEXT."""
    total = left + right
    if isinstance(total, str) and len(total) > MAX_TEXT:
        raise EvaluationError(f"the text grew beyond {MAX_TEXT} characters")
    return _within(total)


def subtract(left: Any, right: Any) -> Any:
    return _within(left - right)


def multiply(left: Any, right: Any) -> Any:
    return _within(left * right)


def divide(left: Any, right: Any) -> Any:
    """Integers are cut towards zero, as in C and Go."""
    if not right:
        raise EvaluationError("division by zero")
    if isinstance(left, float):
        return left / right
    quotient = abs(left) // abs(right)
    return _within(quotient if (left < 0) == (right < 0) else -quotient)


def modulo(left: int, right: int) -> int:
    return left - right * int(divide(left, right))


def _within(value: Any) -> Any:
    if isinstance(value, int) and not INT64[0] <= value <= INT64[1]:
        raise EvaluationError("the number does not fit into 64 bits")
    return value


def _to_int(text: str) -> int:
    if re.fullmatch(r"[+-]?\d{1,19}", text, re.ASCII):
        return int(_within(int(text)))
    raise EvaluationError(f"{_shown(text)} is no integer")


def _to_double(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise EvaluationError(f"{_shown(text)} is no number") from None


def _cut(number: float) -> int:
    if number != number or abs(number) >= 2.0**63:
        raise EvaluationError("the number does not fit into 64 bits")
    return int(number)


def _reverse(text: str) -> str:
    return text[::-1]


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:59] + "…")


_TEXT, _WHOLE, _REAL, _TRUTH = ValueType.STRING, ValueType.INT64, ValueType.DOUBLE, ValueType.BOOL
_MAP = ValueType.STRING_MAP


@attrs.frozen
class Signature:
    """What a function takes and gives. A `method` is written behind its first argument; `cel`: known to CEL alone."""

    takes: tuple[ValueType, ...]
    gives: ValueType
    run: Callable[..., Any]
    method: bool = False
    cel: bool = False

    def function(self, name: str) -> Function:
        return Function(name, self.run)


FUNCTIONS: Mapping[str, tuple[Signature, ...]] = {
    "match": (Signature((_TEXT, _TEXT), _TRUTH, glob),),
    "startsWith": (Signature((_TEXT, _TEXT), _TRUTH, str.startswith, method=True),),
    "endsWith": (Signature((_TEXT, _TEXT), _TRUTH, str.endswith, method=True),),
    "contains": (Signature((_TEXT, _TEXT), _TRUTH, str.__contains__, method=True, cel=True),),
    "toLower": (Signature((_TEXT,), _TEXT, str.lower),),
    "reverse": (Signature((_TEXT,), _TEXT, _reverse),),
    "size": (
        Signature((_TEXT,), _WHOLE, len),
        Signature((_MAP,), _WHOLE, len, cel=True),
        Signature((_TEXT,), _WHOLE, len, method=True, cel=True),
        Signature((_MAP,), _WHOLE, len, method=True, cel=True),
    ),
    "ip": (Signature((_TEXT,), ValueType.IP_ADDRESS, to_ip),),
    "timestamp": (Signature((_TEXT,), ValueType.TIMESTAMP, to_timestamp),),
    "dnsName": (Signature((_TEXT,), ValueType.DNS_NAME, to_dns_name),),
    "email": (Signature((_TEXT,), ValueType.EMAIL_ADDRESS, to_email),),
    "uri": (Signature((_TEXT,), ValueType.URI, to_uri),),
    "emptyStringMap": (Signature((), _MAP, lambda: EMPTY),),
    "int": (Signature((_TEXT,), _WHOLE, _to_int, cel=True), Signature((_REAL,), _WHOLE, _cut, cel=True)),
    "double": (Signature((_TEXT,), _REAL, _to_double, cel=True), Signature((_WHOLE,), _REAL, float, cel=True)),
    "string": (
        Signature((_WHOLE,), _TEXT, str, cel=True),
        Signature((_REAL,), _TEXT, str, cel=True),
        Signature((_TRUTH,), _TEXT, lambda value: "true" if value else "false", cel=True),
    ),
}
"""Without the forms that the checker itself knows: matches, conditional, has, duration."""

SAME: Mapping[ValueType, Function] = {
    ValueType.IP_ADDRESS: Function("same_ip", same_ip),
    ValueType.DNS_NAME: Function("same_dns_name", same_dns_name),
    ValueType.EMAIL_ADDRESS: Function("same_email", same_email),
    ValueType.URI: Function("same_uri", same_uri),
}
"""Types whose values are the same in more cases than Python's `==` says."""

ARITHMETIC: Mapping[str, Function] = {
    "+": Function("add", add),
    "-": Function("subtract", subtract),
    "*": Function("multiply", multiply),
    "/": Function("divide", divide),
    "%": Function("modulo", modulo),
}
