"""The far ends of exporting handlers, in this process: sockets that keep what they were sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgpack

DEADLINE = 10.0


async def until(condition: Callable[[], Any]) -> None:
    """Waits for the condition; TimeoutError after ten seconds."""
    async with asyncio.timeout(DEADLINE):
        while not condition():
            await asyncio.sleep(0.01)


class Datagrams(asyncio.DatagramProtocol):
    """A UDP socket as statsd has it."""

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self.port = 0

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.received.append(data)

    @property
    def lines(self) -> list[str]:
        return [line for each in self.received for line in each.decode().split("\n")]


@asynccontextmanager
async def statsd() -> AsyncIterator[Datagrams]:
    transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
        Datagrams, local_addr=("127.0.0.1", 0)
    )
    protocol.port = transport.get_extra_info("sockname")[1]
    try:
        yield protocol
    finally:
        transport.close()


class Forward:
    """Fluentd's forward input; acknowledges where it is asked to, and hangs up on the first `hangs_up` connections."""

    def __init__(self, hangs_up: int = 0) -> None:
        self.messages: list[Any] = []
        self.port = 0
        self.hangs_up = hangs_up
        self._writers: list[asyncio.StreamWriter] = []

    @property
    def entries(self) -> list[tuple[str, Any, dict[str, Any]]]:
        return [(tag, time, record) for tag, entries, _ in self.messages for time, record in entries]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        if self.hangs_up:
            self.hangs_up -= 1
            writer.close()
            return
        unpacker = msgpack.Unpacker()
        while data := await reader.read(65536):
            unpacker.feed(data)
            for message in unpacker:
                self.messages.append(message)
                if chunk := message[2].get("chunk"):
                    writer.write(msgpack.packb({"ack": chunk}))
        writer.close()

    def close(self) -> None:
        for each in self._writers:
            each.close()


@asynccontextmanager
async def fluentd(hangs_up: int = 0) -> AsyncIterator[Forward]:
    far = Forward(hangs_up)
    server = await asyncio.start_server(far.serve, "127.0.0.1", 0)
    far.port = server.sockets[0].getsockname()[1]
    try:
        yield far
    finally:
        server.close()
        far.close()
