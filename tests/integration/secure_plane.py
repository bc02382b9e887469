"""The secure side of a control plane in this process, with a state of xDS in memory, and clients of every sort."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import attrs
import grpc
import grpc.aio
from cryptography import x509
from envoy_data_plane.envoy.service.discovery import v3 as library
from prometheus_client import CollectorRegistry, generate_latest

from citadel import identity, profile
from citadel.attest import Attested
from citadel.attest.static import new_join_token
from citadel.callers import EVIDENCE
from citadel.csr_messages import SERVICE, Request, Response
from citadel.identity import SpiffeId
from citadel.profile import PrivateKey
from mesh_adapter.authorities import AuthorityOptions
from mesh_adapter.security import Security, SecurityOptions
from pilot.envoy import codec
from pilot.xds.access import Admitted
from pilot.xds.protocol import Node
from pilot.xds.resource import CDS, Resources
from pilot.xds.server import SERVICES, Listen, XdsServer

DEADLINE = 10.0
DiscoveryRequest: Any = codec.message(library.DiscoveryRequest)


class Nothing:
    """A directory that tells nobody anything, and remembers who asked."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []

    def connect(self, node: Node, caller: Admitted) -> Nothing:
        self.nodes.append(node)
        return self

    def resources(self) -> Resources | None:
        return None

    def on_change(self, callback: Callable[[], None]) -> None: ...

    def withheld(self, names: Iterable[str]) -> Mapping[str, str]:
        return {}

    def close(self) -> None: ...


@attrs.frozen
class Credential:
    """A certificate with its key, as a workload holds them."""

    chain: str
    key: PrivateKey = attrs.field(repr=False)

    @property
    def leaf(self) -> x509.Certificate:
        return x509.load_pem_x509_certificate(self.chain.encode())


class SecurePlane:
    """`async with SecurePlane(folder) as plane`: on a free port, with join tokens, and whatever else is attested."""

    def __init__(self, folder: Path, *attest: str, domain: str = "cluster.local", **options: Any) -> None:
        self.tokens = folder / "tokens"
        ca = AuthorityOptions("embedded", domain, folder / "ca")
        specs = (f"static,join_tokens={self.tokens}", *attest)
        self.registry = CollectorRegistry()
        self.security = Security(SecurityOptions(ca, "127.0.0.1:0", attest=specs, **options), self.registry)
        self.directory = Nothing()
        self.xds = XdsServer(
            self.directory,
            registry=self.registry,
            clock=lambda: datetime.now(UTC),
            services=self.security.services,
            admit=self.security.admit,
        )
        self.port = 0
        self.plain_port = 0

    async def __aenter__(self) -> Self:
        self.plain_port, _ = await self.xds.start([Listen("127.0.0.1:0"), Listen(self.security.port.behind)])
        await self.security.start()
        self.port = await self.security.listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.xds.stop(0.1)
        await self.security.close()

    @property
    def roots(self) -> str:
        return profile.pem(*self.security.issuing.roots())

    def count(self, name: str) -> float:
        """A metric, as /metrics tells it."""
        for line in generate_latest(self.registry).decode().splitlines():
            if line.startswith(f"{name} "):
                return float(line.split()[1])
        raise AssertionError(f"no metric {name}")

    def channel(self, credential: Credential | None = None) -> grpc.aio.Channel:
        """A client that trusts the mesh's roots, with a certificate or without."""
        key = profile.key_pem(credential.key) if credential else None
        chain = credential.chain.encode() if credential else None
        credentials = grpc.ssl_channel_credentials(self.roots.encode(), key, chain)
        return grpc.aio.secure_channel(f"127.0.0.1:{self.port}", credentials)

    def join_token(self, account: str = "web", namespace: str = "default", life: timedelta = timedelta(hours=1)) -> str:
        return new_join_token(self.tokens, Attested(namespace, account), datetime.now(UTC) + life)

    async def issued(self, spiffe: SpiffeId, ttl: timedelta = timedelta(hours=1)) -> Credential:
        """A certificate by the back door."""
        key = profile.new_key()
        found = await self.security.issuing.issue(spiffe, profile.request(key), ttl)
        return Credential(profile.pem(*found.chain), key)

    async def web(self) -> Credential:
        return await self.issued(identity.workload("cluster.local", "default", "web"))


def bearer(token: str, kind: str = "static") -> tuple[tuple[str, str], ...]:
    return ("authorization", f"Bearer {token}"), *(((EVIDENCE, kind),) if kind else ())


async def create_certificate(
    channel: grpc.aio.Channel, csr: str, *, metadata: Sequence[tuple[str, str]] = (), seconds: int = 0
) -> list[str]:
    """The chain that the CSR API answers; grpc's error if it does not."""
    call = channel.unary_unary(f"/{SERVICE}/CreateCertificate")
    data = Request(csr=csr, validity_duration=seconds).SerializeToString()
    answer = await call(data, metadata=tuple(metadata), timeout=DEADLINE, wait_for_ready=True)
    return list(Response.FromString(answer).cert_chain)


async def refused(awaitable: Any) -> tuple[grpc.StatusCode, str]:
    """How a call was refused."""
    try:
        await awaitable
    except grpc.aio.AioRpcError as error:
        return error.code(), error.details() or ""
    raise AssertionError("it was answered")


def stream(channel: grpc.aio.Channel, metadata: Sequence[tuple[str, str]] = ()) -> Any:
    """An aggregated stream of the state of the world."""
    method = f"/{SERVICES[0].name}/{SERVICES[0].stream}"
    return channel.stream_stream(method)(metadata=tuple(metadata), timeout=DEADLINE, wait_for_ready=True)


async def speak(call: Any, node_id: str, metadata: dict[str, Any] | None = None) -> None:
    """The first request of a stream."""
    request = DiscoveryRequest(type_url=CDS)
    request.node.id = node_id
    request.node.metadata.update(metadata or {})
    await call.write(request.SerializeToString())
