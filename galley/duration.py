"""Durations as configuration files write them: protobuf JSON's `1.5s` and Go's `1m30s`, `100ms`.

Istio's files use both. One grammar reads both, because the first is a part of the second.
"""

from __future__ import annotations

import datetime
import re
from fractions import Fraction

_MICROSECONDS = {
    "ns": Fraction(1, 1000),
    "us": Fraction(1),
    "µs": Fraction(1),
    "ms": Fraction(1000),
    "s": Fraction(1_000_000),
    "m": Fraction(60_000_000),
    "h": Fraction(3_600_000_000),
}
_PART = r"\d{1,13}(?:\.\d{0,9})?(?:ns|us|µs|ms|s|m|h)"
_WHOLE = re.compile(rf"-?(?:{_PART})+", re.ASCII)
_PARTS = re.compile(r"([\d.]+)([a-zµ]+)")


def parse_duration(text: str) -> datetime.timedelta | None:
    """The duration, or None if `text` is none, or is finer than a microsecond."""
    if text == "0":
        return datetime.timedelta()
    if not _WHOLE.fullmatch(text):
        return None
    total = sum((Fraction(number) * _MICROSECONDS[unit] for number, unit in _PARTS.findall(text)), Fraction())
    if total.denominator != 1:
        return None
    try:
        whole = datetime.timedelta(microseconds=total.numerator)
    except OverflowError:
        return None
    return -whole if text.startswith("-") else whole
