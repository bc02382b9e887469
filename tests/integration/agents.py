"""An agent in this process beside a control plane in this process, and the clients of its socket."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

import grpc
import grpc.aio
from envoy_data_plane.envoy.extensions.transport_sockets.tls import v3 as tls
from envoy_data_plane.envoy.service.discovery import v3 as discovery

from citadel.agent.agent import Agent
from citadel.agent.evidence import Evidence
from citadel.agent.holdings import Holdings
from citadel.agent.keeper import KeeperSettings
from citadel.agent.local_socket import LocalSocket
from citadel.agent.sds import SERVICE as SDS
from citadel.agent.secrets import TYPE
from citadel.workload_messages import HEADER, SERVICE
from pilot.envoy import codec
from tests.integration.secure_plane import SecurePlane

DEADLINE = 10.0
Secret: Any = codec.message(tls.Secret)
Request: Any = codec.message(discovery.DiscoveryRequest)
Response: Any = codec.message(discovery.DiscoveryResponse)
DeltaRequest: Any = codec.message(discovery.DeltaDiscoveryRequest)
DeltaResponse: Any = codec.message(discovery.DeltaDiscoveryResponse)


class RunningAgent:
    """`async with RunningAgent(plane, folder)`: of the account web, by a join token."""

    def __init__(
        self, plane: SecurePlane, place: Path, *, ttl: timedelta = timedelta(hours=1), **settings: Any
    ) -> None:
        place.mkdir(parents=True, exist_ok=True)
        self.plane = plane
        self.roots = place / "given-roots.pem"
        self.token = place / "token"
        if not self.roots.exists():
            self.roots.write_text(plane.roots)
        if not self.token.exists():
            self.token.write_text(plane.join_token())
        self.path = Path(tempfile.mkdtemp(dir="/tmp", prefix="agent-")) / "socket"
        evidence = settings.pop("evidence", Evidence("static", self.token))
        self.settings = KeeperSettings(
            f"127.0.0.1:{plane.port}", self.roots, evidence, settings.pop("folder", None), ttl
        )
        self.agent = Agent(self.settings, LocalSocket(self.path, **settings))

    async def __aenter__(self) -> Self:
        await self.agent.__aenter__()
        return self

    async def __aexit__(self, *_: Any) -> None:
        await self.agent.__aexit__(None, None, None)
        self.path.parent.rmdir()

    @property
    def held(self) -> Holdings:
        return self.agent.keeper.holdings

    @property
    def address(self) -> str:
        return f"unix:{self.path}"

    def channel(self) -> grpc.aio.Channel:
        return grpc.aio.insecure_channel(self.address)


async def until(condition: Callable[[], object], what: str, seconds: float = DEADLINE) -> None:
    """Polls in the event loop until it holds."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while not condition():
        assert loop.time() < end, f"not {what} after {seconds:g} s"
        await asyncio.sleep(0.02)


def call(channel: grpc.aio.Channel, method: str, data: bytes = b"", metadata: Sequence[Any] = (HEADER,)) -> Any:
    """A unary call of the Workload API."""
    return channel.unary_unary(f"/{SERVICE}/{method}")(data, metadata=tuple(metadata), timeout=DEADLINE)


def watch(channel: grpc.aio.Channel, method: str, metadata: Sequence[Any] = (HEADER,)) -> Any:
    """A stream of the Workload API."""
    return channel.unary_stream(f"/{SERVICE}/{method}")(b"", metadata=tuple(metadata), timeout=2 * DEADLINE)


class Envoyish:
    """A stream of secrets, spoken as Envoy does, state of the world."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.call = channel.stream_stream(f"/{SDS}/StreamSecrets")(timeout=2 * DEADLINE)

    async def ask(self, *names: str, nonce: str = "", error: str = "") -> None:
        request = Request(type_url=TYPE, resource_names=names, response_nonce=nonce)
        if error:
            request.error_detail.message = error
        await self.call.write(request.SerializeToString())

    async def read(self) -> tuple[Any, dict[str, Any]]:
        """The response, and the secrets in it by name."""
        response = Response.FromString(await self.call.read())
        found = [Secret.FromString(each.value) for each in response.resources]
        return response, {each.name: each for each in found}
