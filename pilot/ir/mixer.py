"""What of a listener's traffic Mixer is asked and told."""

from __future__ import annotations

from datetime import timedelta

import attrs


@attrs.frozen(cache_hash=True)
class Mixer:
    """`attributes` is what goes with every call, as `mesh-attributes` metadata. `check` asks before, `report` tells
    afterwards; within `deadline` comes an answer, or `fail_open` says what it would have been."""

    attributes: str
    check: bool = False
    fail_open: bool = False
    deadline: timedelta = timedelta(0)
    retries: int = 0
    """Tries more, where Mixer can't be reached."""
    clear_route: bool = False
    """Whether an answer may change headers that routes look at."""
    strips_responses: bool = False
    """Whether an answer may take headers off what the service answers."""
    report: bool = False
    request_headers: tuple[str, ...] = ()
    response_headers: tuple[str, ...] = ()
    """What reports hold beyond what Envoy tells by itself."""
