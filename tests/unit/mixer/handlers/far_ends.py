"""The far ends of exporting handlers, in this process: sockets that keep what they were sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import attrs
import grpc
import msgpack
from aiohttp import web
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

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


@attrs.define(eq=False)
class HttpPeer:
    """An HTTP service that keeps what it is sent and answers as it is told: a status, and JSON or bytes."""

    status: int = 200
    answer: Any = None
    url: str = ""
    paths: list[str] = attrs.field(factory=list)
    headers: list[Any] = attrs.field(factory=list)
    bodies: list[bytes] = attrs.field(factory=list)

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        self.bodies.append(await request.read())
        self.paths.append(request.path)
        self.headers.append(request.headers)
        if isinstance(self.answer, bytes | str):
            return web.Response(status=self.status, body=self.answer)
        return (
            web.json_response(self.answer, status=self.status)
            if self.answer is not None
            else web.Response(status=self.status)
        )


@asynccontextmanager
async def http_peer(status: int = 200, answer: Any = None) -> AsyncIterator[HttpPeer]:
    peer = HttpPeer(status, answer)
    runner = web.ServerRunner(web.Server(peer.serve))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    peer.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield peer
    finally:
        await runner.cleanup()


OTLP: dict[str, Any] = {
    "traces": ExportTraceServiceRequest,
    "metrics": ExportMetricsServiceRequest,
    "logs": ExportLogsServiceRequest,
}


@attrs.define(eq=False)
class Collector:
    """An OTLP collector's requests, whichever way they came."""

    endpoint: str = ""
    refuses: int = 0
    requests: dict[str, list[Any]] = attrs.field(factory=lambda: {signal: [] for signal in OTLP})
    metadata: list[dict[str, str]] = attrs.field(factory=list)

    @property
    def spans(self) -> list[Any]:
        return [
            span
            for request in self.requests["traces"]
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    @property
    def records(self) -> list[Any]:
        return [
            record
            for request in self.requests["logs"]
            for resource in request.resource_logs
            for scope in resource.scope_logs
            for record in scope.log_records
        ]

    def metric(self, name: str) -> Any:
        """The metric as it was told last."""
        told = [
            metric
            for request in self.requests["metrics"]
            for resource in request.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
        ]
        return told[-1] if told else None

    async def over_http(self, request: web.BaseRequest) -> web.StreamResponse:
        signal = request.path.rpartition("/")[2]
        if self.refuses:
            self.refuses -= 1
            return web.Response(status=503)
        self.metadata.append({name.lower(): value for name, value in request.headers.items()})
        self.requests[signal].append(OTLP[signal].FromString(await request.read()))
        return web.Response(content_type="application/x-protobuf")

    def over_grpc(self, signal: str) -> Any:
        async def export(request: Any, context: Any) -> bytes:
            if self.refuses:
                self.refuses -= 1
                await context.abort(grpc.StatusCode.UNAVAILABLE, "not now")
            self.metadata.append(dict(context.invocation_metadata()))
            self.requests[signal].append(request)
            return b""

        return grpc.unary_unary_rpc_method_handler(export, OTLP[signal].FromString)


@asynccontextmanager
async def collector(protocol: str, refuses: int = 0) -> AsyncIterator[Collector]:
    """By `http` or `grpc`."""
    far = Collector(refuses=refuses)
    if protocol == "http":
        runner = web.ServerRunner(web.Server(far.over_http))
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        far.endpoint = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield far
        finally:
            await runner.cleanup()
        return
    server = grpc.aio.server()
    for signal, service in (("traces", "trace.v1.Trace"), ("metrics", "metrics.v1.Metrics"), ("logs", "logs.v1.Logs")):
        handlers = {"Export": far.over_grpc(signal)}
        name = f"opentelemetry.proto.collector.{service}Service"
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, handlers),))
    far.endpoint = f"grpc://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    try:
        yield far
    finally:
        await server.stop(None)
