"""Connections that are not looked into, through listeners of their own: by server name, by destination, by weight."""

from __future__ import annotations

import math
import socket
import ssl
from collections import Counter

import pytest

from tests.e2e.test_tcp import ask
from tests.e2e.world import LOOPBACK, Mesh, eventually
from tests.servers.ports import free_ports

pytestmark = pytest.mark.e2e

DOCUMENTS = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: safe}
spec:
  host: safe.service.consul
  subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: safe}
spec:
  hosts: [safe.service.consul, "*.safe.example"]
  tls:
  - match: [{sniHosts: [one.safe.example]}]
    route: [{destination: {host: safe.service.consul, subset: v1}}]
  - match: [{sniHosts: [far.safe.example], destinationSubnets: [10.0.0.0/8]}]
    route: [{destination: {host: safe.service.consul, subset: v1}}]
  - match: [{sniHosts: ["*.safe.example"]}]
    route: [{destination: {host: safe.service.consul, subset: v2}}]
  - match: [{sniHosts: [safe.service.consul], port: 8443}]
    route:
    - {destination: {host: safe.service.consul, subset: v1}, weight: 70}
    - {destination: {host: safe.service.consul, subset: v2}, weight: 30}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: ledger}
spec:
  host: ledger.service.consul
  subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: ledger}
spec:
  hosts: [ledger.service.consul]
  tcp:
  - match: [{destinationSubnets: [10.0.0.0/8]}, {sourceNamespace: elsewhere}, {gateways: [edge]}, {port: 1}]
    route: [{destination: {host: ledger.service.consul, subset: v1}}]
  - match: [{destinationSubnets: [127.0.0.0/8], sourceNamespace: default, port: 7000}]
    route: [{destination: {host: ledger.service.consul, subset: v2}}]
"""


def hello(server_name: str) -> bytes:
    """The first message of a TLS client that asks for that name."""
    to_server = ssl.MemoryBIO()
    session = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).wrap_bio(ssl.MemoryBIO(), to_server, server_hostname=server_name)
    with pytest.raises(ssl.SSLWantReadError):
        session.do_handshake()
    return to_server.read()


def tls(port: int, server_name: str) -> tuple[str, bool]:
    """Who a TLS client that asks for the name comes to, and whether its message came there whole; ("", …) is nobody.

    The workloads say their name and echo what they get. Nothing is closed before that: who closes while Envoy still
    looks at the first bytes is let go.
    """
    message = hello(server_name)
    answer = b""
    with socket.create_connection((LOOPBACK, port), timeout=10) as connection:
        connection.sendall(message)
        while not answer.endswith(message):
            try:
                data = connection.recv(65536)
            except ConnectionError:
                data = b""
            if not data:
                return "", False
            answer += data
    name, _, echo = answer.partition(b"\n")
    return name.decode(), echo == message


def served(port: int, server_name: str) -> str:
    return tls(port, server_name)[0]


def test_tls_goes_by_server_name_and_tcp_by_destination(shared: Mesh) -> None:
    shared.apply("traffic_tls.yaml", DOCUMENTS)
    for version in ("v1", "v2"):
        shared.instance("safe", f"safe-{version}", kind="tcp", meta=meta("tls", 8443, version))
        shared.instance("ledger", f"ledger-{version}", kind="tcp", meta=meta("tcp", 7000, version))
    safe, ledger = free_ports(2)
    shared.client(
        *("--upstream", f"safe.service.consul:8443@{safe}"),
        *("--upstream", f"ledger.service.consul:7000@{ledger}"),
        name="tls-client",
    )
    wanted = {"one.safe.example": "safe-v1", "two.safe.example": "safe-v2", "far.safe.example": "safe-v2"}
    eventually(lambda: {name: served(safe, name) for name in wanted} == wanted, "each name served by its version")
    assert served(safe, "other.example") == ""
    assert tls(safe, "one.safe.example") == ("safe-v1", True)

    eventually(lambda: {ask(ledger, b"x")[0] for _ in range(10)} == {"ledger-v2"}, "ledger by its destination")

    connections, share = 300, 0.3
    name = "safe.service.consul"
    eventually(lambda: {served(safe, name) for _ in range(20)} == {"safe-v1", "safe-v2"}, "both versions answering")
    six_sigma = 6 * math.sqrt(connections * share * (1 - share))
    found = Counter(served(safe, name) for _ in range(connections))
    assert found.keys() == {"safe-v1", "safe-v2"}
    assert found["safe-v2"] == pytest.approx(connections * share, abs=six_sigma)


def meta(protocol: str, port: int, version: str) -> dict[str, str]:
    return {"protocol": protocol, "mesh-port": str(port), "version": version}
