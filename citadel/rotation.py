"""When certificates are replaced: a pure state machine for roots, and the arithmetic of renewal. Time is an argument.

A root is replaced by overlap. The new one is first trusted everywhere (SPREADING), then signs while leaves of the old
one live out (DRAINING), and the old one is withdrawn after the last of these. So at no moment does a leaf exist that
somebody does not trust, whatever step a crash falls into: each step is one durable write of a `State` by whoever holds
it (`embedded` on disk), or can be read from what there is (`vault` from its issuers).
"""

from __future__ import annotations

import enum
from datetime import datetime, timedelta

import attrs

ALARMS = (50, 70, 90)
"""Percent of a certificate's life at which operators are told that nothing replaced it."""


MARGIN = timedelta(seconds=30)
"""Between the last leaf's end and the withdrawal of its root, for clocks that differ and signers that heard late."""


class RotationError(Exception):
    """What was asked can't be done at this step; the message says what can."""


class Step(enum.StrEnum):
    STABLE = "stable"
    SPREADING = "spreading"
    DRAINING = "draining"


@attrs.frozen
class State:
    """`active` signs. `other` is the root to come while SPREADING, the one to go while DRAINING, empty when STABLE."""

    active: str
    since: datetime
    step: Step = Step.STABLE
    other: str = ""

    @property
    def trusted(self) -> tuple[str, ...]:
        """Every root that a live leaf may be signed by, and the one that will sign next."""
        return (self.active, self.other) if self.other else (self.active,)


def begin(state: State, new: str, now: datetime) -> State:
    """The root `new`, made already, is trusted from now on. RotationError while another rotation is under way."""
    if state.step is not Step.STABLE:
        raise RotationError(f"a rotation is under way: {state.step} since {state.since:%Y-%m-%d %H:%M:%S} UTC")
    return State(active=state.active, other=new, step=Step.SPREADING, since=now)


def due(state: State, spread: timedelta, last_leaf: datetime) -> datetime | None:
    """When the next step may be taken; None when there is none.

    `spread` is how long a new root gets to reach every workload; `last_leaf` is when the last leaf ends that the root
    to be withdrawn has signed.
    """
    match state.step:
        case Step.STABLE:
            return None
        case Step.SPREADING:
            return state.since + spread
        case Step.DRAINING:
            return max(state.since, last_leaf) + min(MARGIN, spread)


def advance(state: State, at: datetime | None, now: datetime) -> State:
    """The state after the step that is `due` at `at`, or the same state.

    A clock that was set back makes a step late, never early.
    """
    if at is None or now < at:
        return state
    if state.step is Step.SPREADING:
        return State(active=state.other, other=state.active, step=Step.DRAINING, since=now)
    return State(active=state.active, since=now)


def renewal(
    received: datetime, not_after: datetime, draw: float, fraction: float = 0.5, jitter: float = 0.1
) -> datetime:
    """When a certificate received at `received` is to be replaced: at `fraction` of what was left of its life then,
    earlier or later by up to `jitter` of it. `draw` is a random number from 0 to 1, so that leaves issued together do
    not renew together."""
    return received + (not_after - received) * (fraction + jitter * (2 * draw - 1))


def alarm(not_before: datetime, not_after: datetime, now: datetime) -> int:
    """The highest of ALARMS that the certificate's life has passed; 0 for none, 100 once it is over."""
    if now >= not_after:
        return 100
    passed = 100 * ((now - not_before) / (not_after - not_before))
    return max((each for each in ALARMS if passed >= each), default=0)
