"""The client's requests as they become known: reads its pipe, keeps the last minute or so."""

from __future__ import annotations

import asyncio
import time
from collections import deque

from mesh_adapter.demo import sample
from mesh_adapter.demo.sample import Sample

SECONDS_KEPT = 90
POLL_EVERY = 0.1
SLACK = 1.5


class Traffic:
    """`rate` is the client's, in requests a second."""

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self._kept: deque[Sample] = deque(maxlen=int(rate * SECONDS_KEPT))

    async def read(self, lines: asyncio.StreamReader) -> None:
        """Until the client ends."""
        async for line in lines:
            found = sample.parse(line)
            if found is not None:
                self._kept.append(found)

    def since(self, moment: float) -> list[Sample]:
        """Answered requests that were sent at `moment` (of the monotonic clock) or later."""
        return [each for each in self._kept if each.sent >= moment]

    def recent(self, seconds: float) -> list[Sample]:
        """Of the last so many seconds."""
        return self.since(time.monotonic() - seconds)

    async def collect(self, requests: int, moment: float) -> list[Sample]:
        """So many sent since `moment`; fewer if they take much longer than they should."""
        deadline = time.monotonic() + SLACK * requests / self.rate + 3
        while len(found := self.since(moment)) < requests and time.monotonic() < deadline:
            await asyncio.sleep(POLL_EVERY)
        return found
