"""Prints string matches."""

from __future__ import annotations

from typing import Any

from pilot import ir


def string_matcher(value: ir.StringMatch) -> dict[str, Any]:
    """envoy.type.matcher.v3.StringMatcher; PRESENT is none and is printed otherwise where it may stand."""
    if value.kind is ir.MatchKind.REGEX:
        return {"safe_regex": {"regex": value.value}}
    return {value.kind.value: value.value}
