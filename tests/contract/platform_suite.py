"""The contract suite of platforms, which ships with the product for authors of others: `adapters.testing`."""

from __future__ import annotations

from adapters.testing import DEADLINE, Listener, PlatformSuite, World

__all__ = ["DEADLINE", "Listener", "PlatformSuite", "World"]
