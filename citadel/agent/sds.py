"""Envoy's secret discovery service on the agent's socket: hands over the workload's own certificate, and pushes news.

The conversation itself is `secret_stream`; this is its gRPC edge.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import grpc
import grpc.aio
from google.protobuf.message import DecodeError

from citadel.agent.keeper import Keeper
from citadel.agent.secret_stream import DeltaStream, SecretStream, SotwStream
from citadel.agent.secrets import secrets

log = logging.getLogger(__name__)

SERVICE = "envoy.service.secret.v3.SecretDiscoveryService"


class SecretService:
    """`refused` counts the secrets that were asked for and are not the workload's."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self._known = secrets(keeper.holdings)
        self.refused = 0
        keeper.listen(self._changed)

    def handler(self) -> grpc.GenericRpcHandler:
        methods = {
            "StreamSecrets": grpc.stream_stream_rpc_method_handler(self._method(SotwStream)),
            "DeltaSecrets": grpc.stream_stream_rpc_method_handler(self._method(DeltaStream)),
        }
        return grpc.method_handlers_generic_handler(SERVICE, methods)

    def _changed(self) -> None:
        self._known = secrets(self._keeper.holdings)

    def _method(self, make: Callable[[], SecretStream]) -> Callable[[Any, Any], Any]:
        async def serve(_: object, context: Any) -> None:
            try:
                await self._serve(make(), context)
            except (DecodeError, ValueError) as error:
                await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"not a request for secrets: {error}")

        return serve

    async def _serve(self, stream: SecretStream, context: Any) -> None:
        """One task reads and the other waits for changes; what they bring is answered in turn."""
        news = asyncio.Event()
        stop = self._keeper.listen(news.set)
        reading = asyncio.ensure_future(context.read())
        waiting = asyncio.ensure_future(news.wait())
        try:
            while True:
                await asyncio.wait((reading, waiting), return_when=asyncio.FIRST_COMPLETED)
                if waiting.done():
                    news.clear()
                    waiting = asyncio.ensure_future(news.wait())
                    await self._say(stream, context, stream.update(self._known))
                if reading.done():
                    data = reading.result()
                    if data is grpc.aio.EOF:
                        return
                    reading = asyncio.ensure_future(context.read())
                    await self._say(stream, context, stream.request(data, self._known))
        finally:
            stop()
            for each in (reading, waiting):
                each.cancel()
            await asyncio.gather(reading, waiting, return_exceptions=True)

    async def _say(self, stream: SecretStream, context: Any, answer: bytes | None) -> None:
        self._audit(stream)
        if answer is not None:
            await context.write(answer)

    def _audit(self, stream: SecretStream) -> None:
        names, stream.refused = stream.refused, []
        for name in names:
            self.refused += 1
            log.warning(
                "audit: a secret was asked for that is not this workload's: %r; it was not given (%d so far)",
                name[:200],
                self.refused,
            )
        if stream.rejected:
            log.warning("Envoy rejected a secret: %s; it goes on with the former", stream.rejected[:500])
            stream.rejected = ""
