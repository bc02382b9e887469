"""`opentelemetry`: metrics, log entries and trace spans to a collector by OTLP, gRPC or HTTP.

The official messages, our own sending: the SDK is made for telling of the program that it runs in, with ids and times
of its own; here all of these are given.
"""

from __future__ import annotations

import asyncio
import datetime
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

import attrs

from galley.finding import Finding
from galley.schema import Int32
from mixer.handler import HandlerType, Instance, Surroundings
from mixer.otlp import encode
from mixer.otlp.series import Kind, MetricInfo, Series, metrics
from mixer.otlp.transport import SCHEMES, Transport, transport
from mixer.outbox import Outbox


@attrs.frozen
class Params:
    """Ours: Istio has no such adapter. `metrics` is by the instance's name."""

    endpoint: str = "http://localhost:4318"
    headers: tuple[tuple[str, str], ...] = ()
    ca_certificates: str = ""
    resource: tuple[tuple[str, str], ...] = ()
    interval: datetime.timedelta = datetime.timedelta(seconds=5)
    timeout: datetime.timedelta = datetime.timedelta(seconds=10)
    batch_size: Int32 = 500
    buffer_size: Int32 = 10_000
    metrics: tuple[tuple[str, MetricInfo], ...] = ()


class OpenTelemetryHandler:
    """Spans and log records wait in an outbox each; metrics are summed up, and told whole at each interval."""

    def __init__(self, params: Params, transport: Transport, name: str, now: Callable[[], float]) -> None:
        self._transport = transport
        self._now = now
        self._resource = encode.resource({"service.name": "mesh-adapter-mixer", **dict(params.resource)})
        start = self._time()
        self._series = {
            each.partition(".")[0]: Series(each.partition(".")[0], info, start) for each, info in params.metrics
        }

        def outbox(what: str, send: Any, batch: int, most: int) -> Outbox[Any]:
            interval, timeout = params.interval.total_seconds(), params.timeout.total_seconds()
            return Outbox(f"{name} ({what})", send, batch=batch, interval=interval, most=most, timeout=timeout)

        self._spans = outbox("traces", self._send_spans, params.batch_size, params.buffer_size)
        self._records = outbox("logs", self._send_records, params.batch_size, params.buffer_size)
        # A metric's export holds all there is: one item waits, which says that something changed.
        self._changes = outbox("metrics", self._send_metrics, 2, 1)

    def _time(self) -> datetime.datetime:
        return datetime.datetime.fromtimestamp(self._now(), datetime.UTC)

    def report(self, instances: Sequence[Instance]) -> None:
        now = self._time()
        match instances[0].template if instances else "":
            case "metric":
                self._count(instances)
            case "logentry":
                self._records.put(encode.log_record(each, now) for each in instances)
            case "tracespan":
                spans = (encode.span(each, now) for each in instances)
                self._spans.put(each for each in spans if each is not None)

    def _count(self, instances: Sequence[Instance]) -> None:
        for each in instances:
            series = self._series.get(each.name)
            if series is not None:
                series.record(each.fields.get("value", 0), each.fields.get("dimensions", {}))
        if self._series:
            self._changes.put([None])

    async def _send_spans(self, spans: list[Any]) -> None:
        await self._transport.send("traces", encode.traces(spans, self._resource).SerializeToString())

    async def _send_records(self, records: list[Any]) -> None:
        await self._transport.send("logs", encode.logs(records, self._resource).SerializeToString())

    async def _send_metrics(self, changes: list[None]) -> None:
        await self._transport.send("metrics", metrics(self._series, self._resource, self._time()).SerializeToString())

    async def close(self) -> None:
        await asyncio.gather(self._spans.close(), self._records.close(), self._changes.close())
        await self._transport.close()


def _check(params: Params) -> Iterator[Finding]:
    parts = urlsplit(params.endpoint)
    if parts.scheme not in SCHEMES or not parts.netloc:
        mend = "write http://collector:4318 or grpc://collector:4317; https and grpcs are with TLS"
        yield Finding(("endpoint",), f"{params.endpoint!r} is no endpoint of OTLP", mend)
    for name, duration in (("interval", params.interval), ("timeout", params.timeout)):
        if duration <= datetime.timedelta():
            yield Finding((name,), "must be longer than nothing")
    for name, number in (("batchSize", params.batch_size), ("bufferSize", params.buffer_size)):
        if number < 1:
            yield Finding((name,), "must be at least 1")
    for name, info in params.metrics:
        if info.kind is Kind.UNSPECIFIED:
            yield Finding(("metrics", name, "kind"), "is missing", "use one of GAUGE, COUNTER, DISTRIBUTION")
        if any(one >= other for one, other in itertools.pairwise(info.bounds)):
            yield Finding(("metrics", name, "bounds"), "do not grow", "each bucket must end above the one before")


def _open(params: Params, surroundings: Surroundings) -> OpenTelemetryHandler:
    collector = transport(params.endpoint, dict(params.headers), params.ca_certificates)
    return OpenTelemetryHandler(params, collector, surroundings.name, surroundings.now)


OPENTELEMETRY = HandlerType("opentelemetry", frozenset({"metric", "logentry", "tracespan"}), Params, _open, _check)
