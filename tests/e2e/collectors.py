"""Stand-ins for what proxies tell of traffic to: an OTLP collector, Envoy's access log service, Zipkin's collector.

Each speaks the real protocol on a port of loopback, and keeps what it is told; run in the test's own process.
"""

from __future__ import annotations

import contextlib
import http.server
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from envoy_data_plane.envoy.service.accesslog import v3 as als_library
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from pilot.envoy import codec

_Entries = codec.message(als_library.StreamAccessLogsMessage)


class Collector:
    """OTLP spans and log records, and entries of the access log service, on one port."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, Any]] = []
        """`service.name` of the resource, and the span."""
        self.records: list[Any] = []
        self.entries: list[Any] = []
        self.port = 0

    def named(self, service: str) -> list[Any]:
        """Spans of a service, in the order in which they came."""
        return [span for name, span in self.spans if name == service]

    def _spans(self, body: bytes, _: grpc.ServicerContext) -> bytes:
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            names = {each.key: each.value.string_value for each in resource.resource.attributes}
            for scope in resource.scope_spans:
                self.spans += ((names.get("service.name", ""), span) for span in scope.spans)
        return b""

    def _logs(self, body: bytes, _: grpc.ServicerContext) -> bytes:
        for resource in ExportLogsServiceRequest.FromString(body).resource_logs:
            for scope in resource.scope_logs:
                self.records += scope.log_records
        return b""

    def _als(self, messages: Iterator[bytes], _: grpc.ServicerContext) -> bytes:
        for body in messages:
            found = _Entries.FromString(body)
            self.entries += [*found.http_logs.log_entry, *found.tcp_logs.log_entry]
        return b""

    def handlers(self) -> list[grpc.GenericRpcHandler]:
        unary, stream = grpc.unary_unary_rpc_method_handler, grpc.stream_unary_rpc_method_handler
        methods = {
            "opentelemetry.proto.collector.trace.v1.TraceService": {"Export": unary(self._spans)},
            "opentelemetry.proto.collector.logs.v1.LogsService": {"Export": unary(self._logs)},
            "envoy.service.accesslog.v3.AccessLogService": {"StreamAccessLogs": stream(self._als)},
        }
        return [grpc.method_handlers_generic_handler(name, found) for name, found in methods.items()]


@contextlib.contextmanager
def collector() -> Iterator[Collector]:
    found = Collector()
    server = grpc.server(ThreadPoolExecutor(16), handlers=found.handlers())
    found.port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield found
    finally:
        server.stop(None).wait()


class Zipkin:
    """Spans of `POST /api/v2/spans`, as JSON has them."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.spans: list[dict[str, Any]] = []

    def named(self, service: str) -> list[dict[str, Any]]:
        return [each for each in self.spans if each["localEndpoint"]["serviceName"] == service]


@contextlib.contextmanager
def zipkin() -> Iterator[Zipkin]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            found.spans += json.loads(b"".join(self._chunks())) if self.path == "/api/v2/spans" else []
            self.send_response(202)
            self.send_header("content-length", "0")
            self.end_headers()

        def _chunks(self) -> Iterator[bytes]:
            """The body as Envoy sends it: chunked (RFC 9112, 7.1)."""
            while size := int(self.rfile.readline(), 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - its name there
            """Nothing on the test's output."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found = Zipkin(server.server_port)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
