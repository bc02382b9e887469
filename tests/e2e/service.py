"""A workload for the tests: answers HTTP with what it was asked, or echoes TCP; run as a child process.

`python service.py NAME PORT http|tcp`, standard library only, so that it starts in a moment. Every answer to HTTP is
JSON: the instance's name, and the method, path and headers as they arrived. What lies below `/_service/` is not traffic
but the test's own access, past the mesh: `counts` tells how many requests came by path, `seen` the headers of those to
`?path=`, and a POST to `behave` how to answer from now on (see `Behaviour`).
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import dataclasses
import json
import sys
from collections.abc import Mapping
from urllib.parse import parse_qs, urlsplit

OWN = "/_service/"


@dataclasses.dataclass
class Behaviour:
    """How requests are answered. `failures` of them get `status`, all for -1; each waits `delay` seconds first.

    Requests that wait are answered at once when another behaviour takes over. `close` ends connections instead.
    """

    status: int = 503
    failures: int = 0
    delay: float = 0.0
    close: bool = False
    over: asyncio.Event = dataclasses.field(default_factory=asyncio.Event)

    async def wait(self) -> None:
        """The delay of a request."""
        if self.delay:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.over.wait(), self.delay)

    def next_status(self) -> int:
        """The status of the request at hand; counts a failure down."""
        if not self.failures:
            return 200
        self.failures -= self.failures > 0
        return self.status


@dataclasses.dataclass
class Request:
    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path


class HttpService:
    def __init__(self, name: str) -> None:
        self._name = name
        self._counts: collections.Counter[str] = collections.Counter()
        self._seen: collections.deque[Request] = collections.deque(maxlen=1000)
        self._behaviour = Behaviour()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, kept open for as many requests as come."""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while request := await _read_request(reader):
                status, body = self._own(request) if request.path.startswith(OWN) else await self._answer(request)
                if not status:
                    break
                writer.write(_response(status, body))
                await writer.drain()
        writer.close()

    async def _answer(self, request: Request) -> tuple[int, object]:
        self._counts[request.path] += 1
        self._seen.append(request)
        behaviour = self._behaviour
        status = behaviour.next_status()
        await behaviour.wait()
        if behaviour.close:
            return 0, None
        told = {"method": request.method, "path": request.target, "headers": request.headers}
        return status, {"instance": self._name, **told}

    def _own(self, request: Request) -> tuple[int, object]:
        asked = request.path.removeprefix(OWN)
        if asked == "counts":
            return 200, self._counts
        if asked == "seen":
            (path,) = parse_qs(urlsplit(request.target).query)["path"]
            return 200, [each.headers for each in self._seen if each.path == path]
        if asked == "behave":
            self._behaviour.over.set()
            self._behaviour = Behaviour(**json.loads(request.body))
            return 200, "so be it"
        return 404, f"nothing below {OWN} is called {asked}"


class TcpService:
    """Says its name on one line as soon as a connection's first bytes came, then echoes all that comes."""

    def __init__(self, name: str) -> None:
        self._name = name

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            greeting = f"{self._name}\n".encode()
            while data := await reader.read(65536):
                writer.write(greeting + data)
                await writer.drain()
                greeting = b""
        writer.close()


async def _read_request(reader: asyncio.StreamReader) -> Request | None:
    """The next request of a connection; None when the client has closed it."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    method, target, _ = first.split(" ")
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        key = name.lower()
        headers[key] = f"{headers[key]},{value.strip()}" if key in headers else value.strip()
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(method, target, headers, body)


def _response(status: int, body: object) -> bytes:
    text = json.dumps(body).encode()
    lines = (
        f"HTTP/1.1 {status} Told",
        "content-type: application/json",
        "x-plain: yes",
        f"content-length: {len(text)}",
    )
    return "\r\n".join((*lines, "", "")).encode() + text


async def main(name: str, port: int, kind: str, address: str = "127.0.0.1") -> None:
    """Serves until the process is ended."""
    service = HttpService(name) if kind == "http" else TcpService(name)
    server = await asyncio.start_server(service.serve, address, port, backlog=512)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:]))
