"""A Redis that answers with errors: what a starting, a demoted and a full one say to every command."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from mixer.result import QuotaArgs
from tests.unit.mixer.handlers.opened import instance, opened


@asynccontextmanager
async def _redis(error: str) -> AsyncIterator[tuple[str, list[int]]]:
    """Its address, and a list that grows by each piece of commands that came."""
    came: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            commands = data.count(b"\r\n*") + 1
            came.append(commands)
            writer.write(f"-{error}\r\n".encode() * commands)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}", came
    finally:
        server.close()


@pytest.mark.parametrize(
    "error",
    [
        "LOADING Redis is loading the dataset in memory",
        "READONLY You can't write against a read only replica.",
        "OOM command not allowed when used memory > 'maxmemory'.",
        "MASTERDOWN Link with MASTER is down",
        "NOAUTH Authentication required.",
    ],
)
async def test_an_error_of_redis_is_no_answer_and_the_replica_counts_by_itself(error: str) -> None:
    async with _redis(error) as (address, came):
        quota = {"name": "hits", "maxAmount": 3, "validDuration": "60s", "whenAway": "LOCAL"}
        handler = opened("redisquota", {"redisServerUrl": address, "quotas": [quota]})
        asked = instance("quota", "hits")
        granted = [(await handler.quota(asked, QuotaArgs(1))).granted for _ in range(5)]
        assert granted == [1, 1, 1, 0, 0]
        after = len(came)
        for _ in range(20):
            await handler.quota(asked, QuotaArgs(1))
        assert len(came) == after  # nothing is asked for a moment, so that callers are answered at once
        await handler.close()
