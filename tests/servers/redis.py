"""A Redis server on loopback."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import BinaryIO

from tests.servers.binaries import require
from tests.servers.ports import free_port
from tests.servers.process import Process
from tests.servers.server import Server

LOOPBACK = "127.0.0.1"


class Redis(Server):
    """One Redis, in memory unless persistent; with a password when one is given."""

    def __init__(self, folder: Path, *, persistent: bool = False, password: str | None = None) -> None:
        super().__init__(folder)
        self.keeps_data = persistent
        self.password = password
        self.port = free_port()

    @property
    def addr(self) -> str:
        """host:port."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def url(self) -> str:
        """As clients' libraries take it."""
        secret = f":{self.password}@" if self.password else ""
        return f"redis://{secret}{self.addr}/0"

    def command(self, *words: str) -> str | int | None:
        """One command, answered by a simple or bulk string, a number or nil; raises RuntimeError for an error."""
        sent = [("AUTH", self.password)] if self.password else []
        with socket.create_connection((LOOPBACK, self.port), timeout=5) as connection:
            connection.sendall(b"".join(_request(command) for command in (*sent, words)))
            with connection.makefile("rb") as answers:
                results = [_answer(answers) for _ in (*sent, words)]
        return results[-1]

    def _make_process(self) -> Process:
        options = {"port": str(self.port), "bind": LOOPBACK, "dir": str(self.data), "save": "", "daemonize": "no"}
        options |= {"appendonly": "yes", "appendfsync": "always"} if self.keeps_data else {}
        options |= {"requirepass": self.password} if self.password else {}
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        return Process("redis-server", [str(require("redis-server")), *words], folder=self.folder)

    def _wait_ready(self, process: Process) -> None:
        process.wait_until(lambda: self.command("PING") == "PONG", "answering PING")


def _request(words: tuple[str, ...]) -> bytes:
    """A command in RESP: an array of bulk strings."""
    encoded = [word.encode() for word in words]
    parts = [b"*%d\r\n" % len(encoded), *(b"$%d\r\n%s\r\n" % (len(word), word) for word in encoded)]
    return b"".join(parts)


def _answer(stream: BinaryIO) -> str | int | None:
    """One answer in RESP; an array is of no use to the tests here."""
    kind, line = (text := stream.readline().decode().rstrip("\r\n"))[:1], text[1:]
    if kind == "+":
        return line
    if kind == ":":
        return int(line)
    if kind == "$":
        return None if line == "-1" else stream.read(int(line) + 2)[:-2].decode()
    if kind == "-" and not line.startswith("LOADING"):
        raise RuntimeError(f"Redis: {line}")
    raise ConnectionError(f"Redis answered {text!r}")
