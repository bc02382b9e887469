"""Sockets for `connection`: a gRPC server whose small calls cost tens of microseconds.

A route's handler gets the bytes of the request and gives those of the answer; what it means is its owner's affair. A
handler that need not wait costs no task, be it a coroutine or not. One task per call otherwise, ended with the call: by
its deadline, by the caller's cancellation, by the end of the connection.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable, Coroutine, Generator, Mapping
from functools import partial
from typing import Any, Protocol, cast

import attrs

from mixer.http2.connection import Connection
from mixer.http2.events import Cancelled, Ended, Event, Message, Started
from mixer.http2.headers import RequestHeaders
from mixer.http2.limits import Limits

_log = logging.getLogger(__name__)

INVALID_ARGUMENT, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE = 3, 4, 12, 13, 14


class RpcError(Exception):
    """Ends a call with a status other than OK: `status` is a number of google.rpc.Code."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


@attrs.frozen(eq=False)
class Call:
    """What a handler knows of its call besides the message."""

    path: str
    metadata: Mapping[str, str]
    deadline: float | None
    """When the caller gives up, in the loop's time; None if it never does."""
    peer: str
    """Address of the caller."""


class Inlet(Protocol):
    """One client-streaming call: its messages as they come, on the loop's thread, without waiting."""

    def received(self, body: bytes) -> None:
        """One message. Raises RpcError to end the call."""

    def ended(self) -> bytes:
        """The caller has said all: the answer."""

    def cancelled(self) -> None:
        """The caller went away; `ended` will not be called."""


Unary = Callable[[bytes, Call], bytes | Coroutine[Any, Any, bytes]]
"""A coroutine begins outside of a task: what needs one (`asyncio.timeout`) comes after a first `asyncio.sleep(0)`."""


@attrs.frozen
class Routes:
    """Handlers by path: `/package.Service/Method`."""

    unary: Mapping[str, Unary]
    inlets: Mapping[str, Callable[[Call], Inlet]] = attrs.field(factory=dict)


@attrs.define(eq=False)
class _Running:
    call: Call
    handler: Unary | None = None
    inlet: Inlet | None = None
    body: bytes | None = None
    task: asyncio.Task[None] | None = None


class Server:
    """Serves `routes` on any number of addresses."""

    def __init__(self, routes: Routes, limits: Limits | None = None) -> None:
        self._routes = routes
        self._limits = limits or Limits()
        self._listeners: list[asyncio.Server] = []
        self._sockets: set[_Socket] = set()

    async def listen(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> int:
        """The port it listens on (`port` 0: a free one). Raises OSError."""
        loop = asyncio.get_running_loop()
        listener = await loop.create_server(
            lambda: _Socket(self._routes, self._limits, self._sockets), host, port, ssl=tls, backlog=1024
        )
        self._listeners.append(listener)
        return int(listener.sockets[0].getsockname()[1])

    async def close(self, grace: float = 5.0) -> None:
        """Takes nothing new, answers what has begun for up to `grace` seconds, hangs up."""
        for listener in self._listeners:
            listener.close()
        for socket in list(self._sockets):
            socket.drain()
        until = asyncio.get_running_loop().time() + grace
        while any(socket.calls for socket in self._sockets) and asyncio.get_running_loop().time() < until:
            await asyncio.sleep(0.01)
        for socket in list(self._sockets):
            socket.hang_up()


class _Socket(asyncio.Protocol):
    """One connection's transport and calls."""

    def __init__(self, routes: Routes, limits: Limits, open_: set[_Socket]) -> None:
        self._loop = asyncio.get_running_loop()
        self._routes = routes
        self._open = open_
        self._limits = limits
        self._connection = Connection(limits, self._loop.time())
        self._transport: asyncio.Transport = cast("asyncio.Transport", None)
        self._running: dict[int, _Running] = {}
        self._peer = ""
        self._patience: asyncio.TimerHandle | None = None

    @property
    def calls(self) -> int:
        return self._connection.calls

    def drain(self) -> None:
        self._connection.drain()
        self._flush()

    def hang_up(self) -> None:
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        self._peer = peer[0] if isinstance(peer, tuple) else ""
        self._patience = self._loop.call_later(self._limits.first_call, self.hang_up)
        self._open.add(self)
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        self._open.discard(self)
        if self._patience:
            self._patience.cancel()
        for number in list(self._running):
            self._cancel(number)

    def pause_writing(self) -> None:
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        for event in self._connection.receive(data, self._loop.time()):
            self._follow(event)
        self._flush()

    def _flush(self) -> None:
        if out := self._connection.take():
            self._transport.write(out)
        if self._connection.closed:
            if self._connection.why:
                _log.info("connection of %s closed: %s", self._peer, self._connection.why)
            self._transport.close()
        elif self._connection.draining and not self._connection.calls:
            self._transport.close()

    def _follow(self, event: Event) -> None:
        match event:
            case Message(number, body, last):
                self._message(number, body, last)
            case Started(number, headers):
                self._start(number, headers)
            case Ended(number):
                self._ended(number)
            case Cancelled(number):
                self._cancel(number)

    def _start(self, number: int, headers: RequestHeaders) -> None:
        if self._patience:
            self._patience.cancel()
            self._patience = None
        deadline = None if headers.timeout is None else self._loop.time() + headers.timeout
        call = Call(headers.path, headers.metadata, deadline, self._peer)
        if (unary := self._routes.unary.get(headers.path)) is not None:
            self._running[number] = _Running(call, handler=unary)
        elif (inlet := self._routes.inlets.get(headers.path)) is not None:
            self._running[number] = _Running(call, inlet=inlet(call))
        else:
            self._connection.finish(number, UNIMPLEMENTED, f"unknown method {headers.path[:200]}")

    def _message(self, number: int, body: bytes, last: bool) -> None:
        running = self._running.get(number)
        if running is None:
            return
        if running.inlet is not None:
            if self._guarded(number, running.inlet.received, body) and last:
                self._ended(number)
        elif running.body is not None:
            self._finish(number, INVALID_ARGUMENT, "more than one message in a unary call")
        else:
            running.body = body
            if last:
                self._ended(number)

    def _ended(self, number: int) -> None:
        running = self._running.get(number)
        if running is None:
            return
        if running.inlet is not None:
            self._guarded(number, self._close_inlet, number, running.inlet)
        elif running.body is None:
            self._finish(number, INVALID_ARGUMENT, "a unary call without a message")
        elif running.handler is not None:
            self._guarded(number, self._run, number, running, running.handler, running.body)

    def _close_inlet(self, number: int, inlet: Inlet) -> None:
        self._connection.answer(number, inlet.ended())
        self._finish(number)

    def _run(self, number: int, running: _Running, handler: Unary, body: bytes) -> None:
        answer = handler(body, running.call)
        if not isinstance(answer, bytes):
            try:
                waits_for = answer.send(None)
            except StopIteration as done:
                answer = done.value
            else:
                running.task = self._loop.create_task(self._wait(number, running, _Begun(answer, waits_for)))
                return
        self._connection.answer(number, answer)
        self._finish(number)

    async def _wait(self, number: int, running: _Running, answer: _Begun) -> None:
        try:
            async with asyncio.timeout_at(running.call.deadline):
                body = await answer
        except TimeoutError:
            self._finish(number, DEADLINE_EXCEEDED, "the caller's deadline has passed")
        except RpcError as error:
            self._finish(number, error.status, error.message)
        except Exception:  # noqa: BLE001 a handler is anybody's code: its fault ends its own call, in the log
            _log.exception("%s failed", running.call.path)
            self._finish(number, INTERNAL, "internal error")
        else:
            self._connection.answer(number, body)
            self._finish(number)
        self._flush()

    def _guarded(self, number: int, step: Callable[..., None], *arguments: Any) -> bool:
        """Whether the step went well; else the call has ended with its status."""
        try:
            step(*arguments)
        except RpcError as error:
            self._finish(number, error.status, error.message)
        except Exception:  # noqa: BLE001 a handler is anybody's code: its fault ends its own call, in the log
            _log.exception("a handler failed")
            self._finish(number, INTERNAL, "internal error")
        else:
            return True
        return False

    def _finish(self, number: int, status: int = 0, message: str = "") -> None:
        self._running.pop(number, None)
        self._connection.finish(number, status, message)

    def _cancel(self, number: int) -> None:
        running = self._running.pop(number, None)
        if running is None:
            return
        if running.task is not None:
            running.task.cancel()
        if running.inlet is not None:
            running.inlet.cancelled()


@attrs.frozen(eq=False)
class _Begun:
    """The rest of a coroutine that waits for something: awaited once, in a task."""

    coroutine: Coroutine[Any, Any, bytes]
    waits_for: Any
    """What it gave when it first waited: a future, or nothing for a turn of the loop."""

    def __await__(self) -> Generator[Any, Any, bytes]:
        waits_for = self.waits_for
        while True:
            step: Callable[[], Any]
            try:
                sent = yield waits_for
            except BaseException as error:  # noqa: BLE001 a cancellation, say: the coroutine's own affair
                step = partial(self.coroutine.throw, error)
            else:
                step = partial(self.coroutine.send, sent)
            try:
                waits_for = step()
            except StopIteration as done:
                answer: bytes = done.value
                return answer
