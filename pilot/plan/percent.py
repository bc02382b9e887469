"""Shares of requests, in the finest unit that Envoy throws dice for."""

from __future__ import annotations

from galley.kinds.virtual_service import Percent

MILLION = 1_000_000


def per_million(percentage: Percent | None, older: int = 0) -> int:
    """How many of a million; `older` are the whole percents of a field that `percentage` replaced."""
    return round((percentage.value if percentage else older) * MILLION / 100)
