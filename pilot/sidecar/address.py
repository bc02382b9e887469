"""What this host says of itself: its address as peers see it, and which ports somebody listens on."""

from __future__ import annotations

import errno
import socket

from pilot.sidecar.settings import LOOPBACK

# Reserved for documentation (RFC 5737, RFC 3849): routed like any other address, and nobody's.
_ELSEWHERE = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))
_DISCARD_PORT = 9


def own_address() -> str:
    """The address of the interface that the default route leaves by; loopback on a host without one.

    Connecting a UDP socket sends nothing, it only makes the kernel choose.
    """
    for family, target in _ELSEWHERE:
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect((target, _DISCARD_PORT))
                return str(probe.getsockname()[0])
        except OSError:
            continue
    return LOOPBACK


def is_taken(address: str, port: int) -> bool:
    """Whether somebody listens there by now. Not for an address that can't be bound: that is Envoy's to tell."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((address, port))
    except OSError as error:
        return error.errno == errno.EADDRINUSE
    return False


def free_port() -> int:
    """A port of loopback that is free now; it may be taken by the time it is used."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])
