from __future__ import annotations

import ipaddress
import socket

from pilot.sidecar.address import free_port, is_taken, own_address


def test_this_hosts_address_can_be_bound() -> None:
    address = own_address()
    with socket.socket(socket.AF_INET6 if ipaddress.ip_address(address).version == 6 else socket.AF_INET) as probe:
        probe.bind((address, 0))


def test_a_port_is_taken_while_somebody_listens_though_willing_to_share() -> None:
    port = free_port()
    assert not is_taken("127.0.0.1", port)
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        server.bind(("127.0.0.1", port))
        server.listen()
        assert is_taken("127.0.0.1", port)
        assert is_taken("0.0.0.0", port)
    assert not is_taken("127.0.0.1", port)


def test_an_address_of_another_host_is_not_taken() -> None:
    assert not is_taken("192.0.2.1", 80)
