"""How sidecars reach services outside of the mesh: TLS that is verified, the PROXY protocol, tunnels."""

from __future__ import annotations

import contextlib
import dataclasses
import queue
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from tests.e2e.documents import destination_rules
from tests.e2e.peers import V2_SIGNATURE, answer_http, head, peer, proxy_header, register
from tests.e2e.world import LOOPBACK, Mesh, Sidecar, eventually, host
from tests.servers.ports import free_ports
from tests.servers.tls import Authority

pytestmark = pytest.mark.e2e

TLS_STATS = "cluster.outbound|80||{}.ssl."


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def apply(shared: Mesh, service: str, policy: str) -> None:
    shared.apply(f"{service}.yaml", destination_rules({service: policy}))


def secured(authority: Authority, *names: str, clients: Path | None = None) -> ssl.SSLContext:
    """A server's TLS, with a certificate for these names; clients need one of `clients`, if that is given."""
    certificate = authority.issue("-".join(names), *(f"DNS:{name}" for name in names))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.cert_file, certificate.key_file)
    if clients:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(clients)
    return context


def wait_answered(client: Sidecar, service: str) -> None:
    eventually(lambda: client.get(service).status == 200, f"{service} answered")


def test_tls_asks_for_the_host_and_verifies_that_it_is_the_one(
    shared: Mesh, client: Sidecar, authority: Authority
) -> None:
    asked: list[str | None] = []
    right, wrong = secured(authority, host("tls-right")), secured(authority, "elsewhere.example")
    right.sni_callback = lambda _, name, __: asked.append(name)
    refused = TLS_STATS.format(host("tls-wrong")) + "fail_verify_san"
    with peer(answer_http, right) as port, peer(answer_http, wrong) as other:
        for service, number in (("tls-right", port), ("tls-wrong", other)):
            apply(shared, service, f"{{tls: {{mode: SIMPLE, caCertificates: {authority.ca_file}}}}}")
            register(shared, service, number)
        wait_answered(client, "tls-right")
        eventually(lambda: client.get("tls-wrong").status == 503 and client.stat(refused) > 0, "another refused")
    assert set(asked) == {host("tls-right")}


def test_names_that_a_rule_says_take_the_place_of_the_host(shared: Mesh, client: Sidecar, authority: Authority) -> None:
    names = "subjectAltNames: [backend.internal], sni: backend.internal"
    apply(shared, "tls-named", f"{{tls: {{mode: SIMPLE, caCertificates: {authority.ca_file}, {names}}}}}")
    asked: list[str | None] = []
    context = secured(authority, "backend.internal")
    context.sni_callback = lambda _, name, __: asked.append(name)
    with peer(answer_http, context) as port:
        register(shared, "tls-named", port)
        wait_answered(client, "tls-named")
    assert set(asked) == {"backend.internal"}


def test_a_certificate_of_an_unknown_authority_is_refused_unless_nothing_is_verified(
    shared: Mesh, client: Sidecar, authority: Authority, tmp_path: Path
) -> None:
    stranger = Authority(tmp_path / "stranger")
    apply(shared, "tls-stranger", f"{{tls: {{mode: SIMPLE, caCertificates: {authority.ca_file}}}}}")
    with peer(answer_http, secured(stranger, host("tls-stranger"))) as port:
        register(shared, "tls-stranger", port)
        stat = TLS_STATS.format(host("tls-stranger")) + "fail_verify_error"
        eventually(lambda: client.get("tls-stranger").status == 503 and client.stat(stat) > 0, "refused")
        apply(shared, "tls-stranger", "{tls: {mode: SIMPLE, insecureSkipVerify: true}}")
        wait_answered(client, "tls-stranger")


def test_mutual_tls_shows_the_clients_certificate_and_minds_revocations(
    shared: Mesh, client: Sidecar, authority: Authority
) -> None:
    mine = authority.issue("client")
    files = f"caCertificates: {mine.ca_file}, clientCertificate: {mine.cert_file}, privateKey: {mine.key_file}"
    context = secured(authority, host("tls-mutual"), clients=authority.ca_file)
    server = dataclasses.replace(mine, cert_file=authority.folder / f"{host('tls-mutual')}.pem")
    apply(shared, "tls-mutual", f"{{tls: {{mode: SIMPLE, caCertificates: {mine.ca_file}}}}}")
    with peer(answer_http, context) as port:
        register(shared, "tls-mutual", port)
        errors = TLS_STATS.format(host("tls-mutual")) + "connection_error"
        eventually(lambda: client.get("tls-mutual").status == 503 and client.stat(errors) > 0, "turned away")
        apply(shared, "tls-mutual", f"{{tls: {{mode: MUTUAL, {files}, caCrl: {authority.revocations()}}}}}")
        wait_answered(client, "tls-mutual")
        revoked = authority.revocations(server)
        apply(shared, "tls-mutual", f"{{tls: {{mode: MUTUAL, {files}, caCrl: {revoked}}}}}")
        eventually(lambda: client.get("tls-mutual").status == 503, "a revoked server refused")


@pytest.mark.parametrize("version", ["V1", "V2"])
def test_the_proxy_protocol_tells_who_the_client_is(shared: Mesh, client: Sidecar, version: str) -> None:
    service = f"announced-{version.lower()}"
    headers: queue.Queue[bytes] = queue.Queue()

    def serve(stream: BinaryIO, connection: socket.socket) -> None:
        headers.put(proxy_header(stream))
        answer_http(stream, connection)

    apply(shared, service, f"{{proxyProtocol: {{version: {version}}}}}")
    with peer(serve) as port:
        register(shared, service, port)
        wait_answered(client, service)
        header = headers.get(timeout=10)
    begin = (
        b"PROXY TCP4 127.0.0.1 127.0.0.1 " if version == "V1" else V2_SIGNATURE + b"\x21\x11\x00\x0c\x7f\x00\x00\x01"
    )
    assert header.startswith(begin)


@pytest.fixture
def heads() -> queue.Queue[list[str]]:
    return queue.Queue()


@contextlib.contextmanager
def tunnelling(heads: queue.Queue[list[str]]) -> Iterator[int]:
    """A proxy at the end of which everything is echoed."""

    def serve(stream: BinaryIO, connection: socket.socket) -> None:
        heads.put(head(stream))
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while data := connection.recv(65536):
            connection.sendall(data)

    with peer(serve) as port:
        yield port


@pytest.fixture(scope="module")
def local(shared: Mesh) -> dict[str, int]:
    """The ports on which a client reaches services that are not looked into."""
    found = dict(zip(("proxy", "short-lived"), free_ports(2), strict=True))
    upstreams = [f"--upstream={service}.service.consul:3128@{port}" for service, port in found.items()]
    shared.client(*upstreams, name="tcp-transport")
    return found


def test_a_tunnel_carries_connections_through_a_proxy(
    shared: Mesh, local: dict[str, int], heads: queue.Queue[list[str]]
) -> None:
    apply(shared, "proxy", "{tunnel: {targetHost: db.internal, targetPort: 5432}}")
    with tunnelling(heads) as port:
        register(shared, "proxy", port, kind="tcp", **{"mesh-port": "3128"})
        eventually(lambda: echo(local["proxy"]) == b"ping", "an echo through the tunnel")
    assert heads.get(timeout=10)[0] == "CONNECT db.internal:5432 HTTP/1.1"


def echo(port: int) -> bytes:
    """What comes back of a ping."""
    with socket.create_connection((LOOPBACK, port), timeout=5) as connection:
        connection.sendall(b"ping")
        return connection.recv(4)


def test_a_connection_ends_when_it_is_as_old_as_it_may_get(shared: Mesh, local: dict[str, int]) -> None:
    """However busy it is: it is asked for an echo all the time."""

    def serve(stream: BinaryIO, connection: socket.socket) -> None:
        while data := connection.recv(65536):
            connection.sendall(data)

    apply(shared, "short-lived", "{connectionPool: {tcp: {maxConnectionDuration: 0.5s}}}")
    with peer(serve) as port:
        register(shared, "short-lived", port, kind="tcp", **{"mesh-port": "3128"})
        eventually(lambda: echo(local["short-lived"]) == b"ping", "an echo")
        with socket.create_connection((LOOPBACK, local["short-lived"]), timeout=5) as connection:
            began = time.monotonic()
            with contextlib.suppress(ConnectionError):
                while connection.send(b"ping") and connection.recv(4):
                    time.sleep(0.01)
            assert 0.4 < time.monotonic() - began < 3
