"""A WebSocket by hand (RFC 6455): an echoing server in a thread, and a client that speaks through a proxy."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import socket
import threading
from collections.abc import Iterator
from typing import BinaryIO

LOOPBACK = "127.0.0.1"
TIMEOUT = 15.0
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, CLOSE = 0x1, 0x8


@contextlib.contextmanager
def echoing(port: int) -> Iterator[None]:
    """A server that upgrades each connection and sends every message back."""
    server = socket.create_server((LOOPBACK, port))

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = server.accept()
                threading.Thread(target=_serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield
    finally:
        server.close()


def _serve(connection: socket.socket) -> None:
    with connection, connection.makefile("rb") as stream, contextlib.suppress(OSError, ValueError):
        headers = _head(stream)[1]
        connection.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Accept: " + _accept(headers["sec-websocket-key"].encode()) + b"\r\n\r\n"
        )
        while True:
            kind, message = _read(stream)
            connection.sendall(_frame(kind, message, masked=False))
            if kind == CLOSE:
                return


class RefusedError(OSError):
    """The other end did not upgrade; says how it answered."""


@contextlib.contextmanager
def opened(port: int, host: str, path: str = "/") -> Iterator[WebSocket]:
    """The client's end, upgraded; RefusedError if the other does not."""
    key = base64.b64encode(os.urandom(16))
    with socket.create_connection((LOOPBACK, port), timeout=TIMEOUT) as connection, connection.makefile("rb") as stream:
        connection.sendall(
            f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key.decode()}\r\n\r\n".encode()
        )
        first, headers = _head(stream)
        if " 101 " not in first or headers.get("sec-websocket-accept", "").encode() != _accept(key):
            raise RefusedError(first)
        yield WebSocket(connection, stream)


class WebSocket:
    """A connection that was upgraded."""

    def __init__(self, connection: socket.socket, stream: BinaryIO) -> None:
        self._socket = connection
        self._stream = stream

    def echo(self, message: bytes) -> bytes:
        self._socket.sendall(_frame(TEXT, message, masked=True))
        kind, answer = _read(self._stream)
        assert kind == TEXT
        return answer

    def close(self) -> int:
        """The kind of the frame that answers a close."""
        self._socket.sendall(_frame(CLOSE, b"", masked=True))
        kind, _ = _read(self._stream)
        return kind


def _accept(key: bytes) -> bytes:
    return base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())


def _head(stream: BinaryIO) -> tuple[str, dict[str, str]]:
    first = stream.readline().decode().rstrip()
    lines = (line.decode().rstrip() for line in iter(stream.readline, b"\r\n"))
    return first, {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _frame(kind: int, message: bytes, *, masked: bool) -> bytes:
    length = len(message)
    flag = 0x80 if masked else 0
    head = bytes([0x80 | kind, flag | length]) if length < 126 else bytes([0x80 | kind, flag | 126])
    if length >= 126:
        head += length.to_bytes(2, "big")
    mask = os.urandom(4) if masked else b""
    return head + mask + (_masked(message, mask) if masked else message)


def _read(stream: BinaryIO) -> tuple[int, bytes]:
    first, second = stream.read(2)
    length = second & 0x7F
    if length == 126:
        length = int.from_bytes(stream.read(2), "big")
    mask = stream.read(4) if second & 0x80 else b""
    message = stream.read(length)
    return first & 0x0F, _masked(message, mask) if mask else message


def _masked(message: bytes, mask: bytes) -> bytes:
    return bytes(byte ^ mask[index % 4] for index, byte in enumerate(message))
