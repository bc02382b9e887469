"""What to do with an Envoy that dies, and with one that is to end: the decisions, without clock, process or signal.

`pilot.sidecar.launch` tells it what happened and when, follows the Step that comes back, and calls `tick` at
`deadline`. Times are seconds of any monotonic clock. Pure.
"""

from __future__ import annotations

import enum

import attrs


@attrs.frozen
class Limits:
    """Seconds. `notice` is what a drain lasts at least: peers take a moment to hear of it and send elsewhere."""

    drain: float = 5.0
    notice: float = 2.0
    kill: float = 5.0
    first_pause: float = 0.5
    longest_pause: float = 10.0
    good_life: float = 60.0


class Phase(enum.Enum):
    IDLE = "idle"
    RUNNING = "running"
    PAUSING = "pausing"
    DRAINING = "draining"
    ENDING = "ending"
    OVER = "over"


class Action(enum.Enum):
    """START a new Envoy; tell it to DRAIN; TERMINATE is SIGTERM, KILL is SIGKILL."""

    START = "start"
    DRAIN = "drain"
    TERMINATE = "terminate"
    KILL = "kill"


@attrs.frozen
class Step:
    """What to do now, if anything, and what to tell the operator, if anything."""

    action: Action | None = None
    message: str = ""


NOTHING = Step()


class Supervision:
    """One sidecar's life. After OVER, `status` is the exit status: 0 unless a drain was cut short."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._pause = limits.first_pause
        self._started = 0.0
        self._drained_since = 0.0
        self.phase = Phase.IDLE
        self.deadline: float | None = None
        self.status = 0

    def begin(self, now: float) -> Step:
        """Called once, first."""
        return self._start(now)

    def ended(self, now: float, how: str) -> Step:
        """Envoy ended, or could not be started; `how` completes the sentence "Envoy …"."""
        if self.phase is Phase.RUNNING:
            return self._pause_before_restart(now, how)
        expected = self.phase is Phase.ENDING
        self._over()
        if expected:
            return Step(message=f"Envoy {how}; done")
        self.status = 1
        return Step(message=f"Envoy {how} while it was draining: what was open is cut")

    def stop(self, now: float) -> Step:
        """SIGTERM or SIGINT. The first drains, the second ends Envoy at once, the third kills it."""
        if self.phase is Phase.RUNNING:
            self.phase, self._drained_since = Phase.DRAINING, now
            self.deadline = now + self._limits.drain
            return Step(Action.DRAIN, f"draining for at most {self._limits.drain:g} s; a second signal ends it at once")
        if self.phase is Phase.DRAINING:
            self.status = 1
            return self._terminate(now, "second signal: ending Envoy without waiting for what is open")
        if self.phase is Phase.ENDING:
            return self._kill("told again: killing Envoy")
        self._over()
        return NOTHING

    def active(self, now: float, count: int) -> Step:
        """How many requests and connections Envoy has open, as often as it is known."""
        if self.phase is not Phase.DRAINING or count or now < self._drained_since + self._limits.notice:
            return NOTHING
        return self._terminate(now, f"drained in {now - self._drained_since:.1f} s")

    def tick(self, now: float) -> Step:
        """Time passed; called at `deadline`, harmless before."""
        if self.deadline is None or now < self.deadline:
            return NOTHING
        if self.phase is Phase.PAUSING:
            return self._start(now)
        if self.phase is Phase.DRAINING:
            return self._terminate(now, "drain time is over: ending Envoy")
        self.status = 1
        return self._kill(f"Envoy does not end {self._limits.kill:g} s after SIGTERM: killing it")

    def _start(self, now: float) -> Step:
        self.phase, self._started, self.deadline = Phase.RUNNING, now, None
        return Step(Action.START)

    def _pause_before_restart(self, now: float, how: str) -> Step:
        if now - self._started >= self._limits.good_life:
            self._pause = self._limits.first_pause
        pause, self._pause = self._pause, min(2 * self._pause, self._limits.longest_pause)
        self.phase, self.deadline = Phase.PAUSING, now + pause
        return Step(message=f"Envoy {how} after {now - self._started:.1f} s; starting it again in {pause:g} s")

    def _terminate(self, now: float, message: str) -> Step:
        self.phase, self.deadline = Phase.ENDING, now + self._limits.kill
        return Step(Action.TERMINATE, message)

    def _kill(self, message: str) -> Step:
        self.deadline = None
        return Step(Action.KILL, message)

    def _over(self) -> None:
        self.phase, self.deadline = Phase.OVER, None
