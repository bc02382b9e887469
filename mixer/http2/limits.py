"""What one connection may cost us. Pure: time is an argument."""

from __future__ import annotations

import attrs


@attrs.frozen
class Limits:
    """Bounds of a connection; the defaults are Mixer 1.1's where it had any."""

    message: int = 1 << 20
    """Bytes of one message, as received."""
    streams: int = 1024
    """Calls at once."""
    nuisance: float = 200.0
    """Frames a second that cost work and bring none: resets, pings, settings, empty data (CVE-2019-9512 and its
    kind, CVE-2023-44487)."""
    burst: float = 2000.0
    """How many of them at once."""
    unsent: int = 4 << 20
    """Bytes of answers that wait for a reader who does not read."""
    first_call: float = 10.0
    """Seconds from the connection to its first call."""


class Nuisance:
    """A bucket that frames without use drain."""

    __slots__ = ("_filled", "_limits", "_since")

    def __init__(self, limits: Limits, now: float) -> None:
        self._limits = limits
        self._filled = limits.burst
        self._since = now

    def too_much(self, now: float) -> bool:
        """One more such frame at `now` (seconds, monotonic): is it one too many?"""
        limits = self._limits
        self._filled = min(limits.burst, self._filled + (now - self._since) * limits.nuisance) - 1
        self._since = now
        return self._filled < 0

    def useful(self) -> None:
        """A call was answered: its share of such frames (pings that measure the path, windows) is paid for."""
        self._filled = min(self._limits.burst, self._filled + 4)
