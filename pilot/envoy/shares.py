"""Prints shares of requests."""

from __future__ import annotations

from typing import Any


def fraction(per_million: int) -> dict[str, Any]:
    """envoy.type.v3.FractionalPercent."""
    return {"numerator": per_million, "denominator": "MILLION"}
