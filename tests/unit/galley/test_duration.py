"""Durations in both of the forms that Istio's files use."""

from __future__ import annotations

import datetime

import pytest

from galley.duration import parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("3s", 3),
        ("0.5s", 0.5),
        ("0s", 0),
        ("0", 0),
        ("1m30s", 90),
        ("100ms", 0.1),
        ("1h", 3600),
        ("1h0m0.001s", 3600.001),
        ("250us", 0.00025),
        ("1000ns", 0.000001),
        ("-3s", -3),
    ],
)
def test_a_duration_is_read(text: str, seconds: float) -> None:
    assert parse_duration(text) == datetime.timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", ["", "3", "s", "3 s", "3S", "ninety", "1s-", "1m 30s", "1ns", "9999999999999h", "٣s", "1..5s"]
)
def test_what_is_no_duration_is_none(text: str) -> None:
    assert parse_duration(text) is None
