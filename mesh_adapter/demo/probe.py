"""Asks the demo's Envoys and its control plane over HTTP how things are."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import aiohttp

from mesh_adapter.demo import envoy_state
from mesh_adapter.demo.topology import LOOPBACK, SPLIT, Topology

TIMEOUT = aiohttp.ClientTimeout(total=5.0)


class NotInTimeError(Exception):
    """Something that should happen did not; the message says what, and after how long it was given up."""


class Probe:
    """Answers are None, empty or False where somebody can't be asked."""

    def __init__(self, session: aiohttp.ClientSession, mesh: Topology) -> None:
        self._session = session
        self._mesh = mesh

    async def control_plane_ready(self) -> bool:
        return await self._text(self._mesh.http_port, "/readyz") == "ready\n"

    async def envoys_live(self, admin_ports: Iterable[int]) -> bool:
        """Whether all have their first configuration and listen."""
        return all(await asyncio.gather(*(self._live(port) for port in admin_ports)))

    async def weights(self) -> list[dict[str, int]]:
        """The split of `reviews` as each caller's Envoy has it; those of instances that are gone are left out."""
        ports = [each.admin_port for each in self._mesh.callers(SPLIT)]
        dumps = await asyncio.gather(*(self._json(port, envoy_state.ROUTES) for port in ports))
        return [envoy_state.weights(dump, SPLIT) for dump in dumps if dump is not None]

    async def seen_by_callers(self, port: int, version: str) -> list[envoy_state.Endpoint]:
        """The endpoint of `reviews` at this port, as each caller's Envoy sees it."""
        ports = [each.admin_port for each in self._mesh.callers(SPLIT)]
        answers = await asyncio.gather(*(self._json(each, envoy_state.CLUSTERS) for each in ports))
        found = (envoy_state.endpoints(answer, SPLIT, version).get(port) for answer in answers if answer is not None)
        return [each for each in found if each is not None]

    async def problems(self) -> list[str]:
        """What the control plane found wrong with the rules file."""
        said = await self._json(self._mesh.http_port, "/debug/problems") or {}
        return [f"{each.get('where', '')} {each.get('message', '')}".strip() for each in said.get("configuration", ())]

    async def _live(self, admin_port: int) -> bool:
        return await self._text(admin_port, "/ready") == "LIVE\n"

    async def _text(self, port: int, path: str) -> str | None:
        try:
            async with self._session.get(f"http://{LOOPBACK}:{port}{path}", timeout=TIMEOUT) as answer:
                return await answer.text() if answer.status == 200 else None
        except (aiohttp.ClientError, TimeoutError):
            return None

    async def _json(self, port: int, path: str) -> Any:
        try:
            async with self._session.get(f"http://{LOOPBACK}:{port}{path}", timeout=TIMEOUT) as answer:
                return await answer.json(content_type=None) if answer.status == 200 else None
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return None


async def until(condition: Callable[[], Awaitable[bool]], what: str, seconds: float, *, every: float = 0.1) -> float:
    """The seconds that it took. Raises NotInTimeError."""
    began = time.monotonic()
    while not await condition():
        if time.monotonic() - began > seconds:
            raise NotInTimeError(f"{what}: still not so after {seconds:g} s")
        await asyncio.sleep(every)
    return time.monotonic() - began
