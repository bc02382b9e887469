"""Platforms and sources in memory, for the tests of the composition root: they tell what the test puts into a queue.

They keep the contracts of `adapters.platform.Platform` and `galley.document.Source`; an exception in the queue is
raised by `watch`, which the contracts forbid and the feed survives.
"""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Generic, TypeVar

from pilot.xds.protocol import Node
from pilot.xds.protocol.messages import Json

if TYPE_CHECKING:
    from mesh_adapter.control_plane import ControlPlane

E = TypeVar("E")
StartPlane = Callable[..., "ControlPlane"]
"""The fixture `start_plane`."""
DEADLINE = 10.0
NOW = datetime(2026, 3, 1, 10, 41, 7, tzinfo=UTC)


def node(name: str = "web-1.default", **metadata: Json) -> Node:
    """A sidecar in Istio's grammar."""
    return Node(f"sidecar~10.0.0.1~{name}~service.consul", metadata=metadata)


class Told(Generic[E]):
    """A platform or source whose events the test writes; `watches` counts how often it was watched."""

    def __init__(self, *events: E | Exception) -> None:
        self._queue: queue.Queue[E | Exception | None] = queue.Queue()
        self.watches = 0
        self.tell(*events)

    def tell(self, *events: E | Exception) -> None:
        for event in events:
            self._queue.put(event)

    def watch(self) -> Iterator[E]:
        self.watches += 1
        while (event := self._queue.get()) is not None:
            if isinstance(event, Exception):
                raise event
            yield event

    def close(self) -> None:
        self._queue.put(None)


async def until(holds: Callable[[], bool]) -> None:
    """Returns when it holds; TimeoutError after the deadline."""
    async with asyncio.timeout(DEADLINE):
        while not holds():
            await asyncio.sleep(0.001)
