"""Free ports of loopback for everything that the demo starts."""

from __future__ import annotations

import contextlib
import random
import socket

LOOPBACK = "127.0.0.1"
# Below the range that Linux takes ports for outgoing connections from: one that is free now is not taken by those.
RANGE = range(20_000, 32_000)


class NoPortsError(Exception):
    """Loopback has not enough ports left."""


def free_ports(count: int) -> tuple[int, ...]:
    """Different ones, each seen to be free; all are held until the last is found. Raises NoPortsError."""
    found: list[int] = []
    with contextlib.ExitStack() as held:
        for port in random.sample(RANGE, len(RANGE)):
            if len(found) == count:
                break
            if _hold(held.enter_context(socket.socket()), port):
                found.append(port)
    if len(found) < count:
        raise NoPortsError(
            f"no {count} ports are free between {RANGE.start} and {RANGE.stop - 1}: stop what holds them"
        )
    return tuple(found)


def _hold(probe: socket.socket, port: int) -> bool:
    """On every address: something that listens on one of them only would be in the way as well."""
    try:
        probe.bind(("", port))
    except OSError:
        return False
    return True
