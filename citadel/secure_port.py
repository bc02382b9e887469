"""The control plane's secure port: ends TLS, knows who connected, and hands the bytes to the gRPC server behind it.

grpcio's Python server can demand a certificate of every client or of none, can't bound the unauthenticated, and keeps
its own certificate for ever. So TLS ends here: a certificate is asked for and may be left out (who has none brings
evidence), the handshake has a deadline, connections without an identity are few and short, and each connection gets
the certificate and the roots of its moment. Behind it the gRPC server listens on a socket in a folder that only this
user enters; each connection binds a name of its own there, by which `peer` finds whose it is (docs/adr).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import resource
import shutil
import socket
import ssl
import tempfile
from collections import Counter
from pathlib import Path

import attrs
from cryptography import x509

from citadel import profile
from citadel.callers import Peer
from citadel.identity import TrustDomains
from citadel.profile import PrivateKey, ProfileError

log = logging.getLogger(__name__)

HANDSHAKE = 10.0
"""Seconds from connecting to the end of the handshake."""
UNPROVEN = 15.0
"""Seconds that a connection without a certificate has to show evidence."""
_CHUNK = 1 << 16


@attrs.frozen
class Limits:
    """How many connections may be without an identity at once, from one address and in all."""

    handshake: float = HANDSHAKE
    unproven: float = UNPROVEN
    per_address: int = 256
    in_all: int = 1024


@attrs.define(eq=False)
class _Connection:
    """One that got through the handshake, or is in it. Counted as unproven until it has an identity."""

    address: str
    proven: bool = False
    peer: Peer | None = None


class _Writer(asyncio.StreamWriter):
    """Aborted by whoever made it. The library's own warns of one whose TLS is over already, as if it were left open."""

    def __del__(self) -> None: ...


class SecurePort:
    """`present` and `trust` before `start`, and again whenever they change; live connections are not disturbed."""

    def __init__(self, domains: TrustDomains, limits: Limits = Limits()) -> None:
        self._domains = domains
        self._limits = limits
        self._folder = Path(tempfile.mkdtemp(prefix="mesh-adapter-"))
        self._chain: tuple[x509.Certificate, ...] = ()
        self._key: PrivateKey | None = None
        self._roots: tuple[x509.Certificate, ...] = ()
        self._context: ssl.SSLContext | None = None
        self._connections: dict[str, _Connection] = {}
        self._unproven: Counter[str] = Counter()
        self._number = 0
        self._listening: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.refused = 0

    @property
    def behind(self) -> str:
        """Where the gRPC server is to listen, as gRPC writes addresses."""
        return f"unix:{self._folder}/grpc"

    def present(self, chain: tuple[x509.Certificate, ...], key: PrivateKey) -> None:
        """What this end shows from the next connection on."""
        self._chain, self._key, self._context = chain, key, None

    def trust(self, roots: tuple[x509.Certificate, ...]) -> None:
        """Whose certificates count from the next connection on."""
        self._roots, self._context = roots, None

    async def start(self, host: str, port: int) -> int:
        """Listens, and returns the port. OSError if the address can't be had."""
        _raise_file_limit()
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family, backlog=1024)
        listener.setblocking(False)
        found: int = listener.getsockname()[1]
        self._listening = asyncio.get_running_loop().create_task(self._listen(listener))
        return found

    async def stop(self) -> None:
        """Takes no more connections and ends those there are."""
        tasks = [*self._tasks, *([self._listening] if self._listening else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for _ in range(3):  # an aborted transport closes its socket a turn of the loop later, one behind TLS after two
            await asyncio.sleep(0)
        shutil.rmtree(self._folder, ignore_errors=True)

    def peer(self, name: str) -> Peer | None:
        """Whose connection `name` is, as a gRPC context tells its peer; None for one that came another way."""
        found = self._connections.get(name)
        return found.peer if found else None

    async def _listen(self, listener: socket.socket) -> None:
        """Accepts for ever. A process that is out of files waits until it has some again."""
        loop = asyncio.get_running_loop()
        with listener:
            while True:
                try:
                    accepted, name = await loop.sock_accept(listener)
                except OSError as error:
                    log.warning("the secure port can't take a connection: %s; going on", error.strerror)
                    await asyncio.sleep(0.1)
                    continue
                task = loop.create_task(self._take(accepted, str(name[0])))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _take(self, accepted: socket.socket, address: str) -> None:
        if self._unproven[address] >= self._limits.per_address or self._unproven.total() >= self._limits.in_all:
            self.refused += 1
            accepted.close()
            return
        self._unproven[address] += 1
        connection = _Connection(address)
        try:
            await self._serve(connection, accepted)
        except (OSError, TimeoutError) as error:
            log.debug("a connection to the secure port ended: %s", error)
        finally:
            self._prove(connection)
            accepted.close()

    async def _serve(self, connection: _Connection, accepted: socket.socket) -> None:
        """TLS from the first byte: a stream that is upgraded later may have read the client's hello already."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(_CHUNK, loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        transport, _ = await loop.connect_accepted_socket(
            lambda: protocol, accepted, ssl=self._current(), ssl_handshake_timeout=self._limits.handshake
        )
        try:
            connection.peer = self._peer(
                connection, transport.get_extra_info("ssl_object").getpeercert(binary_form=True)
            )
            if connection.peer is not None:
                await self._relay(connection, reader, _Writer(transport, protocol, reader, loop))
        finally:
            transport.abort()

    def _peer(self, connection: _Connection, der: bytes | None) -> Peer | None:
        """None for a certificate that the TLS library took and that is nobody's in this mesh."""
        if not der:
            return Peer(connection.address, vouched=lambda: self._prove(connection))
        try:
            spiffe = profile.spiffe_id(x509.load_der_x509_certificate(der))
            if not self._domains.includes(spiffe):
                raise ProfileError(f"{spiffe} is of another trust domain")
        except (ProfileError, ValueError) as error:
            self.refused += 1
            log.info("connection from %s refused: its certificate can't be used: %s", connection.address, error)
            return None
        self._prove(connection)
        return Peer(connection.address, self._domains.localize(spiffe))

    def _prove(self, connection: _Connection) -> None:
        """It has an identity, or is over: either way it no longer counts as one without. Repeatable."""
        if not connection.proven:
            connection.proven = True
            self._unproven[connection.address] -= 1
            if not self._unproven[connection.address]:
                del self._unproven[connection.address]

    async def _relay(self, connection: _Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        name, inner_reader, inner_writer = await self._connect()
        self._connections[name] = connection
        pumps = [asyncio.ensure_future(_pump(reader, inner_writer)), asyncio.ensure_future(_pump(inner_reader, writer))]

        def close_unproven() -> None:
            if not connection.proven:
                pumps[0].cancel()

        timer = asyncio.get_running_loop().call_later(self._limits.unproven, close_unproven)
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()
            del self._connections[name]
            inner_writer.transport.abort()  # before anything is awaited: the wait may be cancelled
            for each in pumps:
                each.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)

    async def _connect(self) -> tuple[str, asyncio.StreamReader, asyncio.StreamWriter]:
        self._number += 1
        path = self._folder / f"p{self._number}"
        inner = socket.socket(socket.AF_UNIX)
        try:
            inner.bind(str(path))
            inner.setblocking(False)
            await asyncio.get_running_loop().sock_connect(inner, self.behind.removeprefix("unix:"))
            path.unlink()
            loop = asyncio.get_running_loop()
            reader = asyncio.StreamReader(_CHUNK, loop)
            protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
            transport, _ = await loop.create_unix_connection(lambda: protocol, sock=inner)
            writer = _Writer(transport, protocol, reader, loop)
        except BaseException:
            inner.close()
            path.unlink(missing_ok=True)
            raise
        return f"unix:{path}", reader, writer

    def _current(self) -> ssl.SSLContext:
        if self._context is None:
            if self._key is None:
                raise OSError("the secure port has no certificate yet")
            self._context = server_context(self._chain, self._key, self._roots)
        return self._context


def server_context(
    chain: tuple[x509.Certificate, ...], key: PrivateKey, roots: tuple[x509.Certificate, ...]
) -> ssl.SSLContext:
    """TLS 1.2 and newer, HTTP/2 only, client certificates of `roots` asked for. Sessions are not resumed: each
    connection's certificate is looked at anew."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["h2"])
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION
    context.num_tickets = 0
    context.verify_mode = ssl.CERT_OPTIONAL
    context.load_verify_locations(cadata=profile.pem(*roots))
    load_identity(context, profile.pem(*chain).encode() + profile.key_pem(key))
    return context


def load_identity(context: ssl.SSLContext, pem: bytes) -> None:
    """A chain and its key into `context`. The ssl module takes files only: this one is in memory, and gone soon."""
    handle = os.memfd_create("certificate", os.MFD_CLOEXEC)
    try:
        os.write(handle, pem)
        context.load_cert_chain(f"/proc/self/fd/{handle}")
    finally:
        os.close(handle)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()


def _raise_file_limit() -> None:
    """Each connection takes three files; as many as the system lets us."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
