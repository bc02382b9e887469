"""How OTLP's requests travel: gRPC or HTTP with protobuf, by the endpoint's scheme (specification 1.x, "protocol").

`send` raises NeverTakenError for what the collector will never take, anything else for what may be sent again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import aiohttp
import grpc

from mixer.http_session import session
from mixer.outbox import NeverTakenError

SIGNALS = {
    "traces": "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "metrics": "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    "logs": "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
}
SCHEMES = ("grpc", "grpcs", "http", "https")
_AGAIN_HTTP = frozenset({408, 429, 502, 503, 504})
_AGAIN = frozenset(
    {
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DATA_LOSS,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
    }
)


class Transport(Protocol):
    """One collector. `signal` is traces, metrics or logs."""

    async def send(self, signal: str, request: bytes) -> None: ...

    async def close(self) -> None: ...


def transport(endpoint: str, headers: Mapping[str, str], ca_file: str) -> Transport:
    """By the scheme: grpc, grpcs, http, https."""
    kind = GrpcTransport if urlsplit(endpoint).scheme.startswith("grpc") else HttpTransport
    return kind(endpoint, headers, ca_file)


class HttpTransport:
    """POST to ENDPOINT/v1/SIGNAL."""

    def __init__(self, endpoint: str, headers: Mapping[str, str], ca_file: str) -> None:
        self._endpoint = endpoint.rstrip("/")
        self._session = session(ca_file, {"Content-Type": "application/x-protobuf", **headers})

    async def send(self, signal: str, request: bytes) -> None:
        async with self._session.post(f"{self._endpoint}/v1/{signal}", data=request) as answer:
            if answer.status < 300:
                return
            said = f"{answer.status}: {(await answer.text())[:200]}"
            if answer.status in _AGAIN_HTTP:
                raise aiohttp.ClientError(said)
            raise NeverTakenError(said)

    async def close(self) -> None:
        await self._session.close()


class GrpcTransport:
    """One channel, opened at the first export; it connects again by itself."""

    def __init__(self, endpoint: str, headers: Mapping[str, str], ca_file: str) -> None:
        self._endpoint = endpoint
        self._metadata = tuple((name.lower(), value) for name, value in headers.items())
        self._ca_file = ca_file
        self._channel: Any = None

    async def send(self, signal: str, request: bytes) -> None:
        if self._channel is None:
            self._channel = await self._open()
        call = self._channel.unary_unary(SIGNALS[signal])
        try:
            await call(request, metadata=self._metadata)
        except grpc.aio.AioRpcError as error:
            said = f"{error.code().name}: {error.details()}"
            if error.code() in _AGAIN:
                raise ConnectionError(said) from error
            raise NeverTakenError(said) from error

    async def _open(self) -> Any:
        parts = urlsplit(self._endpoint)
        if parts.scheme == "grpc":
            return grpc.aio.insecure_channel(parts.netloc)
        roots = await asyncio.to_thread(Path(self._ca_file).read_bytes) if self._ca_file else None
        return grpc.aio.secure_channel(parts.netloc, grpc.ssl_channel_credentials(roots))

    async def close(self) -> None:
        if self._channel is not None:
            await self._channel.close()
