"""Which of several replicas leads, by a session and a lock of Consul: what to do next, and whether to act. Pure.

Driven by `adapters.consul.election`; time is an argument, in seconds of one clock that never goes back. Consul ends a
session at the earliest `ttl` seconds after it was renewed, so a leader that hears nothing from Consul leads for as long
and no longer, by its own clock: at no moment do two lead.
"""

from __future__ import annotations

import enum
import math

import attrs

ASK_EVERY = 1.0
"""Seconds after which a replica that does not lead tries again."""


class Act(enum.Enum):
    """What to ask of Consul."""

    CREATE = "create a session"
    RENEW = "renew it"
    ACQUIRE = "take the lock, or learn whether it is still held"


@attrs.frozen
class Candidacy:
    """Where a replica stands. `alive` is before when the session was last asked for and there: it lives from then on
    for `ttl` at least."""

    ttl: float
    session: str = ""
    holds: bool = False
    alive: float = -math.inf
    due: float = -math.inf

    def act(self, now: float) -> Act:
        """What to ask next, once it is `due`; answered by `created`, `renewed`, `acquired`, `lost` or `failed`."""
        if not self.session:
            return Act.CREATE
        return Act.RENEW if now >= self.alive + self.ttl / 3 else Act.ACQUIRE

    def leads(self, now: float) -> bool:
        """Whether to act as the leader at this moment."""
        return self.holds and now < self.alive + self.ttl

    def created(self, session: str, asked: float) -> Candidacy:
        return Candidacy(self.ttl, session, alive=asked)

    def renewed(self, asked: float) -> Candidacy:
        return attrs.evolve(self, alive=asked, due=-math.inf)

    def acquired(self, holds: bool, now: float) -> Candidacy:
        """Whether the lock is ours."""
        return attrs.evolve(self, holds=holds, due=now + (self.ttl / 3 if holds else ASK_EVERY))

    def lost(self, now: float) -> Candidacy:
        """Consul knows the session no more: another one may hold the lock."""
        return Candidacy(self.ttl, due=now)

    def failed(self, now: float) -> Candidacy:
        """No answer: what was known holds until it is too old."""
        return attrs.evolve(self, due=now + ASK_EVERY)
