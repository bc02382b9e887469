"""The view of the running mesh: the table of the last seconds, and what happens meanwhile that people should hear of.

On a terminal the table is redrawn every second; elsewhere it is printed every few seconds, once the steps are over.
"""

from __future__ import annotations

import asyncio
import time

import attrs

from mesh_adapter.demo import tally
from mesh_adapter.demo.mesh import Mesh
from mesh_adapter.demo.screen import Screen
from mesh_adapter.demo.story import spoken
from mesh_adapter.demo.table import table
from mesh_adapter.demo.topology import ENTRY, LOOPBACK, SPLIT, host
from mesh_adapter.demo.verdict import shares

REDRAWN_EVERY = 1.0
PRINTED_EVERY = 5.0
WINDOW = 5.0
PAGES = ("/debug", "/debug/syncz", "/debug/registryz", "/metrics")


@attrs.define
class Live:
    """`weights` and `problems` are what was last heard of, so that only news is told."""

    mesh: Mesh
    screen: Screen
    weights: dict[str, int] = attrs.field(factory=dict)
    problems: frozenset[str] = frozenset()
    telling: bool = False
    """Whether changes are told: during the steps the story tells of its own."""

    async def run(self) -> None:
        """For ever."""
        printed = 0.0
        while True:
            await self._hear()
            lines = self._lines()
            if self.screen.terminal:
                self.screen.draw(lines)
            elif self.telling and time.monotonic() - printed >= PRINTED_EVERY:
                printed = time.monotonic()
                self.screen.say_all(*lines)
            await asyncio.sleep(REDRAWN_EVERY)

    async def _hear(self) -> None:
        found = await self.mesh.probe.weights()
        if found and found[0] != self.weights:
            self.weights = found[0]
            if self.telling:
                self.screen.say(f"*   in force at the Envoys now: {spoken(self.weights)} of {SPLIT}")
        problems = frozenset(await self.mesh.probe.problems())
        for problem in sorted(problems - self.problems):
            self.screen.say(f"!   {problem}")
        self.problems = problems

    def _lines(self) -> list[str]:
        samples = self.mesh.traffic.recent(WINDOW)
        heading = f"last {WINDOW:.0f} s, {len(samples) / WINDOW:.0f} requests a second:"
        return ["", heading, *table(tally.rows(samples), shares(self.weights))]


def invitation(mesh: Mesh) -> list[str]:
    """What there is to open, to ask and to edit."""
    topology = mesh.topology
    caller = topology.callers(SPLIT)[0]
    spare = topology.of("ratings")[0].name
    pid = mesh.children.pids.get(spare)
    control_plane = f"http://{LOOPBACK}:{topology.http_port}"
    return [
        "",
        f"edit    {mesh.folder.rules}  (save it: the change is in force within moments)",
        f"ask     curl -s -H 'Host: {host(ENTRY)}' http://{LOOPBACK}:{topology.client_outbound_port}/",
        *(f"open    {control_plane}{page}" for page in PAGES),
        f"open    http://{LOOPBACK}:{caller.admin_port}/  (admin interface of the Envoy beside {caller.name})",
        *([f"break   kill -9 {pid}  ({spare}: its traffic moves to the other one)"] if pid else []),
        f"logs    {mesh.folder.logs}",
    ]
