"""Lists: kinds of entries, whitelists and blacklists."""

from __future__ import annotations

from typing import Any

import pytest

from mixer.status import Code, Status
from tests.unit.mixer.handlers.opened import instance, opened


def _check(value: Any, **params: Any) -> Status:
    result = opened("list", params).check(instance("listentry", value=value))
    status: Status = result.status
    return status


@pytest.mark.parametrize(
    ("kind", "entries", "value", "found"),
    [
        ("STRINGS", ["a", "b"], "a", True),
        ("STRINGS", ["a", "b"], "A", False),
        ("STRINGS", ["10.0.0.1"], b"\x0a\0\0\1", True),
        ("CASE_INSENSITIVE_STRINGS", ["Straße"], "STRASSE", True),
        ("IP_ADDRESSES", ["10.0.0.0/8", "::1"], b"\x0a\1\2\3", True),
        ("IP_ADDRESSES", ["10.0.0.0/8"], "10.9.9.9", True),
        ("IP_ADDRESSES", ["10.0.0.0/8"], b"\0" * 10 + b"\xff\xff\x0a\0\0\1", True),
        ("IP_ADDRESSES", ["10.0.0.0/8", "::1"], "11.0.0.1", False),
        ("IP_ADDRESSES", ["0.0.0.0/0"], "::1", False),
        ("REGEX", ["^v[12]$", "x"], "v2", True),
        ("REGEX", ["^v[12]$"], "v3", False),
    ],
)
def test_a_value_is_on_a_list(kind: str, entries: list[str], value: Any, found: bool) -> None:
    assert _check(value, overrides=entries, entryType=kind).ok is found
    assert _check(value, overrides=entries, entryType=kind, blacklist=True).ok is not found


def test_what_a_refusal_says() -> None:
    assert _check("v3", overrides=["v1"]) == Status(Code.NOT_FOUND, "v3 is not whitelisted")
    assert _check("v1", overrides=["v1"], blacklist=True) == Status(Code.PERMISSION_DENIED, "v1 is blacklisted")
    odd = _check("v1", overrides=["10.0.0.1"], entryType="IP_ADDRESSES")
    assert odd == Status(Code.INVALID_ARGUMENT, "v1 is not a valid IP address")
