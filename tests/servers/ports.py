"""Free ports for the servers that tests start, so that tests may run side by side.

A port that was free when somebody looked may be taken when the server binds it: by another test process, or by the
kernel for an outgoing connection. So each process claims whole blocks below the kernel's ephemeral range, by holding a
listening socket on the block's first port for as long as it lives, and hands out every other port of a block once.
"""

from __future__ import annotations

import atexit
import random
import socket
import threading
from collections.abc import Iterator

BLOCK = 100
# Below 32768 the kernel takes no port by itself; Nomad gives its tasks 20000 to 32000, Istio's own are 15000 to 15100.
BLOCK_STARTS = (*range(10_000, 15_000, BLOCK), *range(16_000, 20_000, BLOCK))
LOOPBACK = "127.0.0.1"

_claims: list[socket.socket] = []
_lock = threading.Lock()


def free_port() -> int:
    """A port of 127.0.0.1 that is free for TCP and UDP, and that this function gives to nobody else."""
    with _lock:
        return next(_ports)


def free_ports(count: int) -> tuple[int, ...]:
    """Several such ports."""
    return tuple(free_port() for _ in range(count))


def _free_ports_for_ever() -> Iterator[int]:
    starts = list(BLOCK_STARTS)
    random.shuffle(starts)
    for start in starts:
        if _claim(start):
            yield from filter(_is_free, range(start + 1, start + BLOCK))
    raise RuntimeError(
        f"no port is left between {BLOCK_STARTS[0]} and {BLOCK_STARTS[-1]}: is another run leaking servers?"
    )


def _claim(start: int) -> bool:
    """Hold the block's first port until this process ends; False when another process does."""
    claim = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        claim.bind((LOOPBACK, start))
        claim.listen(1)
    except OSError:
        claim.close()
        return False
    _claims.append(claim)
    return True


@atexit.register
def _give_back() -> None:
    for claim in _claims:
        claim.close()


def _is_free(port: int) -> bool:
    try:
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            with socket.socket(socket.AF_INET, kind) as probe:
                probe.bind(("", port))
    except OSError:
        return False
    return True


_ports = _free_ports_for_ever()
