"""One xDS stream between grpc and a session: reads requests, writes responses, tells metrics and log what happened.

Two tasks a stream, one that reads and one that waits for changes, take turns with the session and the writing. So a
proxy that reads slowly holds its own turn only, its requests are not read meanwhile, and all changes of that time
become one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Generic, TypeVar

import attrs
import grpc
import grpc.aio
from google.protobuf.message import DecodeError

from pilot.envoy import discovery
from pilot.xds.access import StreamError
from pilot.xds.cache import Encodings
from pilot.xds.directory import Subscription
from pilot.xds.metrics import XdsMetrics, short
from pilot.xds.protocol import (
    Acked,
    DeltaDiscoveryRequest,
    DeltaResponse,
    DeltaSession,
    DiscoveryRequest,
    Event,
    Nacked,
    Node,
    Response,
    SotwSession,
    StaleNonce,
    UnknownType,
)
from pilot.xds.protocol.session import Session
from pilot.xds.resource import SDS
from pilot.xds.syncz import ConnectionStatus

log = logging.getLogger(__name__)

Q = TypeVar("Q", bound=DiscoveryRequest | DeltaDiscoveryRequest)
R = TypeVar("R", bound=Response | DeltaResponse)


@attrs.frozen
class Variant(Generic[Q, R]):
    """State of the world or delta: how its messages are read and written, and who decides."""

    name: str
    decode: Callable[[bytes, bool], Q]
    encode: Callable[[R], bytes]
    open: Callable[[Sequence[str]], Session[Q, Any, R]]


SOTW = Variant("sotw", discovery.decode_request, discovery.encode_response, SotwSession)
DELTA = Variant("delta", discovery.decode_delta_request, discovery.encode_delta_response, DeltaSession)


class Rejections:
    """Which NACKs were logged, so that each is news once per proxy, type and error. Remembers the latest `limit`."""

    def __init__(self, limit: int = 4096) -> None:
        self._limit = limit
        self._seen: dict[tuple[str, str, str], None] = {}

    def report(self, node: Node, event: Nacked) -> None:
        key = (node.id, event.type_url, event.error)
        if key in self._seen:
            return
        self._seen[key] = None
        if len(self._seen) > self._limit:
            del self._seen[next(iter(self._seen))]
        objects = tuple(f"{each.name} ({each.caused_by})" if each.caused_by else each.name for each in event.culprits)
        log.warning(
            "proxy %s rejected %s %s: %s; caused by %s; it goes on with what it accepted before",
            node.id,
            short(event.type_url).upper(),
            event.version,
            event.error,
            ", ".join(objects) or "an object the error does not name",
            extra={
                "proxy": node.id,
                "xds_type": short(event.type_url),
                "version": event.version,
                "error": event.error,
                "objects": objects,
            },
        )


@attrs.frozen
class Shared:
    """What all connections of one server have in common."""

    metrics: XdsMetrics
    encodings: Encodings
    rejections: Rejections


class Connection(Generic[Q, R]):
    """One stream whose node was accepted. `run` returns when the proxy closes it, and raises StreamError otherwise."""

    def __init__(
        self,
        context: Any,
        variant: Variant[Q, R],
        types: Sequence[str],
        node: Node,
        subscription: Subscription,
        connected_at: datetime,
        shared: Shared,
        address: str,
    ) -> None:
        self._context = context
        self._variant = variant
        self._session = variant.open(types)
        self._node = node
        self._subscription = subscription
        self._connected_at = connected_at
        self._shared = shared
        self._address = address
        self._turn = asyncio.Lock()
        self._changed = asyncio.Event()
        self._changed_at = 0.0
        self._loop = asyncio.get_running_loop()
        self._tasks: tuple[asyncio.Task[None], ...] = ()
        self._ending = False
        self._unknown_types: set[str] = set()
        self._withheld: set[str] = set()
        self._implied = types[0] if len(types) == 1 else ""

    def status(self) -> ConnectionStatus:
        return ConnectionStatus(
            node=self._node,
            address=self._address,
            variant=self._variant.name,
            connected_at=self._connected_at,
            types=self._session.status(),
        )

    async def run(self, first: Q) -> None:
        """Serves the stream; `first` is the request that named the node."""
        self._subscription.on_change(self._wake)
        resources = self._subscription.resources()
        if resources is not None:
            self._session.update(resources)
        self._tasks = (self._loop.create_task(self._read(first)), self._loop.create_task(self._push()))
        try:
            done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._ending:
            raise StreamError(grpc.StatusCode.UNAVAILABLE, "this control plane is stopping; connect to another")
        for task in done:
            task.result()

    def end(self) -> None:
        """The server stops: the proxy is asked to connect elsewhere."""
        self._ending = True
        for task in self._tasks:
            task.cancel()

    def _wake(self) -> None:
        if not self._changed.is_set():
            self._changed_at = self._loop.time()
            self._changed.set()

    async def _read(self, first: Q) -> None:
        request = first
        while True:
            async with self._turn:
                self._audit(request)
                await self._say(self._session.request(request))
            data = await self._context.read()
            if data is grpc.aio.EOF:
                return
            request = decode(self._variant, data, with_node=False)

    def _audit(self, request: Q) -> None:
        """Notes secrets that are asked for and withheld, each once a stream; they are just not in the answer."""
        if (request.type_url or self._implied) != SDS:
            return
        new = [name for name in request.asked if name not in self._withheld]
        for name, reason in self._subscription.withheld(new).items() if new else ():
            self._shared.metrics.withheld_secret()
            if len(self._withheld) < _WITHHELD_KNOWN:
                self._withheld.add(name)
                log.warning(
                    "audit: secret %.200r was withheld from proxy %s at %s: %s",
                    name,
                    self._node.id,
                    self._address,
                    reason,
                    extra={"audit": "secret withheld", "proxy": self._node.id, "secret": name[:200]},
                )

    async def _push(self) -> None:
        while True:
            await self._changed.wait()
            async with self._turn:
                since = self._changed_at
                self._changed.clear()
                resources = self._subscription.resources()
                if resources is None:
                    continue
                responses = self._session.update(resources)
                await self._say(responses)
            if responses:
                self._shared.metrics.converged(self._loop.time() - since)

    async def _say(self, responses: tuple[R, ...]) -> None:
        for event in self._session.take_events():
            self._note(event)
        for response in responses:
            body = self._shared.encodings.get(response, self._variant.encode)
            try:
                await self._context.write(body)
            except BaseException:
                self._shared.metrics.send_failed(response.type_url)
                raise
            self._shared.metrics.pushed(response.type_url)

    def _note(self, event: Event) -> None:
        metrics, proxy = self._shared.metrics, self._node.id
        match event:
            case Acked(type_url):
                metrics.acked(type_url)
                metrics.accepts(type_url, proxy)
            case Nacked(type_url):
                metrics.rejected(type_url, proxy)
                self._shared.rejections.report(self._node, event)
            case StaleNonce(type_url):
                metrics.stale_nonce(type_url)
            case UnknownType(type_url):
                metrics.unknown_type()
                self._note_unknown(type_url)

    def _note_unknown(self, type_url: str) -> None:
        if type_url in self._unknown_types or len(self._unknown_types) >= _UNKNOWN_TYPES_LOGGED:
            return
        self._unknown_types.add(type_url)
        log.info(
            "proxy %s asks for %r, which is not served here; the request is ignored",
            self._node.id,
            type_url,
            extra={"proxy": self._node.id, "xds_type": type_url},
        )


_UNKNOWN_TYPES_LOGGED = 16
_WITHHELD_KNOWN = 64


def decode(variant: Variant[Q, R], data: bytes, with_node: bool = True) -> Q:
    """Raises StreamError for bytes that are no request of the variant."""
    try:
        return variant.decode(data, with_node)
    except (DecodeError, ValueError) as error:
        raise StreamError(
            grpc.StatusCode.INVALID_ARGUMENT, f"not a discovery request of variant {variant.name}: {error}"
        ) from error
