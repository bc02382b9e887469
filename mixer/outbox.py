"""What handlers send to somebody: kept until it is sent, in batches, bounded, and never in a request's way.

Handlers that export (fluentd, statsd, OpenTelemetry, Zipkin, webhooks) `put` and go on. A batch leaves when it is full
or `interval` seconds after its first item; one that fails is sent again, until more than `most` items wait: then the
oldest go, and how many is told in the log. Belongs to one event loop.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Generic, TypeVar

T = TypeVar("T")
log = logging.getLogger(__name__)

FLUSH = 4.0
"""Seconds that `close` tries to send what is left; dispatch closes handlers within five."""
_LAST_TRIES = 3
"""Tries of which each failed, once it is closing."""
_FIRST_WAIT, _LONGEST_WAIT = 0.1, 5.0


class NeverTakenError(Exception):
    """The far end will not take this batch however often it is sent."""


class Outbox(Generic[T]):
    """`send` takes a batch, and raises whatever it likes if that did not arrive. `name` is for the log."""

    def __init__(
        self,
        name: str,
        send: Callable[[list[T]], Awaitable[None]],
        *,
        batch: int,
        interval: float,
        most: int = 10_000,
        timeout: float = 10.0,
    ) -> None:
        self.sent = 0
        self.dropped = 0
        self._name = name
        self._send = send
        self._batch = batch
        self._interval = interval
        self._most = most
        self._timeout = timeout
        self._items: deque[T] = deque()
        self._full = asyncio.Event()
        self._closing = False
        self._failing = False
        self._task: asyncio.Task[None] | None = None

    def put(self, items: Iterable[T]) -> None:
        """Takes the items in; returns at once."""
        self._items.extend(items)
        while len(self._items) > self._most:
            self._items.popleft()
            self.dropped += 1
        if len(self._items) >= self._batch:
            self._full.set()
        if self._items and (self._task is None or self._task.done()):
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        """Sends until nothing is left."""
        wait, last_tries = _FIRST_WAIT, _LAST_TRIES
        while self._items and last_tries:
            await self._until_due()
            self._full.clear()
            while self._items and last_tries:
                batch = [self._items.popleft() for _ in range(min(self._batch, len(self._items)))]
                if await self._sent(batch):
                    wait = _FIRST_WAIT
                    continue
                last_tries -= self._closing
                await self._pause(wait)
                wait = min(wait * 2, _LONGEST_WAIT)

    async def _until_due(self) -> None:
        """Until a batch is full or has waited long enough."""
        if len(self._items) < self._batch and not self._closing:
            await self._pause(self._interval)

    async def _pause(self, seconds: float) -> None:
        """Ends early when a batch became full, or this closes."""
        try:
            async with asyncio.timeout(min(seconds, _FIRST_WAIT) if self._closing else seconds):
                await (asyncio.sleep(seconds) if self._closing else self._full.wait())
        except TimeoutError:
            return  # time to send what there is

    async def _sent(self, batch: list[T]) -> bool:
        try:
            async with asyncio.timeout(self._timeout):
                await self._send(batch)
        except NeverTakenError as error:
            self.dropped += len(batch)
            log.warning("handler %s: %d not taken: %s", self._name, len(batch), error)
            return True
        except Exception as error:  # noqa: BLE001 - whatever keeps it from arriving, it is kept and sent again
            self._items.extendleft(reversed(batch))
            while len(self._items) > self._most:
                self._items.popleft()
                self.dropped += 1
            if not self._failing:
                log.warning("handler %s: cannot send: %s", self._name, str(error) or type(error).__name__)
            self._failing = True
            return False
        if self._failing:
            log.info("handler %s: sends again, %d lost", self._name, self.dropped)
        self._failing = False
        self.sent += len(batch)
        return True

    async def close(self) -> None:
        """Sends what is left, for FLUSH seconds at most."""
        self._closing = True
        self._full.set()
        if self._task is None:
            return
        try:
            async with asyncio.timeout(FLUSH):
                await self._task
        except TimeoutError:
            log.debug("handler %s: closed while it was sending", self._name)
        if self._items:
            log.warning("handler %s: closed with %d unsent", self._name, len(self._items))
