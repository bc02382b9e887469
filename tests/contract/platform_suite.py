"""The contract suite of platforms, which ships with the product for authors of others: `adapters.testing`."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("adapters.testing")

from adapters.testing import DEADLINE, Listener, PlatformSuite, World  # noqa: E402 - its asserts are to explain themselves

__all__ = ["DEADLINE", "Listener", "PlatformSuite", "World"]
