"""A thin client of Consul's HTTP API: what a long-lived watcher needs and python-consul2 does not give.

Used by `adapters.consul.watch` from many threads, and fed to python-consul2 as its transport by
`adapters.consul.library`. Why not python-consul2 alone: docs/adr/0003-consul-client.md. It knows HTTP, tokens and TLS;
it does not know what an answer means.
"""

from __future__ import annotations

import contextlib
import email.utils
import os
import socket
import ssl
import threading
import time
import urllib.parse
import weakref
from collections.abc import Mapping
from typing import TYPE_CHECKING

import attrs
import urllib3

from adapters.consul.blocking import read_timeout

if TYPE_CHECKING:
    from urllib3._base_connection import BaseHTTPConnection as _Connection

CONNECT_TIMEOUT = 3.0
SHORT_TIMEOUT = 10.0
DEFAULT_PORT = 8500


class ConsulError(Exception):
    """Consul gave no answer that can be used. `retry_after`: seconds that it asked to be left alone."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class UnreachableError(ConsulError):
    """No HTTP answer: refused, cut, timed out, or TLS failed."""


class DeniedError(ConsulError):
    """The token is missing, unknown, expired, or not allowed this."""


class OverloadedError(ConsulError):
    """429 or 503: a rate or connection limit; asking again soon makes it worse."""


class NoLeaderError(ConsulError):
    """The servers have no leader at the moment."""


class AnswerError(ConsulError):
    """Any other status that is no success."""


@attrs.frozen
class Address:
    """Where the agent's HTTP API is."""

    scheme: str
    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """From `host`, `host:port`, `[::1]:port` or a URL with http or https; ValueError for all else."""
        parts = urllib.parse.urlsplit(text if "://" in text else f"http://{text}")
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path not in ("", "/"):
            raise ValueError(f"not an address of Consul: {text!r} (write http://127.0.0.1:8500 or host:port)")
        return cls(parts.scheme, parts.hostname, parts.port or DEFAULT_PORT)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


@attrs.frozen
class Access:
    """How to reach Consul. Nothing is taken from the environment: that is the command line's business.

    `token_file` is read again when it changes and wins over `token`.
    """

    address: Address
    token: str = attrs.field(default="", repr=False)
    token_file: str = ""
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""

    def tls(self) -> ssl.SSLContext | None:
        """The TLS side of it; None over plain HTTP. OSError or ssl.SSLError if a file can't be used."""
        if self.address.scheme == "http":
            return None
        context = ssl.create_default_context(cafile=self.ca_file or None)
        if self.cert_file:
            context.load_cert_chain(self.cert_file, self.key_file or None)
        return context


@attrs.frozen
class Answer:
    """A successful answer and what its headers say of it."""

    body: bytes
    index: int | None = None
    known_leader: bool = True
    last_contact: float = 0.0
    """Seconds since the server that answered heard of its leader; of stale reads only."""
    filtered: bool = False
    """The token may not see everything: the list is shorter than what Consul knows."""
    backend: str = ""
    status: int = 200


class Client:
    """Connections to one agent, at most `connections` at a time; callers beyond that wait. Thread-safe."""

    def __init__(self, access: Access, connections: int) -> None:
        self.access = access
        self._token = _Token(access)
        self._open: weakref.WeakSet[_Connection] = weakref.WeakSet()
        self._closed = threading.Event()
        self._pool = self._make_pool(connections)

    def get(
        self, path: str, params: Mapping[str, str] | None = None, *, index: int | None = None, wait: float = 0.0
    ) -> Answer:
        """Read `path`; with `index` a blocking query of at most `wait` seconds. Raises a ConsulError."""
        query = dict(params or {})
        timeout = SHORT_TIMEOUT
        if index is not None:
            query |= {"index": str(index), "wait": f"{wait:.3f}s"}
            timeout = read_timeout(wait)
        # A blocking query is never repeated as it is: an agent that restarted would wait for an index it never reaches.
        return checked(self.send("GET", path, query, timeout=timeout, again=index is None))

    def send(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = SHORT_TIMEOUT,
        again: bool = False,
    ) -> urllib3.BaseHTTPResponse:
        """One request, whatever its status; UnreachableError if there's no answer.

        `again`: a kept connection that the agent closed meanwhile may be answered by a second request.
        """
        target = urllib.parse.quote(path, safe="/:") + (f"?{urllib.parse.urlencode(params)}" if params else "")
        merged = self._token.header() | dict(headers or {})
        for attempts_left in (1, 0) if again else (0,):
            try:
                return self._once(method, target, body, merged, timeout)
            except urllib3.exceptions.HTTPError as error:
                cut = isinstance(error, urllib3.exceptions.ProtocolError)
                if not (cut and attempts_left) or self._closed.is_set():
                    raise UnreachableError(f"{self.access.address}: {_reason(error)}") from error
        raise AssertionError("the last attempt returns or raises")

    def close(self) -> None:
        """Cut every connection, also those that wait for an answer: whoever waits gets UnreachableError. Repeatable."""
        self._closed.set()
        for connection in list(self._open):
            sock = getattr(connection, "sock", None)
            if isinstance(sock, socket.socket):
                with contextlib.suppress(OSError):
                    # Not SSLSocket's own: it would unwrap TLS below a thread that is reading from it.
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)
        self._pool.close()

    def _once(
        self, method: str, target: str, body: bytes | None, headers: Mapping[str, str], timeout: float
    ) -> urllib3.BaseHTTPResponse:
        if self._closed.is_set():
            raise UnreachableError("closed")
        return self._pool.urlopen(
            method,
            target,
            body=body,
            headers=headers,
            retries=False,
            redirect=False,
            timeout=urllib3.Timeout(connect=CONNECT_TIMEOUT, read=timeout),
        )

    def _make_pool(self, connections: int) -> urllib3.HTTPConnectionPool:
        address, context = self.access.address, self.access.tls()
        pool = (
            urllib3.HTTPConnectionPool(address.host, address.port, maxsize=connections, block=True)
            if context is None
            else urllib3.HTTPSConnectionPool(
                address.host, address.port, maxsize=connections, block=True, ssl_context=context
            )
        )
        make = pool._new_conn

        def remembered() -> _Connection:
            """So that `close` can cut it: the pool forgets a connection while it is in use."""
            connection = make()
            self._open.add(connection)
            return connection

        pool._new_conn = remembered  # type: ignore[method-assign]
        return pool


class _Token:
    """The ACL token of the next request."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._lock = threading.Lock()
        self._stamp: tuple[int, int, int] | None = None
        self._text = access.token

    def header(self) -> dict[str, str]:
        text = self._read() if self._access.token_file else self._text
        return {"X-Consul-Token": text} if text else {}

    def _read(self) -> str:
        with self._lock:
            try:
                status = os.stat(self._access.token_file)
                stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
                if stamp != self._stamp:
                    with open(self._access.token_file, encoding="utf-8") as file:
                        self._text = file.read().strip()
                    self._stamp = stamp
            except (OSError, UnicodeDecodeError) as error:
                raise DeniedError(f"token file {self._access.token_file}: {error}") from error
            return self._text


def checked(response: urllib3.BaseHTTPResponse) -> Answer:
    """The answer if the status is a success, else the ConsulError that the status and text stand for."""
    headers, body = response.headers, response.data
    if response.status < 300:
        return Answer(
            body=body,
            index=_number(headers.get("X-Consul-Index")),
            known_leader=headers.get("X-Consul-KnownLeader", "true") != "false",
            last_contact=(_number(headers.get("X-Consul-LastContact")) or 0) / 1000,
            filtered=headers.get("X-Consul-Results-Filtered-By-ACLs", "") == "true",
            backend=headers.get("X-Consul-Query-Backend", ""),
            status=response.status,
        )
    text = body.decode("utf-8", "replace").strip()[:300]
    raise _error(response.status, text, retry_after(headers.get("Retry-After"), time.time()))


def retry_after(header: str | None, now: float) -> float | None:
    """Seconds to wait by a Retry-After header, which holds seconds or a date; None if it says nothing."""
    if not header:
        return None
    if header.strip().isdigit():
        return float(header)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(header).timestamp() - now)
    except ValueError:
        return None


def _error(status: int, text: str, pause: float | None) -> ConsulError:
    said = f"{status} {text}"
    denied = status in (401, 403) or "ACL not found" in text or "Permission denied" in text
    if denied:
        return DeniedError(said, pause)
    if status in (429, 503):
        return OverloadedError(said, pause)
    if "No cluster leader" in text:
        return NoLeaderError(said, pause)
    return AnswerError(said, pause)


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() else None


def _reason(error: urllib3.exceptions.HTTPError) -> str:
    """The part of urllib3's message that a person reads: without object addresses."""
    said = str(error)
    return said.split(": ", 1)[1] if " object at 0x" in said and ": " in said else said
