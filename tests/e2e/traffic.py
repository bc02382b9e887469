"""Clients of the mesh: single requests, batches, and a load that goes on in the background; all by Host header.

They speak to a sidecar's outbound port over connections that are kept alive, as a workload's client library would.
Nothing here retries: what fails in the mesh is to be seen.
"""

from __future__ import annotations

import collections
import contextlib
import json
import socket
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, BinaryIO

LOOPBACK = "127.0.0.1"
TIMEOUT = 15.0


@dataclass(frozen=True)
class Reply:
    """An answer as it came over the wire, and how long it took. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    text: str
    seconds: float

    @property
    def told(self) -> Any:
        """What the workload says of the request that it got."""
        return json.loads(self.text)

    @property
    def instance(self) -> str:
        """Who answered; empty if it was no workload."""
        with contextlib.suppress(ValueError, KeyError, TypeError):
            return str(self.told["instance"])
        return ""


class Connection:
    """One connection to a sidecar, opened at the first request, and anew after an error or when the sidecar closed it.

    Written on a bare socket, as the library's own client would take most of the time that a load test has. It reads
    what Envoy writes here: a head, and a body as long as the head says.
    """

    def __init__(self, port: int, host: str) -> None:
        self._port, self._host = port, host
        self._socket: socket.socket | None = None
        self._stream: BinaryIO | None = None

    def send(self, path: str = "/", method: str = "GET", headers: Mapping[str, str] | None = None) -> Reply:
        """OSError when no answer comes."""
        began = time.monotonic()
        fields = {"Host": self._host, **(headers or {})}
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
        try:
            self._opened().sendall("\r\n".join(lines).encode())
            status, told, body = self._read()
        except OSError:
            self.close()
            raise
        if told.get("connection") == "close":
            self.close()
        return Reply(status, told, body.decode(), time.monotonic() - began)

    def close(self) -> None:
        if self._socket is not None and self._stream is not None:
            self._stream.close()
            self._socket.close()
        self._socket = self._stream = None

    def _opened(self) -> socket.socket:
        if self._socket is None:
            self._socket = socket.create_connection((LOOPBACK, self._port), timeout=TIMEOUT)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._stream = self._socket.makefile("rb")
        return self._socket

    def _read(self) -> tuple[int, dict[str, str], bytes]:
        assert self._stream is not None
        first = self._stream.readline()
        if not first.endswith(b"\r\n"):
            raise ConnectionResetError(f"the connection ended instead of an answer, after {first!r}")
        told = {}
        for line in iter(self._stream.readline, b"\r\n"):
            if not line:
                raise ConnectionResetError("the connection ended within the head of an answer")
            name, _, value = line.decode("latin-1").partition(":")
            told[name.lower()] = value.strip()
        length = int(told.get("content-length", "0"))
        body = self._stream.read(length)
        if len(body) < length:
            raise ConnectionResetError(f"the connection ended after {len(body)} of {length} bytes")
        return int(first.split(b" ", 2)[1]), told, body


def batch(port: int, host: str, count: int, *, connections: int = 4, path: str = "/") -> list[Reply]:
    """`count` requests over so many connections at once."""
    left = iter(range(count))
    lock = threading.Lock()

    def work(_: int) -> list[Reply]:
        replies: list[Reply] = []
        with contextlib.closing(Connection(port, host)) as connection:
            while True:
                with lock:
                    if next(left, None) is None:
                        return replies
                replies.append(connection.send(path))

    with ThreadPoolExecutor(connections) as pool:
        return [reply for replies in pool.map(work, range(connections)) for reply in replies]


class Load:
    """Requests that go on in the background, from some threads with a pause after each request.

    `failures` says what came instead of a 200, `answered` counts the others by instance. Both may be read at any time,
    and are complete after `stop`.
    """

    def __init__(self, port: int, host: str, *, threads: int = 3, pause: float = 0.004) -> None:
        self.failures: list[str] = []
        self.answered: collections.Counter[str] = collections.Counter()
        self._port, self._host, self._pause = port, host, pause
        self._stopped = threading.Event()
        self.threads = threads
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(threads)]

    @property
    def count(self) -> int:
        """How many requests were answered well."""
        return self.answered.total()

    def stop(self) -> None:
        """Returns when all requests under way are answered."""
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _run(self) -> None:
        with contextlib.closing(Connection(self._port, self._host)) as connection:
            while not self._stopped.wait(self._pause):
                self._send(connection)

    def _send(self, connection: Connection) -> None:
        try:
            reply = connection.send("/load")
        except OSError as error:
            self.failures.append(repr(error))
            return
        if reply.status == 200:
            self.answered[reply.instance] += 1
        else:
            self.failures.append(f"{reply.status} {reply.text}")
