"""TCP through an upstream listener of the sidecar: a service on a port of its own on loopback."""

from __future__ import annotations

import math
import socket
from collections import Counter

import pytest

from tests.e2e.world import LOOPBACK, Mesh, eventually
from tests.servers.ports import free_ports

pytestmark = pytest.mark.e2e

DOCUMENTS = """
apiVersion: networking.istio.io/v1beta1
kind: DestinationRule
metadata: {name: split}
spec:
  host: split.service.consul
  subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]
---
apiVersion: networking.istio.io/v1beta1
kind: VirtualService
metadata: {name: split}
spec:
  hosts: [split.service.consul]
  tcp:
  - route:
    - {destination: {host: split.service.consul, subset: v1}, weight: 80}
    - {destination: {host: split.service.consul, subset: v2}, weight: 20}
"""


def ask(port: int, *messages: bytes) -> tuple[str, bytes]:
    """One connection: who answered, and what came back of the messages."""
    with socket.create_connection((LOOPBACK, port), timeout=10) as connection:
        connection.settimeout(10)
        for message in messages:
            connection.sendall(message)
        connection.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    name, _, echo = answer.partition(b"\n")
    return name.decode(), echo


def test_tcp_is_echoed_through_both_sidecars_and_split_by_weight(shared: Mesh) -> None:
    shared.apply("split.yaml", DOCUMENTS)
    shared.instance("db", kind="tcp", meta={"mesh-port": "5432"}, sidecar=True)
    shared.instance("split", "v1", kind="tcp", meta={"mesh-port": "6000", "version": "v1"})
    shared.instance("split", "v2", kind="tcp", meta={"mesh-port": "6000", "version": "v2"})
    db, split = free_ports(2)
    shared.client(
        *("--upstream", f"db.service.consul:5432@{db}"),
        *("--upstream", f"split.service.consul:6000@{split}"),
        name="tcp-client",
    )
    eventually(lambda: ask(db, b"ping") == ("db", b"ping"), "db answering")
    large = bytes(range(256)) * 4096
    assert ask(db, large, b"end") == ("db", large + b"end")

    eventually(lambda: {ask(split, b"x")[0] for _ in range(40)} == {"v1", "v2"}, "both versions answering")
    connections, share = 400, 0.2
    found = Counter(ask(split, b"x")[0] for _ in range(connections))
    six_sigma = 6 * math.sqrt(connections * share * (1 - share))
    assert found.keys() == {"v1", "v2"}
    assert found["v2"] == pytest.approx(connections * share, abs=six_sigma)
