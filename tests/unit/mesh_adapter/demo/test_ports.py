"""Free ports."""

from __future__ import annotations

import socket

import pytest

from mesh_adapter.demo import ports


def test_they_are_different_and_can_be_listened_on() -> None:
    found = ports.free_ports(5)
    assert len(set(found)) == 5
    for port in found:
        with socket.socket() as listening:
            listening.bind((ports.LOOPBACK, port))


def test_one_that_is_taken_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind((ports.LOOPBACK, 0))
        port = taken.getsockname()[1]
        monkeypatch.setattr(ports, "RANGE", range(port, port + 1))
        with pytest.raises(ports.NoPortsError, match="no 1 ports are free"):
            ports.free_ports(1)
