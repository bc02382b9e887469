"""Reports on their way to the handlers: nobody who tells of the past waits for them, and none fill up memory.

The gRPC access log face hands bags over; one event loop.
"""

from __future__ import annotations

import asyncio

from mixer.attributes import Value
from mixer.dispatch import Dispatcher

MOST_PENDING = 10_000
"""Bags that handlers may be behind; what comes on top is dropped, and counted."""


class Reports:
    """`dropped` counts bags that nobody was told of."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self._tasks: set[asyncio.Task[None]] = set()
        self._pending = 0
        self.taken = 0
        self.dropped = 0

    def add(self, bags: list[dict[str, Value]]) -> None:
        """Takes a batch; never raises or waits."""
        if self._pending + len(bags) > MOST_PENDING:
            self.dropped += len(bags)
            return
        self.taken += len(bags)
        self._pending += len(bags)
        task = asyncio.get_running_loop().create_task(self._hand_over(bags))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _hand_over(self, bags: list[dict[str, Value]]) -> None:
        try:
            await self._dispatcher.report(bags)
        finally:
            self._pending -= len(bags)

    async def close(self) -> None:
        """When what was taken is told."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)
