"""Servers that a test serves itself, a thread each connection: where what arrives matters more than who answers.

They see the very bytes that a sidecar sends: the PROXY protocol's header, a TLS handshake, the request of a tunnel.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from typing import BinaryIO

from tests.e2e.world import LOOPBACK, Mesh

Serve = Callable[[BinaryIO, socket.socket], None]
V2_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"


@contextlib.contextmanager
def peer(serve: Serve, context: ssl.SSLContext | None = None) -> Iterator[int]:
    """A server of one test; its port. `serve` is given each connection, and what it reads from, after any handshake."""
    listening = socket.create_server((LOOPBACK, 0))
    threading.Thread(target=_accept, args=(listening, serve, context), daemon=True).start()
    try:
        yield int(listening.getsockname()[1])
    finally:
        listening.close()


def _accept(listening: socket.socket, serve: Serve, context: ssl.SSLContext | None) -> None:
    with contextlib.suppress(OSError):
        while True:
            connection, _ = listening.accept()
            threading.Thread(target=_run, args=(connection, serve, context), daemon=True).start()


def _run(connection: socket.socket, serve: Serve, context: ssl.SSLContext | None) -> None:
    with contextlib.suppress(OSError), connection:
        secured = context.wrap_socket(connection, server_side=True) if context else connection
        with secured, secured.makefile("rb") as stream:
            serve(stream, secured)


def head(stream: BinaryIO) -> list[str]:
    """The lines of a request's head; none at the end of the connection."""
    lines = []
    for line in iter(stream.readline, b"\r\n"):
        if not line:
            return []
        lines.append(line.decode().rstrip("\r\n"))
    return lines


def answer_http(stream: BinaryIO, connection: socket.socket) -> None:
    """200 to every request."""
    while head(stream):
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")


def proxy_header(stream: BinaryIO) -> bytes:
    """The PROXY protocol's header, of either version, as it came."""
    begin = stream.read(len(V2_SIGNATURE))
    if begin != V2_SIGNATURE:
        return begin + stream.readline()
    fixed = stream.read(4)
    return begin + fixed + stream.read(int.from_bytes(fixed[2:], "big"))


def register(mesh: Mesh, service: str, port: int, *, kind: str = "http", **meta: str) -> None:
    """Tell Consul of a peer."""
    body = {"Name": service, "Address": LOOPBACK, "Port": port, "Meta": {"protocol": kind, **meta}}
    mesh.consul.put("/v1/agent/service/register", body)
