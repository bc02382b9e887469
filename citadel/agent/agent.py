"""The agent as a whole: the keeper of the identity, and what serves it on the local socket.

The `sidecar` command runs one beside Envoy, or alone; `async with` opens and closes it.
"""

from __future__ import annotations

from types import TracebackType
from typing import Self

import grpc.aio

from citadel.agent.keeper import Keeper, KeeperSettings
from citadel.agent.local_socket import LocalSocket
from citadel.agent.sds import SecretService
from citadel.agent.workload_api import WorkloadApi

GRACE = 1.0


class Agent:
    """Serves as soon as it is entered: what asks before there is a certificate waits for it. SocketError if the socket
    can't be had."""

    def __init__(self, settings: KeeperSettings, socket: LocalSocket) -> None:
        self._settings = settings
        self._socket = socket
        self._server: grpc.aio.Server | None = None
        self._made: Keeper | None = None

    @property
    def keeper(self) -> Keeper:
        """Only while it is open."""
        assert self._made is not None, "entered first"
        return self._made

    async def __aenter__(self) -> Self:
        keeper = Keeper(self._settings)
        self.secrets = SecretService(keeper)
        self._server = await self._socket.serve((self.secrets.handler(), WorkloadApi(keeper).handler()))
        await keeper.start()
        self._made = keeper
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._made is not None:
            await self._made.close()
        if self._server is not None:
            await self._server.stop(GRACE)
        self._socket.path.unlink(missing_ok=True)
