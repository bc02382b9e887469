"""Just enough HTTP/1.1 for the demo's services and client: messages with a Content-Length, connections kept alive.

Why not aiohttp, which the control plane has anyway: eight processes start at once on a newcomer's laptop, and each of
them is up in a tenth of the time with a third of the memory. Behind an Envoy nothing else ever talks to them.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping

import attrs

MAX_BODY = 1 << 20


class BadMessageError(Exception):
    """The peer sent what this module does not speak."""


@attrs.frozen
class Message:
    """A request or a response; header names in lower case."""

    start: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> str:
        """Of a request, without the query. Raises BadMessageError."""
        return _word(self.start, 1).partition("?")[0]

    @property
    def status(self) -> int:
        """Of a response. Raises BadMessageError."""
        return int(_word(self.start, 1))

    @property
    def last(self) -> bool:
        """Whether the peer closes the connection after it."""
        return self.headers.get("connection", "").lower() == "close"


def parse_head(head: bytes) -> Message:
    """Start line and headers, without the body. Raises BadMessageError."""
    start, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    headers = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise BadMessageError(f"header without a colon: {line!r}")
        headers[name.strip().lower()] = value.strip()
    return Message(start, headers, b"")


def response(status: int, body: bytes) -> bytes:
    """A whole response of JSON."""
    reason = {200: "OK", 502: "Bad Gateway"}.get(status, "")
    head = f"HTTP/1.1 {status} {reason}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode("latin-1") + body


def request(host: str, path: str) -> bytes:
    """A whole GET."""
    return f"GET {path} HTTP/1.1\r\nhost: {host}\r\n\r\n".encode("latin-1")


async def read_message(reader: asyncio.StreamReader) -> Message | None:
    """The next one; None if the peer closed the connection before it. Raises BadMessageError or OSError."""
    try:
        found = parse_head(await reader.readuntil(b"\r\n\r\n"))
        length = _length(found.headers)
        return attrs.evolve(found, body=await reader.readexactly(length)) if length else found
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise BadMessageError("the connection ended inside a message") from error
        return None
    except asyncio.LimitOverrunError as error:
        raise BadMessageError("headers too long") from error


def _length(headers: Mapping[str, str]) -> int:
    text = headers.get("content-length", "0")
    if "transfer-encoding" in headers or not text.isdigit() or int(text) > MAX_BODY:
        raise BadMessageError("a message needs a Content-Length of at most a megabyte")
    return int(text)


def _word(line: str, position: int) -> str:
    words = line.split(" ")
    if len(words) <= position or not words[position]:
        raise BadMessageError(f"not a start line: {line!r}")
    return words[position]


Handler = Callable[[Message], Awaitable[tuple[int, bytes]]]


async def serve_connection(handler: Handler, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers one request after the other until the peer has had enough."""
    with contextlib.suppress(OSError, BadMessageError, asyncio.CancelledError):
        while (message := await read_message(reader)) is not None:
            status, body = await handler(message)
            writer.write(response(status, body))
            await writer.drain()
            if message.last:
                break
    writer.close()


class Connection:
    """A connection to one address that is kept alive, and made anew when the peer closed it in the meantime."""

    def __init__(self, address: str, port: int) -> None:
        self._address = address
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def get(self, host: str, path: str = "/") -> tuple[int, bytes]:
        """Status and body. Raises OSError or BadMessageError; a cancelled request takes the connection with it."""
        done = False
        try:
            reused = self._streams is not None
            answer = await self._exchange(host, path)
            if answer is None and reused:
                self.close()
                answer = await self._exchange(host, path)
            if answer is None:
                raise ConnectionResetError("the connection was closed without an answer")
            done = not answer.last
            return answer.status, answer.body
        finally:
            if not done:
                self.close()

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def _exchange(self, host: str, path: str) -> Message | None:
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._address, self._port)
        reader, writer = self._streams
        writer.write(request(host, path))
        return await read_message(reader)
