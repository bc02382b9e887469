"""`fluentd`: log entries to a Fluentd or Fluent Bit, by the forward protocol (messages of msgpack over TCP).

The tag of an entry is its instance's name, as with Istio. Entries are sent in batches (forward mode) and acknowledged
by the server if `requireAck`; one batch that is not is sent again.
"""

from __future__ import annotations

import asyncio
import datetime
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import attrs
import msgpack

from galley.finding import Finding
from galley.schema import Int64
from mixer.address import host_and_port
from mixer.handler import HandlerType, Instance, Surroundings
from mixer.outbox import Outbox
from mixer.plain import shown_value

_BATCH = 1000


@attrs.frozen
class Params:
    """Istio's; `require_ack` is ours, and so is the second after which entries leave (Istio waits a minute)."""

    address: str = "localhost:24224"
    integer_duration: bool = False
    instance_buffer_size: Int64 = 1024
    max_batch_size_bytes: Int64 = 8 * 1024 * 1024
    push_interval_duration: datetime.timedelta = datetime.timedelta(seconds=1)
    push_timeout_duration: datetime.timedelta = datetime.timedelta(seconds=5)
    require_ack: bool = False


@attrs.frozen
class Entry:
    """One message, encoded: [time, record]."""

    tag: str
    packed: bytes


class FluentdHandler:
    """Keeps one connection; opens it again when it broke."""

    def __init__(self, params: Params, name: str, now: Callable[[], float]) -> None:
        self._params = params
        self._now = now
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._outbox: Outbox[Entry] = Outbox(
            name,
            self._send,
            batch=min(_BATCH, params.instance_buffer_size),
            interval=params.push_interval_duration.total_seconds(),
            most=params.instance_buffer_size,
            timeout=params.push_timeout_duration.total_seconds(),
        )

    def report(self, instances: Sequence[Instance]) -> None:
        self._outbox.put(self._entry(each) for each in instances)

    def _entry(self, instance: Instance) -> Entry:
        fields = instance.fields
        time = fields.get("timestamp")
        seconds = time.timestamp() if time else self._now()
        record = {name: self._plain(value) for name, value in fields.get("variables", {}).items()}
        record["severity"] = fields.get("severity", "")
        packed = msgpack.packb([msgpack.ExtType(0, _event_time(seconds)), record])
        return Entry(instance.name, packed)

    def _plain(self, value: Any) -> Any:
        if isinstance(value, datetime.timedelta) and self._params.integer_duration:
            return value // datetime.timedelta(milliseconds=1)
        return shown_value(value)

    async def _send(self, batch: list[Entry]) -> None:
        try:
            reader, writer = self._streams or await self._connect()
            for tag in dict.fromkeys(each.tag for each in batch):
                for some in _parts([each for each in batch if each.tag == tag], self._params.max_batch_size_bytes):
                    await self._push(reader, writer, tag, some)
        except BaseException:
            self._disconnect()
            raise

    async def _push(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, tag: str, entries: list[Entry]
    ) -> None:
        """One message of forward mode: [tag, [[time, record], …], options]."""
        packer = msgpack.Packer()
        chunk = uuid.uuid4().hex
        options: dict[str, Any] = {"size": len(entries)}
        if self._params.require_ack:
            options["chunk"] = chunk
        head = packer.pack_array_header(3) + packer.pack(tag) + packer.pack_array_header(len(entries))
        writer.write(head + b"".join(each.packed for each in entries) + packer.pack(options))
        await writer.drain()
        if self._params.require_ack:
            await _acknowledged(reader, chunk)
        elif reader.at_eof():
            raise ConnectionResetError("Fluentd closed the connection")

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        host, port = host_and_port(self._params.address)
        self._streams = await asyncio.open_connection(host, port)
        return self._streams

    def _disconnect(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def close(self) -> None:
        await self._outbox.close()
        self._disconnect()


async def _acknowledged(reader: asyncio.StreamReader, chunk: str) -> None:
    unpacker = msgpack.Unpacker()
    while data := await reader.read(4096):
        unpacker.feed(data)
        for answer in unpacker:
            if isinstance(answer, dict) and answer.get("ack") == chunk:
                return
            raise ConnectionError(f"Fluentd acknowledged something else: {answer!r}")
    raise ConnectionResetError("Fluentd closed the connection before it acknowledged")


def _parts(entries: list[Entry], most: int) -> Iterator[list[Entry]]:
    """Batches of at most `most` bytes; an entry that is longer by itself goes alone."""
    part: list[Entry] = []
    size = 0
    for each in entries:
        if part and size + len(each.packed) > most:
            yield part
            part, size = [], 0
        part.append(each)
        size += len(each.packed)
    if part:
        yield part


def _event_time(seconds: float) -> bytes:
    """Fluentd's EventTime: seconds and nanoseconds, big-endian."""
    whole = int(seconds)
    return whole.to_bytes(4, "big") + int((seconds - whole) * 1e9).to_bytes(4, "big")


def _check(params: Params) -> Iterator[Finding]:
    try:
        host_and_port(params.address)
    except ValueError as error:
        yield Finding(("address",), str(error), "write fluentd.logging:24224")
    nothing = datetime.timedelta()
    for name, duration in (
        ("pushIntervalDuration", params.push_interval_duration),
        ("pushTimeoutDuration", params.push_timeout_duration),
    ):
        if duration <= nothing:
            yield Finding((name,), "must be longer than nothing")
    for name, number in (
        ("instanceBufferSize", params.instance_buffer_size),
        ("maxBatchSizeBytes", params.max_batch_size_bytes),
    ):
        if number < 1:
            yield Finding((name,), "must be at least 1")


def _open(params: Params, surroundings: Surroundings) -> FluentdHandler:
    return FluentdHandler(params, surroundings.name, surroundings.now)


FLUENTD = HandlerType("fluentd", frozenset({"logentry"}), Params, _open, _check)
