"""Connections to the HTTP API of a registry's agent: addresses, tokens, TLS, statuses, and cutting what waits.

The ground under `adapters.consul.client` and `adapters.nomad.client`, which watch for ever from many threads: the
registries' own libraries open a session a request, drop headers, and can't be closed while they wait. It knows HTTP; it
does not know what an answer means. Nothing is taken from the environment: that is the command line's business.
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
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import attrs
import urllib3

if TYPE_CHECKING:
    from urllib3._base_connection import BaseHTTPConnection as _Connection

CONNECT_TIMEOUT = 3.0
SHORT_TIMEOUT = 10.0


class ApiError(Exception):
    """No answer that can be used. `retry_after`: seconds that the agent asked to be left alone."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class UnreachableError(ApiError):
    """No HTTP answer: refused, cut, timed out, or TLS failed."""


class DeniedError(ApiError):
    """The token is missing, unknown, expired, or not allowed this."""


class OverloadedError(ApiError):
    """429 or 503: a rate or connection limit; asking again soon makes it worse."""


class NoLeaderError(ApiError):
    """The servers have no leader at the moment."""


class AnswerError(ApiError):
    """Any other status that is no success."""


@attrs.frozen
class Address:
    """Where an agent's HTTP API is."""

    scheme: str
    host: str
    port: int

    @classmethod
    def parse(cls, text: str, product: str, default_port: int) -> Address:
        """From `host`, `host:port`, `[::1]:port` or a URL with http or https; ValueError for all else."""
        parts = urllib.parse.urlsplit(text if "://" in text else f"http://{text}")
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path not in ("", "/"):
            mend = f"write http://127.0.0.1:{default_port} or host:port"
            raise ValueError(f"not an address of {product}: {text!r} ({mend})")
        return cls(parts.scheme, parts.hostname, parts.port or default_port)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


@attrs.frozen
class Access:
    """How to reach an agent. `token_file` is read again when it changes and wins over `token`.

    `server_name`: the name that the agent's certificate is for, if it isn't the address.
    """

    address: Address
    token: str = attrs.field(default="", repr=False)
    token_file: str = ""
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    server_name: str = ""

    def tls(self) -> ssl.SSLContext | None:
        """The TLS side of it; None over plain HTTP. OSError or ssl.SSLError if a file can't be used."""
        if self.address.scheme == "http":
            return None
        context = ssl.create_default_context(cafile=self.ca_file or None)
        if self.cert_file:
            context.load_cert_chain(self.cert_file, self.key_file or None)
        return context

    def explained(self, error: ApiError) -> str:
        """The error for a person: of a denial, whose token was denied."""
        if not isinstance(error, DeniedError):
            return str(error)
        token = f"the token of {self.token_file}" if self.token_file else "the ACL token"
        return f"{self.address}: {error}: {token if self.token or self.token_file else 'no token'} is denied"


class Connections:
    """Connections to one agent, at most `connections` at a time; callers beyond that wait. Thread-safe.

    `header` is the one that carries the token.
    """

    def __init__(self, access: Access, connections: int, header: str) -> None:
        self.access = access
        self._token = _Token(access, header)
        self._open: weakref.WeakSet[_Connection] = weakref.WeakSet()
        self._closed = threading.Event()
        self._pool = self._make_pool(connections)

    def send(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | Sequence[tuple[str, str]] | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = SHORT_TIMEOUT,
        again: bool = False,
        stream: bool = False,
    ) -> urllib3.BaseHTTPResponse:
        """One request, whatever its status; UnreachableError if there's no answer.

        `again`: a kept connection that the agent closed meanwhile may be answered by a second request. `stream`: the
        body is the caller's to read.
        """
        target = urllib.parse.quote(path, safe="/:") + (f"?{urllib.parse.urlencode(params)}" if params else "")
        merged = self._token.header() | dict(headers or {})
        for attempts_left in (1, 0) if again else (0,):
            try:
                return self._once(method, target, body, merged, timeout, stream)
            except urllib3.exceptions.HTTPError as error:
                cut = isinstance(error, urllib3.exceptions.ProtocolError)
                if not (cut and attempts_left) or self._closed.is_set():
                    raise self.unreachable(error) from error
        raise AssertionError("the last attempt returns or raises")

    def unreachable(self, error: Exception) -> UnreachableError:
        """The error that a failure of the connection is, naming the agent."""
        return UnreachableError(f"{self.access.address}: {_reason(error)}")

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
        self, method: str, target: str, body: bytes | None, headers: Mapping[str, str], timeout: float, stream: bool
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
            preload_content=not stream,
        )

    def _make_pool(self, connections: int) -> urllib3.HTTPConnectionPool:
        address, context = self.access.address, self.access.tls()
        pool = (
            urllib3.HTTPConnectionPool(address.host, address.port, maxsize=connections, block=True)
            if context is None
            else urllib3.HTTPSConnectionPool(
                address.host,
                address.port,
                maxsize=connections,
                block=True,
                ssl_context=context,
                server_hostname=self.access.server_name or None,
                assert_hostname=self.access.server_name or None,
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

    def __init__(self, access: Access, header: str) -> None:
        self._access = access
        self._header = header
        self._lock = threading.Lock()
        self._stamp: tuple[int, int, int] | None = None
        self._text = access.token

    def header(self) -> dict[str, str]:
        text = self._read() if self._access.token_file else self._text
        return {self._header: text} if text else {}

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


def refusal(response: urllib3.BaseHTTPResponse) -> ApiError:
    """What a status that is no success stands for."""
    text = response.data.decode("utf-8", "replace").strip()[:300]
    said, pause = f"{response.status} {text}", retry_after(response.headers.get("Retry-After"), time.time())
    if response.status in (401, 403) or "ACL not found" in text or "Permission denied" in text:
        return DeniedError(said, pause)
    if response.status in (429, 503):
        return OverloadedError(said, pause)
    if "No cluster leader" in text:
        return NoLeaderError(said, pause)
    return AnswerError(said, pause)


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


def number(text: str | None) -> int | None:
    """The number that a header holds; None if it holds none."""
    return int(text) if text and text.isascii() and text.isdigit() else None


def _reason(error: Exception) -> str:
    """The part of urllib3's message that a person reads: without object addresses."""
    said = str(error)
    return said.split(": ", 1)[1] if " object at 0x" in said and ": " in said else said
