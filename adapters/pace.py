"""How often a server is asked: the pause after failures, and what may be spent while everything changes. Pure.

Called by the threads of `adapters.consul` and `adapters.nomad` that ask their servers. Time and chance are arguments.
"""

from __future__ import annotations

import attrs

FIRST_PAUSE = 0.25
LONGEST_PAUSE = 10.0


def pause_after_failure(failures: int, chance: float, retry_after: float | None = None) -> float:
    """Seconds until the next try after so many failures in a row.

    Doubles up to a limit; `chance` (0 to 1) takes up to half of it away, so that many clients of one agent don't come
    back together. What the server asked for is the least, up to ten times our own limit.
    """
    full = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(failures - 1, 16))
    return max(full * (1 - chance / 2), min(retry_after or 0.0, LONGEST_PAUSE * 10))


@attrs.frozen
class Allowance:
    """How often something dear may be done while everything changes all the time: a bucket of tokens.

    A quiet mesh has a full bucket, so single changes are looked at at once; only lasting churn is slowed down to `rate`
    tokens a second, which bounds what churn costs Consul.
    """

    rate: float
    burst: float
    tokens: float
    at: float = 0.0

    @classmethod
    def full(cls, rate: float, burst: float) -> Allowance:
        return cls(rate, burst, burst)

    def spend(self, now: float, cost: float = 1.0) -> tuple[Allowance, float]:
        """The bucket after one more expense, and the seconds to wait until it is no longer overdrawn."""
        tokens = min(self.burst, self.tokens + (now - self.at) * self.rate) - cost
        return attrs.evolve(self, tokens=tokens, at=now), max(0.0, -tokens / self.rate)
