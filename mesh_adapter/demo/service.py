"""One instance of a demo service: `python -m mesh_adapter.demo.service`. Stands for the operator's own program.

It knows nothing of the mesh but the port of the Envoy beside it, by which it calls the next service by name.

- `/` says who answers, and what the services it called answered
- `/slow` the same, a second later
- `/counts` how many requests it answered, by path
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import json
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import Any

import attrs

from mesh_adapter.demo.http1 import BadMessageError, Connection, Message, serve_connection

LOOPBACK = "127.0.0.1"
SLOW = 1.0
CALL_TIMEOUT = 5.0


@attrs.frozen
class Self:
    """Who this instance is, and whom it calls: `calls` is a host, `via` the port of its Envoy."""

    service: str
    version: str
    instance: str
    calls: str
    via: int


class Service:
    """Answers requests; calls on over connections that are kept in a pool."""

    def __init__(self, me: Self) -> None:
        self._me = me
        self._idle: list[Connection] = []
        self._counts: Counter[str] = Counter()

    async def answer(self, request: Message) -> tuple[int, bytes]:
        """502 if a service that was called did not answer well."""
        path = request.path
        self._counts[path] += 1
        said: dict[str, Any] = {
            "service": self._me.service,
            "version": self._me.version,
            "instance": self._me.instance,
        }
        if path == "/counts":
            return 200, _json(said | {"counts": dict(self._counts)})
        if path == "/slow":
            await asyncio.sleep(SLOW)
        calls = [await self._call()] if self._me.calls else []
        good = all(call["status"] == 200 for call in calls)
        return 200 if good else 502, _json(said | {"calls": calls})

    def close(self) -> None:
        """Gives up the connections that are kept."""
        for connection in self._idle:
            connection.close()

    async def _call(self) -> dict[str, Any]:
        began = time.perf_counter()
        said: dict[str, Any] = {"host": self._me.calls, "status": 0}
        try:
            async with asyncio.timeout(CALL_TIMEOUT), self._connection() as connection:
                said["status"], body = await connection.get(self._me.calls)
            said["answer"] = _object(body)
        except (OSError, BadMessageError) as error:
            said["error"] = f"{type(error).__name__}: {error}"
        said["ms"] = round(1000 * (time.perf_counter() - began), 3)
        return said

    @contextlib.asynccontextmanager
    async def _connection(self) -> AsyncIterator[Connection]:
        connection = self._idle.pop() if self._idle else Connection(LOOPBACK, self._me.via)
        try:
            yield connection
        finally:
            self._idle.append(connection)


def _object(body: bytes) -> Any:
    """What a service said; None where an Envoy answered in its place, in plain text."""
    try:
        return json.loads(body)
    except ValueError:
        return None


def _json(value: Any) -> bytes:
    return json.dumps(value).encode() + b"\n"


async def serve(me: Self, port: int) -> None:
    """Until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    service = Service(me)
    server = await asyncio.start_server(functools.partial(serve_connection, service.answer), LOOPBACK, port)
    print(f"{me.instance} listens on {LOOPBACK}:{port}", flush=True)
    await stop.wait()
    server.close()
    service.close()


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="mesh_adapter.demo.service")
    parser.add_argument("--port", type=int, required=True)
    for name in ("service", "version", "instance"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--calls", default="", help="host to call for every request")
    parser.add_argument("--via", type=int, default=0, help="outbound port of the Envoy beside it")
    given = parser.parse_args(arguments)
    me = Self(given.service, given.version, given.instance, given.calls, given.via)
    asyncio.run(serve(me, given.port))


if __name__ == "__main__":
    main(sys.argv[1:])
