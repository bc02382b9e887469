"""Windows that replicas share by Redis: what `mixer.quota` counts in memory, counted by a script in the server.

`redisquota` calls it. One script takes all that waits for a window while its last call is under way, so a busy window
costs one call of Redis at a time, however many requests come; nothing is granted that Redis was not asked for. The
caller bounds how many may wait. Belongs to one event loop.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from importlib import resources
from typing import Any

import attrs
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from mixer.quota import Algorithm, Limit, RollingWindow

MOST = 2**53
"""Redis' scripts count in doubles: up to here they are exact."""
_MICRO = 1_000_000


@attrs.frozen
class WindowKey:
    """What one window is kept by. `name` may be of any length and hold anything."""

    name: str
    limit: Limit
    algorithm: Algorithm
    slots: int = RollingWindow.SLOTS

    @property
    def text(self) -> str:
        """The key in Redis; the braces keep a window and its deduplication keys on one node of a cluster."""
        digest = hashlib.sha256(self.name.encode()).hexdigest()[:32]
        return f"mixer:{{{digest}}}:{self.algorithm.value[0]}{self.limit.duration:g}:{self.slots}"


@attrs.frozen
class Ask:
    """One request for an amount; a repeated `deduplication_id` takes nothing again."""

    amount: int
    best_effort: bool = False
    deduplication_id: str = ""


@attrs.frozen
class Taken:
    """What was granted, for how many seconds it counts, and in how many something is free again (0: now)."""

    granted: int
    left: float
    free_in: float


class SharedWindows:
    """`timeout` is for each call of Redis, in seconds. Methods raise RedisError, OSError or TimeoutError."""

    def __init__(self, url: str, connections: int, timeout: float, remember: float) -> None:
        self._redis = Redis(connection_pool=_pool(url, connections, timeout))
        self._script = self._redis.register_script(_SCRIPT)
        self._timeout = timeout
        self._remember = max(int(remember * 1000), 1)
        self._waiting: dict[WindowKey, deque[tuple[Ask, asyncio.Future[Taken]]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def take(self, key: WindowKey, ask: Ask) -> Taken:
        """The answer to one ask. One whose caller goes away before Redis is asked takes nothing."""
        answer: asyncio.Future[Taken] = asyncio.get_running_loop().create_future()
        if key in self._waiting:
            self._waiting[key].append((ask, answer))
        else:
            self._waiting[key] = deque([(ask, answer)])
            task = asyncio.get_running_loop().create_task(self._serve(key))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await answer

    async def _serve(self, key: WindowKey) -> None:
        """Asks until nobody waits for the window any more."""
        waiting = self._waiting[key]
        try:
            while waiting:
                batch = [each for each in waiting if not each[1].done()]
                waiting.clear()
                if batch:
                    await self._answer(key, batch)
        finally:
            del self._waiting[key]

    async def _answer(self, key: WindowKey, batch: list[tuple[Ask, asyncio.Future[Taken]]]) -> None:
        try:
            async with asyncio.timeout(self._timeout):
                left, free_in, *granted = await self._script(*_request(key, [ask for ask, _ in batch], self._remember))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is for those who wait
            for _, answer in batch:
                if not answer.done():
                    answer.set_exception(error)
            return
        for (_, answer), amount in zip(batch, granted, strict=True):
            if not answer.done():
                answer.set_result(Taken(int(amount), left / _MICRO, free_in / _MICRO))

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._redis.aclose()
        await self._redis.connection_pool.disconnect()


def _request(key: WindowKey, asks: list[Ask], remember: int) -> tuple[list[str], list[Any]]:
    keys, arguments = (
        [key.text],
        [
            key.algorithm.value,
            key.limit.maximum,
            round(key.limit.duration * _MICRO),
            key.slots,
            remember,
        ],
    )
    for ask in asks:
        known = hashlib.sha256(ask.deduplication_id.encode()).hexdigest()[:32] if ask.deduplication_id else ""
        keys.append(f"{key.text}:{known}" if known else key.text)
        arguments += [min(ask.amount, 2 * MOST), int(ask.best_effort), int(bool(known))]
    return keys, arguments


def _pool(url: str, connections: int, timeout: float) -> BlockingConnectionPool:
    pool: BlockingConnectionPool = BlockingConnectionPool.from_url(
        full_url(url),
        max_connections=connections,
        timeout=timeout,
        socket_connect_timeout=timeout,
        retry=Retry(NoBackoff(), 1),  # a connection that Redis closed while nobody used it
    )
    return pool


def full_url(url: str) -> str:
    """Istio's configurations write host:port."""
    return url if "://" in url else f"redis://{url}"


_SCRIPT = resources.files("mixer").joinpath("shared_windows.lua").read_text()
