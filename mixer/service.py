"""Mixer's faces on one port, one Dispatcher behind them: its own API, and Envoy's authorization, limits and logs.

Composed and fed by `mesh_adapter.mixer_part`. Until the first configuration is installed every call is answered
UNAVAILABLE, so that callers' failure policies count and nobody passes because Mixer has not read its rules yet.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mixer.attributes import Value
from mixer.dispatch import Dispatcher
from mixer.enrichment import Directory
from mixer.faces import access_log, ext_authz, rate_limit
from mixer.faces.mixer_api import MixerApi
from mixer.http2.server import Call, Inlet, Routes, RpcError, Server, Unary
from mixer.reports import Reports
from mixer.ruleset import RuleSet
from mixer.status import Code
from pilot.model.catalog import Catalog


class MixerService:
    """All methods belong to one event loop; `services` are lent to handlers."""

    def __init__(self, services: Mapping[str, Any] | None = None) -> None:
        self.directory = Directory()
        self.dispatcher = Dispatcher({"directory": self.directory, **(services or {})})
        self.reports = Reports(self.dispatcher)
        self.calls: dict[str, int] = {}
        """How many calls came, by path."""
        self._ready = False
        api = MixerApi(self.dispatcher, self._enrich)
        envoy = ext_authz.ExtAuthz(self.dispatcher, self._enrich)
        limits = rate_limit.RateLimits(self.dispatcher, self._enrich)
        logs = access_log.AccessLogs(self.reports.add, self._enrich)
        unary = {**api.routes().unary, ext_authz.PATH: envoy.check, rate_limit.PATH: limits.should_rate_limit}
        self._server = Server(
            Routes(
                {path: self._counted(path, each) for path, each in unary.items()},
                {access_log.PATH: self._counted_inlet(access_log.PATH, logs.open)},
            )
        )

    async def listen(self, host: str, port: int) -> int:
        """The port it listens on (`port` 0: a free one). Raises OSError."""
        return await self._server.listen(host, port)

    def install(self, rules: RuleSet) -> None:
        """Judges by `rules` from the next request on."""
        self.dispatcher.install(rules)
        self._ready = True

    def know(self, catalog: Catalog) -> None:
        """Who is who, from the next request on."""
        self.directory.update(catalog)

    async def close(self, grace: float = 5.0) -> None:
        """Takes nothing new, answers what has begun, flushes what handlers hold."""
        await self._server.close(grace)
        await self.reports.close()
        await self.dispatcher.close()

    def _enrich(self, bag: dict[str, Value]) -> None:
        if not self._ready:
            raise RpcError(Code.UNAVAILABLE, "mixer has not read its configuration yet")
        self.directory.enrich(bag)

    def _counted(self, path: str, handler: Unary) -> Unary:
        self.calls[path] = 0

        def counted(body: bytes, call: Call) -> Any:
            self.calls[path] += 1
            return handler(body, call)

        return counted

    def _counted_inlet(self, path: str, opener: Callable[[Call], Inlet]) -> Callable[[Call], Inlet]:
        self.calls[path] = 0

        def counted(call: Call) -> Inlet:
            self.calls[path] += 1
            return opener(call)

        return counted
