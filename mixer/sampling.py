"""Which of the matching reports are made (Rule.sampling): by a share, or by a count within a window.

A Sampler counts, so it belongs to one open RuleSet's dispatcher; time is an argument. Istio samples reports only, and
so do we.
"""

from __future__ import annotations

import random
import zlib

import attrs

from mixer.attributes import Bag
from mixer.expression import EvaluationError, Program

_WHOLE = 10_000


@attrs.frozen(eq=False)
class SamplingPlan:
    """A rule's sampling, compiled. `share` is in ten-thousandths; None: no share, no window."""

    share: int | None = None
    expression: Program | None = None
    window: float = 0.0
    free: int = 0
    one_in: int = 0


class Sampler:
    """Decides report by report."""

    def __init__(self, plan: SamplingPlan, seed: int | None = None) -> None:
        self._plan = plan
        self._random = random.Random(seed)
        self._window_ends = float("-inf")
        self._seen = 0

    def takes(self, bag: Bag, now: float) -> bool:
        """Whether the report of this bag is made at `now` (seconds, monotonic)."""
        return self._by_share(bag) and self._by_rate(now)

    def _by_share(self, bag: Bag) -> bool:
        plan = self._plan
        if plan.share is None:
            return True
        if plan.expression is None:
            return self._random.randrange(_WHOLE) < plan.share
        try:
            value = plan.expression.evaluate(bag)
        except EvaluationError:
            return self._random.randrange(_WHOLE) < plan.share
        return zlib.crc32(str(value).encode()) % _WHOLE < plan.share

    def _by_rate(self, now: float) -> bool:
        plan = self._plan
        if not plan.one_in:
            return True
        if now >= self._window_ends:
            self._window_ends, self._seen = now + plan.window, 0
        self._seen += 1
        beyond = self._seen - plan.free
        return beyond <= 0 or beyond % plan.one_in == 0
