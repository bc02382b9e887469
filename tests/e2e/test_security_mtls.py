"""Mutual TLS between sidecars: switched on under load, refused to strangers, whatever is spoken; from a gateway too."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

import pytest

from tests.e2e.identities import Identities
from tests.e2e.test_tcp import ask
from tests.e2e.world import LOOPBACK, Mesh, Sidecar, eventually
from tests.servers.ports import free_port

pytestmark = pytest.mark.e2e

TAKES_TLS = ("security.istio.io/tlsMode=istio",)


FEW_REQUESTS_A_CONNECTION = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: mtls-steps}
spec:
  host: mtls-steps.service.consul
  trafficPolicy: {connectionPool: {http: {maxRequestsPerConnection: 5}}}
"""
"""A connection stays as it was begun, plain or by TLS: who has it open is not cut off."""


def policy(name: str, service: str, mode: str) -> str:
    return f"""
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {{name: {name}}}
spec: {{selector: {{matchLabels: {{app: {service}}}}}, mtls: {{mode: {mode}}}}}
"""


@pytest.fixture(scope="module")
def identities(shared: Mesh) -> Identities:
    return Identities(shared)


@pytest.fixture(scope="module")
def caller(identities: Identities) -> Sidecar:
    return identities.client("mtls-caller")


def server(
    shared: Mesh, identities: Identities, service: str, kind: str = "http", protocol: str | None = None
) -> Sidecar:
    """A workload behind a sidecar with an identity."""
    folder = identities.issue(service)
    arguments = ("--identity-files", str(folder), "--label", f"app={service}")
    tags = (*TAKES_TLS, f"app={service}")
    found = shared.instance(service, kind=kind, protocol=protocol, sidecar=True, tags=tags, arguments=arguments)
    assert found.sidecar is not None
    return found.sidecar


def handshakes(sidecar: Sidecar) -> int:
    return sum(count for name, count in sidecar.stats().items() if name.endswith("ssl.handshake"))


def plain_get(port: int) -> bytes:
    """What a caller without a certificate is answered, empty if nothing."""
    with socket.create_connection((LOOPBACK, port), timeout=5) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        try:
            return connection.recv(65536)
        except ConnectionError:
            return b""


def greeting(port: int) -> bytes:
    """Who answers bytes that are no HTTP. Nothing is closed before, while Envoy still looks at the first of them."""
    with socket.create_connection((LOOPBACK, port), timeout=5) as connection:
        connection.sendall(b"hello to whoever is there\n")
        return connection.recv(65536).partition(b"\n")[0]


def tls_get(port: int, folder: Path | None) -> bytes:
    """The same by TLS, with the certificate of that folder or none; empty if it was not let in."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["istio-http/1.1"])
    if folder:
        context.load_cert_chain(folder / "cert-chain.pem", folder / "key.pem")
    try:
        with socket.create_connection((LOOPBACK, port), timeout=5) as raw, context.wrap_socket(raw) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            return connection.recv(65536)
    except (ssl.SSLError, ConnectionError):
        return b""


def test_plain_then_permissive_then_strict_under_load_without_a_failed_request(
    shared: Mesh, identities: Identities, caller: Sidecar
) -> None:
    shared.apply("mtls-connections.yaml", FEW_REQUESTS_A_CONNECTION)
    shared.apply("mtls-steps.yaml", policy("mtls-steps", "mtls-steps", "DISABLE"))
    beside = server(shared, identities, "mtls-steps")
    eventually(lambda: caller.get("mtls-steps").status == 200, "mtls-steps served")
    assert handshakes(beside) == 0
    with caller.load("mtls-steps") as load:
        eventually(lambda: load.count > 100, "a hundred answers in plain text")
        shared.apply("mtls-steps.yaml", policy("mtls-steps", "mtls-steps", "PERMISSIVE"))
        eventually(lambda: handshakes(beside) > 0, "TLS begun")
        before = load.count
        eventually(lambda: load.count > before + 100, "a hundred more")
        assert plain_get(beside.inbound_port).startswith(b"HTTP/1.1 200")
        shared.apply("mtls-steps.yaml", policy("mtls-steps", "mtls-steps", "STRICT"))
        eventually(lambda: plain_get(beside.inbound_port) == b"", "plain text refused")
        before = load.count
        eventually(lambda: load.count > before + 100, "a hundred more under STRICT")
    assert load.failures == []


def test_who_shows_no_certificate_of_the_mesh_is_refused(shared: Mesh, identities: Identities) -> None:
    shared.apply("mtls-strict.yaml", policy("mtls-strict", "mtls-strict", "STRICT"))
    port = server(shared, identities, "mtls-strict").inbound_port
    eventually(lambda: tls_get(port, identities.issue("mtls-caller")).startswith(b"HTTP/1.1 200"), "peers let in")
    assert tls_get(port, None) == b""
    assert tls_get(port, identities.issue("mtls-caller", ca="stranger")) == b""
    assert plain_get(port) == b""


def test_an_instance_that_is_somebody_else_is_not_called(shared: Mesh, identities: Identities, caller: Sidecar) -> None:
    arguments = ("--identity-files", str(identities.issue("mtls-thief")))
    shared.instance("mtls-bank", sidecar=True, tags=TAKES_TLS, arguments=arguments)
    eventually(lambda: caller.get("mtls-bank").status == 503, "the bank known")

    def refused() -> bool:
        assert caller.get("mtls-bank").status == 503
        return any(count for name, count in caller.stats().items() if name.endswith("fail_verify_san"))

    eventually(refused, "the thief's certificate refused")


def test_tcp_and_a_port_that_names_no_protocol(shared: Mesh, identities: Identities) -> None:
    shared.apply(
        "mtls-raw.yaml",
        "---".join(policy(name, name, "PERMISSIVE") for name in ("mtls-tcp", "mtls-any", "mtls-any-http")),
    )
    beside = {
        "mtls-tcp": server(shared, identities, "mtls-tcp", kind="tcp"),
        "mtls-any": server(shared, identities, "mtls-any", kind="tcp", protocol=""),
        "mtls-any-http": server(shared, identities, "mtls-any-http", protocol=""),
    }
    ports = {name: free_port() for name in beside}
    upstreams = [word for name in beside for word in ("--upstream", f"{name}.service.consul@{ports[name]}")]
    raw = identities.client("mtls-raw", *upstreams)
    eventually(lambda: ask(ports["mtls-tcp"], b"x")[0] == "mtls-tcp", "TCP served")
    eventually(lambda: greeting(ports["mtls-any"]) == b"mtls-any", "TCP on a port that says nothing")
    eventually(lambda: raw.get("mtls-any-http").status == 200, "HTTP on a port that says nothing")
    assert plain_get(ports["mtls-any-http"]).startswith(b"HTTP/1.1 200")
    for name, sidecar in beside.items():
        assert handshakes(sidecar) > 0, name


def test_a_gateway_calls_sidecars_by_mutual_tls(shared: Mesh, identities: Identities) -> None:
    port = free_port()
    shared.apply(
        "mtls-gateway.yaml",
        policy("mtls-behind", "mtls-behind", "STRICT")
        + f"""---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: mtls-edge}}
spec:
  selector: {{edge: mtls}}
  servers: [{{port: {{number: {port}, name: http, protocol: HTTP}}, hosts: [mtls.example]}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: mtls-behind}}
spec:
  hosts: [mtls.example]
  gateways: [mtls-edge]
  http: [{{route: [{{destination: {{host: mtls-behind.service.consul}}}}]}}]
""",
    )
    server(shared, identities, "mtls-behind")
    edge = identities.client("mtls-edge", "--gateway", "--label", "edge=mtls")
    edge.outbound_port = port
    eventually(lambda: edge.get("mtls.example").status == 200, "served through the gateway")
