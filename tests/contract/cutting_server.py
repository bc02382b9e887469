"""An HTTP server whose connections can all be cut at once, as by the death of its process: under the fakes here."""

from __future__ import annotations

import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Generic, TypeVar

Owner = TypeVar("Owner")


class CuttingServer(ThreadingHTTPServer, Generic[Owner]):
    """Listens on loopback; port 0 is any. `owner` is what its handlers answer from."""

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, port: int, handler: type[CuttableHandler], owner: Owner) -> None:
        self.owner = owner
        self.open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), handler)

    def cut_all(self) -> None:
        for connection in list(self.open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes while it is answered is what these tests are about."""


class CuttableHandler(BaseHTTPRequestHandler):
    """Keeps its connection among those that can be cut."""

    protocol_version = "HTTP/1.1"
    server: CuttingServer[Any]

    def setup(self) -> None:
        super().setup()
        self.server.open.add(self.connection)

    def finish(self) -> None:
        self.server.open.discard(self.connection)
        super().finish()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's own name
        """Nothing: the tests say what matters."""
