"""The small HTTP of services and client, against each other and against what does not speak it."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from mesh_adapter.demo.http1 import (
    BadMessageError,
    Connection,
    Handler,
    Message,
    parse_head,
    read_message,
    request,
    response,
    serve_connection,
)

LOOPBACK = "127.0.0.1"


@asynccontextmanager
async def served(handler: Handler) -> AsyncIterator[int]:
    """The port of a server that answers so."""
    server = await asyncio.start_server(functools.partial(serve_connection, handler), LOOPBACK, 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def echo(message: Message) -> tuple[int, bytes]:
    return (502 if message.path == "/bad" else 200), f"{message.headers['host']} {message.path}".encode()


def reader_of(data: bytes) -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    return reader


async def test_requests_share_a_connection() -> None:
    async with served(echo) as port:
        connection = Connection(LOOPBACK, port)
        assert await connection.get("web.demo", "/a?b=c") == (200, b"web.demo /a")
        assert await connection.get("web.demo", "/bad") == (502, b"web.demo /bad")
        connection.close()


async def test_a_connection_closed_meanwhile_is_made_anew() -> None:
    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_message(reader)
        writer.write(response(200, b"hello"))
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(once, LOOPBACK, 0) as server:
        connection = Connection(LOOPBACK, server.sockets[0].getsockname()[1])
        for _ in range(3):
            assert await connection.get("web.demo") == (200, b"hello")
            await asyncio.sleep(0.02)
        connection.close()


async def test_a_server_that_never_answers_is_an_error() -> None:
    async def rude(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(rude, LOOPBACK, 0) as server:
        connection = Connection(LOOPBACK, server.sockets[0].getsockname()[1])
        with pytest.raises(OSError):  # noqa: PT011  the kernel decides which
            await connection.get("web.demo")


async def test_the_end_between_messages_is_no_error_inside_one_it_is() -> None:
    assert await read_message(reader_of(b"")) is None
    for data in (b"GET / HT", b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel"):
        with pytest.raises(BadMessageError):
            await read_message(reader_of(data))


@pytest.mark.parametrize(
    "headers", ["transfer-encoding: chunked", "content-length: -1", "content-length: 99999999999", "no colon"]
)
async def test_what_is_not_spoken_is_refused(headers: str) -> None:
    with pytest.raises(BadMessageError):
        await read_message(reader_of(f"HTTP/1.1 200 OK\r\n{headers}\r\n\r\n".encode()))


def test_heads() -> None:
    found = parse_head(request("web.demo", "/a"))
    assert (found.start, found.headers, found.path, found.last) == (
        "GET /a HTTP/1.1",
        {"host": "web.demo"},
        "/a",
        False,
    )
    assert parse_head(response(502, b"x").partition(b"x")[0]).status == 502
    assert parse_head(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n").last
    with pytest.raises(BadMessageError):
        _ = parse_head(b"nonsense\r\n\r\n").path
