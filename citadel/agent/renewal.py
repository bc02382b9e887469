"""When the agent tries again. Pure; when it first tries to renew is `citadel.rotation.renewal`."""

from __future__ import annotations

import random

LONGEST = 60.0
LONGEST_AT_FIRST = 10.0
"""Without a certificate the workload can't work at all, so it asks more often than who merely renews."""
SHORTEST = 0.25


def pause(failures: int, left: float | None, draw: float) -> float:
    """Seconds until the next try after so many failures in a row; `draw` is a random number from 0 to 1.

    It doubles up to a minute, but leaves at least three more tries to what is `left` of the certificate's life (None
    where there is none). A part of it is random, so that a thousand agents do not come together when a CA is back.
    """
    longest = LONGEST_AT_FIRST if left is None or left <= 0 else min(LONGEST, left / 4)
    return max(SHORTEST, min(longest, 2.0 ** min(failures, 10)) * (0.5 + draw / 2))


def draw() -> float:
    return random.random()
