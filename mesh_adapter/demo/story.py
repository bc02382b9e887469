"""The three things that the demo shows, in order, each measured: a split, a change of it, the loss of an instance."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

import attrs

from mesh_adapter.demo import documents, tally
from mesh_adapter.demo.envoy_state import Endpoint
from mesh_adapter.demo.folder import write
from mesh_adapter.demo.mesh import Mesh
from mesh_adapter.demo.probe import NotInTimeError, until
from mesh_adapter.demo.sample import Sample
from mesh_adapter.demo.table import verdict
from mesh_adapter.demo.topology import SPLIT, SURVIVOR, VICTIM
from mesh_adapter.demo.verdict import Measured, Step, shares

FIRST_WEIGHTS = {"v1": 90, "v2": 10}
SECOND_WEIGHTS = {"v1": 50, "v2": 50}
FIRST_REQUESTS = 2000
SECOND_REQUESTS = 1600
LOSS_REQUESTS = 1000
MEASUREMENTS = 2
IN_FORCE_AT_MOST = 10.0
EJECTED_AT_MOST = 20.0
LEAST_TO_SEE_A_LOSS = 20.0
"""Percent of the traffic that the victim's version needs, so that its loss is noticed soon."""

Count = Callable[[Iterable[Sample], str], Counter[str]]


@attrs.define
class Story:
    """`say` tells people what happens; `edit_within` is how many seconds they get to edit the rules themselves.

    Methods raise NotInTimeError if something that was configured does not come into force at all.
    """

    mesh: Mesh
    say: Callable[[str], None]
    edit_within: float = 0.0

    async def tell(self) -> list[Step]:
        return [await self._first_split(), await self._second_split(), await self._loss()]

    async def _first_split(self) -> Step:
        began = time.monotonic()
        await self._in_force(FIRST_WEIGHTS)
        self.say(f"1.  the rules say {spoken(FIRST_WEIGHTS)} of {SPLIT}; measuring {FIRST_REQUESTS} requests")
        return await self._judged(Step(1, "split 90/10", shares(FIRST_WEIGHTS)), began, FIRST_REQUESTS)

    async def _second_split(self) -> Step:
        began = time.monotonic()
        weights = await self._edited_by_hand() if self.edit_within else {}
        settled = 0.0
        if not weights:
            weights, settled = SECOND_WEIGHTS, await self._edit(SECOND_WEIGHTS)
        after = f" {1000 * settled:.0f} ms after the edit" if settled else ""
        self.say(f"2.  the rules now say {spoken(weights)}, in force at every Envoy that asks for {SPLIT}{after}")
        title = "edited to " + "/".join(str(each) for each in weights.values())
        return await self._judged(Step(2, title, shares(weights), settled=settled), began, SECOND_REQUESTS)

    async def _loss(self) -> Step:
        configured = shares(await self._weights())
        if configured.get("v2", 0.0) < LEAST_TO_SEE_A_LOSS:
            self.say(f"    back to {spoken(SECOND_WEIGHTS)}, so that the loss of an instance of v2 is felt")
            await self._edit(SECOND_WEIGHTS)
            configured = shares(SECOND_WEIGHTS)
        began = time.monotonic()
        self.mesh.kill(self.mesh.topology.instance(VICTIM))
        settled = await until(self._ejected, f"{VICTIM} ejected by every Envoy that called it", EJECTED_AT_MOST)
        self.say(f"3.  {VICTIM} was killed with its Envoy; {1000 * settled:.0f} ms later no Envoy tries it any more")
        expected = {"reviews-v1": configured.get("v1", 0.0), SURVIVOR: configured["v2"], VICTIM: 0.0}
        step = Step(3, f"{VICTIM} killed", expected, settled=settled, split=configured)
        return await self._judged(step, began, LOSS_REQUESTS, tally.instances)

    async def _judged(self, step: Step, began: float, requests: int, count: Count = tally.versions) -> Step:
        """Measures from now on; failures count since the step began, while it was coming into force too."""
        done = step
        for number in range(1, MEASUREMENTS + 1):
            before, now = await self._attempts(), time.monotonic()
            samples = await self.mesh.traffic.collect(requests, now)
            done = attrs.evolve(
                step,
                measured=Measured(
                    counts=count(samples, SPLIT),
                    errors=tally.errors(self.mesh.traffic.since(began)),
                    attempts=await self._attempts() - before if step.configured.get(VICTIM) == 0 else 0,
                    traffic=tally.rows(samples),
                ),
                measurements=number,
            )
            if done.ok or not done.may_be_chance:
                break
        for line in verdict(done):
            self.say(line)
        return done

    async def _edit(self, weights: Mapping[str, int]) -> float:
        """The seconds from writing the rules until the Envoys have them."""
        write(self.mesh.folder.rules, documents.rules(weights))
        return await self._in_force(weights)

    async def _in_force(self, weights: Mapping[str, int]) -> float:
        async def so() -> bool:
            found = await self.mesh.probe.weights()
            return bool(found) and all(each == weights for each in found)

        return await until(so, f"{spoken(weights)} in force at the Envoys", IN_FORCE_AT_MOST, every=0.02)

    async def _edited_by_hand(self) -> Mapping[str, int]:
        """The weights that someone wrote, once the Envoys have them; none if there are no new ones in time."""
        file = self.mesh.folder.rules
        self.say(f"2.  now you: change the weights in {file} and save it")
        self.say(f"    (if nothing happens for {self.edit_within:.0f} seconds, the demo writes 50 and 50 itself)")

        async def so() -> bool:
            found = await self._weights()
            return "" not in found and found not in ({}, FIRST_WEIGHTS)

        try:
            await until(so, "rules edited", self.edit_within)
        except NotInTimeError:
            return {}
        return await self._weights()

    async def _weights(self) -> dict[str, int]:
        """What all the Envoys agree on; none while they don't."""
        first, *others = await self.mesh.probe.weights() or [{}]
        return first if all(each == first for each in others) else {}

    async def _ejected(self) -> bool:
        seen = await self._victim()
        return bool(seen) and all(each.ejected for each in seen)

    async def _attempts(self) -> int:
        """Connections that the callers' Envoys ever tried to the victim."""
        return sum(each.attempts for each in await self._victim())

    async def _victim(self) -> list[Endpoint]:
        """As every caller's Envoy sees it."""
        victim = self.mesh.topology.instance(VICTIM)
        return await self.mesh.probe.seen_by_callers(victim.inbound_port, victim.version)


def spoken(weights: Mapping[str, int]) -> str:
    """`90 % v1, 10 % v2`."""
    return ", ".join(f"{share:g} % {version}" for version, share in shares(weights).items())
