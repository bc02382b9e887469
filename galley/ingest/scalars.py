"""What a YAML scalar means: YAML 1.1's words as Kubernetes reads them.

Unlike YAML 1.1, dates and base-60 numbers (`12:30`) stay the strings they look like.
"""

from __future__ import annotations

import re

_TAG = "tag:yaml.org,2002:"
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS = {
    form: value
    for word, value in (("true", True), ("yes", True), ("on", True), ("false", False), ("no", False), ("off", False))
    for form in (word, word.capitalize(), word.upper())
}
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9_]*)")
_INTEGER_IN_BASE = re.compile(r"([-+]?)0(?:(b)([01_]+)|(x)([0-9a-fA-F_]+)|(o?)([0-7_]+))")
_FLOAT = re.compile(
    r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)?|[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+"
)
_SPECIAL = re.compile(r"([-+]?)\.(?:(inf|Inf|INF)|(nan|NaN|NAN))")
_MAX_DIGITS = 400
_STARTS_A_WORD_OR_NUMBER = frozenset("0123456789+-.~nNtTyYoOfF")

Scalar = str | int | float | bool | None


class UnresolvableError(ValueError):
    """A tag that is not supported, or that does not fit the value."""


def scalar(text: str, tag: str | None, *, plain: bool) -> Scalar:
    """The value of a scalar; `plain` is one without quotes and without a tag."""
    if plain and tag is None:
        return _resolve(text)
    if tag is None or tag in ("!", f"{_TAG}str"):
        return text
    value = _resolve(text)
    if _tag_of(value) == tag:
        return value
    if tag == f"{_TAG}float" and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if tag in (f"{_TAG}int", f"{_TAG}float", f"{_TAG}bool", f"{_TAG}null"):
        raise UnresolvableError(f"{text!r} does not fit its tag !!{tag.removeprefix(_TAG)}")
    raise UnresolvableError(f"the tag {tag} is not supported")


def _tag_of(value: Scalar) -> str:
    names = {bool: "bool", int: "int", float: "float", type(None): "null", str: "str"}
    return _TAG + names[type(value)]


def _resolve(text: str) -> Scalar:
    if text in _NULLS:
        return None
    if text[0] not in _STARTS_A_WORD_OR_NUMBER or len(text) > _MAX_DIGITS:
        return text
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    number = _number(text)
    return text if number is None else number


def _number(text: str) -> int | float | None:
    if _INTEGER.fullmatch(text):
        return int(text.replace("_", ""))
    in_base = _INTEGER_IN_BASE.fullmatch(text)
    if in_base:
        sign, binary, bits, hexadecimal, nibbles, _, octal = in_base.groups()
        base, digits = (2, bits) if binary else (16, nibbles) if hexadecimal else (8, octal)
        digits = digits.replace("_", "")
        return int(sign + digits, base) if digits else None
    if _FLOAT.fullmatch(text):
        return float(text.replace("_", ""))
    special = _SPECIAL.fullmatch(text)
    if special:
        return float(special[1] + ("inf" if special[2] else "nan"))
    return None
