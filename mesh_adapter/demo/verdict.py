"""Whether what was seen is what was configured. Pure.

A split sends every request to a version by a throw of dice, so the counts are binomial: `n` requests of which a share
`p` should go somewhere miss `n * p` by more than three standard deviations once in 370 measurements. That is too often
for a demo that checks three times, so a measurement that misses is made a second time, and both would have to miss.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from mesh_adapter.demo.tally import Row

SIGMAS = 3.0


@attrs.frozen
class Measured:
    """What was seen while a step was measured: requests by name (of a version or an instance), and failures.

    `attempts` are connections that Envoys tried to the instance that is meant to get nothing, `traffic` all services'.
    """

    counts: Mapping[str, int] = attrs.field(factory=dict)
    errors: Mapping[str, int] = attrs.field(factory=dict)
    attempts: int = 0
    traffic: tuple[Row, ...] = ()

    @property
    def requests(self) -> int:
        return sum(self.counts.values())


@attrs.frozen
class Step:
    """One step with its verdict; shares in percent, `settled` the seconds until what was done was in force.

    `configured` names versions, or instances where one of those is lost; `split` names versions in any case.
    """

    number: int
    title: str
    configured: Mapping[str, float]
    measured: Measured = Measured()
    settled: float = 0.0
    measurements: int = 1
    split: Mapping[str, float] = attrs.field(default=attrs.Factory(lambda self: self.configured, takes_self=True))

    @property
    def problems(self) -> tuple[str, ...]:
        return tuple(_problems(self))

    @property
    def ok(self) -> bool:
        return not self.problems

    @property
    def may_be_chance(self) -> bool:
        """Whether nothing is wrong but the shares, so that measuring again may tell."""
        return bool(self.measured.requests) and not self.measured.errors and not self.measured.attempts

    @property
    def seen(self) -> Mapping[str, float]:
        """In percent, of what is configured first, then of what should not be there."""
        names = dict.fromkeys((*self.configured, *self.measured.counts))
        total = self.measured.requests or 1
        return {name: round(100 * self.measured.counts.get(name, 0) / total, 1) for name in names}

    def as_json(self) -> dict[str, Any]:
        return {
            "step": self.number,
            "title": self.title,
            "configured": dict(self.configured),
            "seen": dict(self.seen),
            "requests": self.measured.requests,
            "errors": sum(self.measured.errors.values()),
            "settledSeconds": round(self.settled, 3),
            "measurements": self.measurements,
            "problems": list(self.problems),
            "ok": self.ok,
            "traffic": [attrs.asdict(row) for row in self.measured.traffic],
        }


def shares(weights: Mapping[str, int]) -> dict[str, float]:
    """Weights as percentages of their sum."""
    total = sum(weights.values()) or 1
    return {name: 100 * weight / total for name, weight in weights.items()}


def tolerance(requests: int, percent: float) -> float:
    """How many percent the share of so many requests may be off."""
    share = percent / 100
    return 100 * SIGMAS * math.sqrt(share * (1 - share) / requests)


def _problems(step: Step) -> Iterator[str]:
    measured = step.measured
    if not measured.requests:
        yield "no request was answered"
        return
    for name in dict.fromkeys((*step.configured, *measured.counts)):
        yield from _share(name, step.configured.get(name, 0.0), measured)
    for error, count in measured.errors.items():
        yield f"{count} x {error}"
    if measured.attempts:
        yield f"{measured.attempts} connections were tried to the instance that is gone"


def _share(name: str, percent: float, measured: Measured) -> Iterator[str]:
    """A share of 0 or 100 percent has no tolerance."""
    seen = 100 * measured.counts.get(name, 0) / measured.requests
    allowed = tolerance(measured.requests, percent)
    if abs(seen - percent) > allowed + 1e-9:
        yield f"{name}: {seen:.1f} % of the requests, not {percent:g} % (± {allowed:.1f})"
