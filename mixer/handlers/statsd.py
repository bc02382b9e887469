"""`statsd`: metrics as statsd lines by UDP. A metric's name may hold `{{.dimension}}`, as in Istio's name templates.

Nothing tells whether anybody listens: that is UDP's nature, and Istio's adapter is no different.
"""

from __future__ import annotations

import asyncio
import datetime
import enum
import random
import re
import socket
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import attrs

from galley.finding import Finding
from galley.schema import Int32
from mixer.address import host_and_port
from mixer.handler import HandlerType, Instance, Surroundings
from mixer.outbox import Outbox
from mixer.quota import dimension_text

_PLACE = re.compile(r"\{\{\s*\.?(\w+)\s*\}\}")
_UNSAFE = re.compile(r"[^\w.\-]")
"""What the line protocol uses itself: a client's text must not add metrics of its own."""


class MetricType(enum.Enum):
    """What statsd makes of the value."""

    UNKNOWN = "UNKNOWN"
    COUNTER = "COUNTER"
    GAUGE = "GAUGE"
    DISTRIBUTION = "DISTRIBUTION"


_SUFFIX = {MetricType.COUNTER: "c", MetricType.GAUGE: "g", MetricType.DISTRIBUTION: "ms"}


@attrs.frozen
class MetricInfo:
    """`name_template` is the metric's name if given, else the instance's."""

    type: MetricType = MetricType.UNKNOWN
    name_template: str = ""


@attrs.frozen
class Params:
    """Istio's, with its defaults."""

    address: str = "localhost:8125"
    prefix: str = ""
    flush_duration: datetime.timedelta = datetime.timedelta(milliseconds=300)
    flush_bytes: Int32 = 512
    sampling_rate: float = 1.0
    metrics: tuple[tuple[str, MetricInfo], ...] = ()


class StatsdHandler:
    """Lines are put together to datagrams of at most `flush_bytes`."""

    def __init__(self, params: Params, name: str) -> None:
        self._params = params
        self._metrics = {_short(each): info for each, info in params.metrics}
        self._rate = f"|@{params.sampling_rate:g}" if params.sampling_rate < 1 else ""
        self._transport: asyncio.DatagramTransport | None = None
        self._outbox: Outbox[bytes] = Outbox(
            name, self._send, batch=100, interval=params.flush_duration.total_seconds()
        )

    def report(self, instances: Sequence[Instance]) -> None:
        self._outbox.put(self._lines(instances))

    def _lines(self, instances: Sequence[Instance]) -> Iterator[bytes]:
        for each in instances:
            info = self._metrics.get(each.name)
            if info is None or (self._rate and random.random() >= self._params.sampling_rate):
                continue
            name = ".".join(filter(None, (self._params.prefix.rstrip("."), self._name(each, info))))
            yield f"{name}:{_number(each.fields.get('value', 0), info.type)}|{_SUFFIX[info.type]}{self._rate}".encode()

    def _name(self, instance: Instance, info: MetricInfo) -> str:
        if not info.name_template:
            return instance.name
        dimensions = instance.fields.get("dimensions", {})
        return _PLACE.sub(lambda found: _UNSAFE.sub("_", dimension_text(dimensions.get(found[1]))), info.name_template)

    async def _send(self, batch: list[bytes]) -> None:
        if self._transport is None or self._transport.is_closing():
            host, port = host_and_port(self._params.address)
            loop = asyncio.get_running_loop()
            self._transport, _ = await loop.create_datagram_endpoint(
                asyncio.DatagramProtocol, remote_addr=(host, port), proto=socket.IPPROTO_UDP
            )
        for datagram in _datagrams(batch, self._params.flush_bytes):
            self._transport.sendto(datagram)

    async def close(self) -> None:
        await self._outbox.close()
        if self._transport is not None:
            self._transport.close()


def _datagrams(lines: Iterable[bytes], most: int) -> Iterator[bytes]:
    datagram = b""
    for line in lines:
        if datagram and len(datagram) + 1 + len(line) > most:
            yield datagram
            datagram = b""
        datagram = datagram + b"\n" + line if datagram else line
    if datagram:
        yield datagram


def _number(value: Any, type_: MetricType) -> str:
    """Durations count in milliseconds, statsd's unit for timings."""
    if isinstance(value, datetime.timedelta):
        value = value / datetime.timedelta(milliseconds=1)
    number = float(value)
    if type_ is MetricType.COUNTER and number < 0:
        raise ValueError(f"a counter cannot count down by {value}")
    return f"{number:.12g}"


def _short(name: str) -> str:
    """`requestcount` of `requestcount.metric.istio-system`."""
    return name.partition(".")[0]


def _check(params: Params) -> Iterator[Finding]:
    try:
        host_and_port(params.address)
    except ValueError as error:
        yield Finding(("address",), str(error), "write statsd:8125")
    if not 0 < params.sampling_rate <= 1:
        yield Finding(("samplingRate",), "must be above 0 and at most 1")
    if not 1 <= params.flush_bytes <= 65507:
        yield Finding(("flushBytes",), "must be from 1 to 65507, the most a datagram holds")
    if params.flush_duration <= datetime.timedelta():
        yield Finding(("flushDuration",), "must be longer than nothing", "300ms is the default")
    for name, info in params.metrics:
        if info.type is MetricType.UNKNOWN:
            yield Finding(("metrics", name, "type"), "is missing", "use one of COUNTER, GAUGE, DISTRIBUTION")
        if "{{" in _PLACE.sub("", info.name_template):
            yield Finding(("metrics", name, "nameTemplate"), "has a place that is no {{.dimension}}")


def _open(params: Params, surroundings: Surroundings) -> StatsdHandler:
    return StatsdHandler(params, surroundings.name)


STATSD = HandlerType("statsd", frozenset({"metric"}), Params, _open, _check)
