"""The demo from its beginning to its end: whatever happens in between, every child is ended and seen to be gone."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import attrs

from mesh_adapter.demo.children import ChildDiedError, Children, Death
from mesh_adapter.demo.folder import Folder
from mesh_adapter.demo.live import Live, invitation
from mesh_adapter.demo.mesh import CLIENT, CLIENT_ENVOY, Mesh
from mesh_adapter.demo.ports import free_ports
from mesh_adapter.demo.probe import Probe
from mesh_adapter.demo.screen import Screen
from mesh_adapter.demo.story import FIRST_WEIGHTS, Story
from mesh_adapter.demo.table import table
from mesh_adapter.demo.topology import PORTS_NEEDED, topology
from mesh_adapter.demo.traffic import Traffic
from mesh_adapter.demo.verdict import Step

EDIT_WITHIN = 45.0
NEEDED = (CLIENT, CLIENT_ENVOY)
"""Without these there is no traffic to look at."""

T = TypeVar("T")


@attrs.frozen
class Plan:
    """How to run: `once` ends after the three steps, else it goes on until someone stops it."""

    folder: Path
    envoy: Path
    once: bool
    rate: float
    edit_within: float = 0.0


@attrs.frozen
class Outcome:
    """What came of it. `seconds` includes starting and stopping."""

    steps: tuple[Step, ...]
    seconds: float
    folder: Path

    @property
    def ok(self) -> bool:
        return all(step.ok for step in self.steps)

    def as_json(self) -> dict[str, Any]:
        return {
            "ok": self.ok,
            "seconds": round(self.seconds, 1),
            "directory": str(self.folder),
            "steps": [step.as_json() for step in self.steps],
        }


class StoppedError(Exception):
    """Someone ended the demo before its steps were done."""


async def run(plan: Plan, screen: Screen) -> Outcome:
    """Raises StoppedError, FolderError, NoPortsError, NotInTimeError, ChildDiedError or OSError."""
    began = time.monotonic()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with _mesh(plan, screen) as mesh:
        live = Live(mesh, screen)
        steps = await _unless_stopped(mesh, _steps(plan, live), stop)
        if not plan.once:
            await _go_on(live, stop)
    return Outcome(tuple(steps), time.monotonic() - began, mesh.folder.root)


@contextlib.asynccontextmanager
async def _mesh(plan: Plan, screen: Screen) -> AsyncIterator[Mesh]:
    """Nothing of it runs yet inside, nothing any more afterwards."""
    with contextlib.closing(Folder(plan.folder)) as folder:
        places = topology(free_ports(PORTS_NEEDED))
        async with aiohttp.ClientSession() as session:
            children = Children(folder.logs)
            mesh = Mesh(places, folder, plan.envoy, children, Probe(session, places), Traffic(plan.rate))
            screen.say(f"working directory: {folder.root}")
            try:
                yield mesh
            finally:
                await _stop(mesh, screen)


async def _stop(mesh: Mesh, screen: Screen) -> None:
    """Even if nobody can be told any more, as at the end of a broken pipe."""
    try:
        screen.leave()
        screen.say("stopping")
    finally:
        await mesh.stop()


async def _steps(plan: Plan, live: Live) -> list[Step]:
    mesh, screen = live.mesh, live.screen
    began = time.monotonic()
    await mesh.start(FIRST_WEIGHTS, screen.say)
    screen.say(f"requests are answered, {time.monotonic() - began:.1f} s after the start")
    if not plan.once:
        screen.say_all(*invitation(mesh), "")
    async with _background(live):
        return await Story(mesh, screen.say, plan.edit_within).tell()


async def _unless_stopped(mesh: Mesh, work: Coroutine[Any, Any, T], stop: asyncio.Event) -> T:
    """The work's result. Raises StoppedError, or ChildDiedError for a child that ended unasked."""
    doing = asyncio.ensure_future(mesh.unless_one_dies(work))
    stopping = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait((doing, stopping), return_when=asyncio.FIRST_COMPLETED)
        if not doing.done():
            raise StoppedError("stopped before the end")
        return doing.result()
    finally:
        for task in (doing, stopping):
            task.cancel()
        await asyncio.wait((doing, stopping))


@contextlib.asynccontextmanager
async def _background(live: Live) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(live.run())
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _go_on(live: Live, stop: asyncio.Event) -> None:
    """Until someone stops it. A child that dies is told of, and the rest goes on: that is what a mesh is for."""
    live.screen.say_all(*invitation(live.mesh), "stop    Ctrl-C", "")
    live.telling = True
    stopping = asyncio.ensure_future(stop.wait())
    async with _background(live) as drawing:
        while not stopping.done() and not drawing.done():
            dying = asyncio.ensure_future(live.mesh.children.deaths.get())
            await asyncio.wait((stopping, dying, drawing), return_when=asyncio.FIRST_COMPLETED)
            if dying.done():
                _tell(dying.result(), live.screen)
            dying.cancel()
    stopping.cancel()


def _tell(death: Death, screen: Screen) -> None:
    """Raises ChildDiedError if nothing is left to show."""
    if death.name in NEEDED:
        raise ChildDiedError(str(death))
    screen.say(f"!   {death}")


def summary(outcome: Outcome) -> list[str]:
    """The traffic of the last step, and the word on the whole."""
    last = outcome.steps[-1]
    everything = "everything was seen" if outcome.ok else "NOT everything was seen"
    return [
        "",
        f"traffic of the last step ({last.title}):",
        *table(last.measured.traffic, last.split),
        "",
        f"{everything} as it was configured; {outcome.seconds:.1f} s in all",
        f"files and logs stay in {outcome.folder}",
    ]
