"""The demo's client: `python -m mesh_adapter.demo.client`. A steady load through the Envoy beside it, by host name.

Every request becomes a line of JSON on stdout, which `mesh_adapter.demo.sample` reads. Each worker has one connection
and its own share of a fixed timetable; one that is late leaves out turns instead of making up for them, so the load
never exceeds the rate, whatever the mesh does.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
import time
from collections.abc import Sequence

import attrs

from mesh_adapter.demo.http1 import BadMessageError, Connection

LOOPBACK = "127.0.0.1"
WORKERS = 16
TIMEOUT = 8.0


@attrs.frozen
class Load:
    """Requests a second, in all, to `host` through the Envoy that listens on `via`."""

    host: str
    via: int
    rate: float
    workers: int = WORKERS


def next_turn(now: float, first: float, every: float) -> float:
    """The first of the turns `first`, `first + every`, … that is not before `now`."""
    missed = max(0.0, now - first)
    return first + every * -(-missed // every)


async def run(load: Load) -> None:
    """Until SIGTERM, or until nobody reads what it writes."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    began = time.monotonic()
    workers = [asyncio.create_task(_work(load, began + number / load.rate)) for number in range(load.workers)]
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait([stopped, *workers], return_when=asyncio.FIRST_COMPLETED)
    for task in (stopped, *workers):
        task.cancel()
    await asyncio.gather(stopped, *workers, return_exceptions=True)


async def _work(load: Load, first: float) -> None:
    """Ends when the pipe to the reader is broken."""
    connection = Connection(LOOPBACK, load.via)
    every = load.workers / load.rate
    turn = first
    while True:
        await asyncio.sleep(turn - time.monotonic())
        line = await _request(connection, load.host)
        try:
            print(line, flush=True)
        except BrokenPipeError:
            return
        turn = next_turn(time.monotonic(), turn + every, every)


async def _request(connection: Connection, host: str) -> str:
    sent = time.monotonic()
    status, answer, error = 0, "", ""
    try:
        async with asyncio.timeout(TIMEOUT):
            status, body = await connection.get(host)
        answer = body.decode(errors="replace")
    except (OSError, BadMessageError) as fault:
        error = f"{type(fault).__name__}: {fault}"
    ms = round(1000 * (time.monotonic() - sent), 3)
    return json.dumps({"sent": sent, "host": host, "ms": ms, "status": status, "answer": answer, "error": error})


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="mesh_adapter.demo.client")
    parser.add_argument("--host", required=True)
    parser.add_argument("--via", type=int, required=True, help="outbound port of the Envoy beside it")
    parser.add_argument("--rate", type=float, required=True, help="requests a second")
    given = parser.parse_args(arguments)
    asyncio.run(run(Load(given.host, given.via, given.rate)))


if __name__ == "__main__":
    main(sys.argv[1:])
