"""Fixtures of the composition root's tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING

import pytest

from adapters.platform import Event
from adapters.settings import Arrangement
from galley.document import SourceEvent
from tests.unit.mesh_adapter.told import NOW, StartPlane, Told

if TYPE_CHECKING:
    from mesh_adapter.control_plane import ControlPlane


@pytest.fixture
async def start_plane() -> AsyncIterator[StartPlane]:
    """`start_plane(platforms, sources, debounce=…)`: a control plane that watches, closed at last."""
    # Not at the top: a conftest is imported before the warnings of the libraries are filtered.
    from mesh_adapter.control_plane import ControlPlane

    started: list[ControlPlane] = []

    def start(
        platforms: Mapping[str, Told[Event]],
        sources: Mapping[str, Told[SourceEvent]] | None = None,
        debounce: float = 0.0,
        arrangement: Arrangement = Arrangement(),  # noqa: B008 - frozen
    ) -> ControlPlane:
        plane = ControlPlane(platforms, sources or {}, clock=lambda: NOW, debounce=debounce, arrangement=arrangement)
        started.append(plane)
        plane.start()
        return plane

    yield start
    for plane in started:
        await plane.close()
