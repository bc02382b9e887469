"""What comes to the edge of the mesh: a router that listens as Gateways say, and hands on to sidecars and services."""

from __future__ import annotations

import contextlib
import hashlib
import socket
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from tests.e2e.peers import answer_http, peer, register
from tests.e2e.test_tcp import ask
from tests.e2e.traffic import Connection, Reply
from tests.e2e.world import LOOPBACK, Mesh, Sidecar, eventually
from tests.servers.ports import free_ports
from tests.servers.tls import Authority, Certificate

pytestmark = pytest.mark.e2e

GATEWAY = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: {name}}}
spec:
  selector: {{edge: tests}}
  servers:
{servers}
"""
ROUTES = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: gw-http}
spec:
  hosts: [shop.gw.example, api.gw.example]
  gateways: [gw-http, gw-https, gw-files]
  http:
  - match: [{uri: {prefix: /cart}}, {authority: {exact: api.gw.example}}]
    route: [{destination: {host: gw-api.service.consul}}]
  - route: [{destination: {host: gw-shop.service.consul}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: gw-opaque}
spec:
  hosts: ["*"]
  gateways: [gw-opaque]
  tls: [{match: [{sniHosts: [safe.gw.example]}], route: [{destination: {host: gw-safe.service.consul}}]}]
  tcp: [{route: [{destination: {host: gw-ledger.service.consul}}]}]
"""
EGRESS = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: gw-outside}
spec:
  hosts: [outside.gw.example]
  gateways: [mesh, gw-egress]
  http:
  - {match: [{gateways: [mesh]}], route: [{destination: {host: gw-egress.service.consul}}]}
  - {match: [{gateways: [gw-egress]}], route: [{destination: {host: gw-outside.service.consul}}]}
"""
SHOP = "shop.gw.example"


@dataclass(frozen=True)
class Edge:
    """The gateway under test, its ports by what they are for, and who signed its certificates."""

    mesh: Mesh
    proxy: Sidecar
    ports: dict[str, int]
    authority: Authority
    certificate: Certificate

    def server(self, use: str, protocol: str, hosts: str, tls: str = "") -> str:
        port = f"{{number: {self.ports[use]}, name: {use}, protocol: {protocol}}}"
        return f"  - {{port: {port}, bind: {LOOPBACK}, hosts: [{hosts}]{', tls: {' + tls + '}' if tls else ''}}}"

    def apply(self, name: str, *servers: str) -> None:
        self.mesh.apply(f"{name}.yaml", GATEWAY.format(name=name, servers="\n".join(servers)))

    def files(self, mode: str, more: str = "") -> str:
        pair = f"serverCertificate: {self.certificate.cert_file}, privateKey: {self.certificate.key_file}"
        return f"mode: {mode}, {pair}{more}"

    def get(self, use: str, path: str = "/", host: str = SHOP, headers: Mapping[str, str] | None = None) -> Reply:
        with contextlib.closing(Connection(self.ports[use], host)) as connection:
            return connection.send(path, headers=headers)


@pytest.fixture(scope="module")
def edge(shared: Mesh, tmp_path_factory: pytest.TempPathFactory) -> Edge:
    """A gateway that runs before anything says what it listens on."""
    uses = (
        "http",
        "other",
        "redirect",
        "https",
        "mutual",
        "pinned",
        "optional",
        "opaque",
        "tcp",
        "egress",
        "missing",
        "present",
    )
    authority = Authority(tmp_path_factory.mktemp("gateway-authority"))
    names = ("DNS:*.gw.example",)
    proxy = shared.client("--gateway", "--label", "edge=tests", name="edge")
    found = Edge(
        shared, proxy, dict(zip(uses, free_ports(len(uses)), strict=True)), authority, authority.issue("edge", *names)
    )
    shared.apply("gateway_routes.yaml", ROUTES)
    for service in ("gw-shop", "gw-api"):
        shared.instance(service, sidecar=True)
    return found


@pytest.fixture(scope="module")
def https(edge: Edge) -> Edge:
    """With its servers for TLS that is ended at the gateway."""
    clients = f", caCertificates: {edge.authority.ca_file}"
    edge.apply(
        "gw-https",
        edge.server("https", "HTTPS", SHOP, edge.files("SIMPLE", ", minProtocolVersion: TLSV1_3")),
        edge.server("mutual", "HTTPS", SHOP, edge.files("MUTUAL", f"{clients}, subjectAltNames: [friend.example]")),
        edge.server("optional", "HTTPS", SHOP, edge.files("OPTIONAL_MUTUAL", clients)),
    )
    eventually(lambda: handshake(edge, "https", trusting(edge)) == "http/1.1", "HTTPS served")
    return edge


def trusting(edge: Edge, client: Certificate | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=edge.authority.ca_file)
    context.set_alpn_protocols(["http/1.1"])
    if client:
        context.load_cert_chain(client.cert_file, client.key_file)
    return context


@contextlib.contextmanager
def secured(edge: Edge, use: str, context: ssl.SSLContext, name: str = SHOP) -> Iterator[ssl.SSLSocket]:
    with (
        socket.create_connection((LOOPBACK, edge.ports[use]), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname=name) as connection,
    ):
        yield connection


def handshake(edge: Edge, use: str, context: ssl.SSLContext) -> str | None:
    """The protocol agreed on."""
    with secured(edge, use, context) as connection:
        return connection.selected_alpn_protocol()


def request(edge: Edge, use: str, context: ssl.SSLContext, path: str = "/", name: str = SHOP) -> str:
    """The status and the whole text of an answer over TLS."""
    with secured(edge, use, context, name) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
    return answer.removeprefix("HTTP/1.1 ")


def test_http_goes_by_host_and_path_through_sidecars_and_changes_take_effect(edge: Edge) -> None:
    edge.apply("gw-http", edge.server("http", "HTTP", '"*.gw.example"'))
    eventually(lambda: edge.get("http").instance == "gw-shop", "the shop served")
    assert edge.get("http", "/cart/1").instance == "gw-api"
    assert edge.get("http", host="api.gw.example").instance == "gw-api"
    assert edge.get("http", host=f"{SHOP}:8080").instance == "gw-shop"
    assert edge.get("http", host="other.gw.example").status == 404
    assert edge.get("http", host="gw-shop.service.consul").status == 404
    claims = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.99"}
    told = edge.get("http", headers=claims).told["headers"]
    assert told["x-forwarded-proto"] == "http", "what strangers say is not believed"
    assert told["x-forwarded-for"].startswith("192.0.2.99,"), "and who they are is added"

    edge.apply(
        "gw-http",
        edge.server("http", "HTTP", "api.gw.example"),
        edge.server("other", "HTTP", SHOP),
    )
    eventually(lambda: edge.get("other").instance == "gw-shop", "the second port served")
    eventually(lambda: edge.get("http").status == 404, "the shop moved away")
    assert edge.get("http", host="api.gw.example").instance == "gw-api"

    edge.apply("gw-http", edge.server("redirect", "HTTP", f'{SHOP}, "*.old.example"', "httpsRedirect: true"))
    eventually(lambda: edge.get("redirect", "/a?b=c").status == 301, "HTTP sent to HTTPS")
    assert edge.get("redirect", "/a?b=c").headers["location"] == f"https://{SHOP}/a?b=c"
    assert edge.get("redirect", host="x.old.example").headers["location"] == "https://x.old.example/"
    assert edge.get("redirect", host="api.gw.example").status == 404
    eventually(lambda: not _listens(edge.ports["other"]), "the port of a server that is gone closed")


def _listens(port: int) -> bool:
    try:
        socket.create_connection((LOOPBACK, port), timeout=5).close()
    except OSError:
        return False
    return True


def test_https_shows_the_servers_certificate_and_offers_http2(https: Edge) -> None:
    context = trusting(https)
    assert request(https, "https", context).startswith("200 ")
    assert '"gw-api"' in request(https, "https", context, "/cart")
    with secured(https, "https", context) as connection:
        assert connection.version() == "TLSv1.3"
    context.set_alpn_protocols(["h2", "http/1.1"])
    assert handshake(https, "https", context) == "h2"

    context = trusting(https)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError):
        handshake(https, "https", context)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        request(https, "https", trusting(https), name="other.gw.example")


def test_mutual_tls_lets_in_who_shows_the_right_certificate(https: Edge) -> None:
    friend = https.authority.issue("friend", "DNS:friend.example")
    stranger = https.authority.issue("stranger", "DNS:stranger.example")
    assert request(https, "mutual", trusting(https, friend)).startswith("200 ")
    for client in (None, stranger):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            assert request(https, "mutual", trusting(https, client)), "nothing is answered"


def test_a_service_is_left_by_way_of_an_egress_gateway(edge: Edge, client: Sidecar) -> None:
    edge.mesh.instance("gw-outside")
    register(edge.mesh, "gw-egress", edge.ports["egress"])
    edge.apply("gw-egress", edge.server("egress", "HTTP", "outside.gw.example"))
    edge.mesh.apply("gateway_egress.yaml", EGRESS)
    eventually(lambda: client.get("outside.gw.example").instance == "gw-outside", "the outside reached")
    assert edge.proxy.stat("http.default.gw-egress.egress.downstream_rq_2xx") > 0


def test_optional_mutual_tls_verifies_certificates_that_are_shown(
    https: Edge, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert request(https, "optional", trusting(https)).startswith("200 ")
    known = https.authority.issue("known")
    assert request(https, "optional", trusting(https, known)).startswith("200 ")
    unknown = Authority(tmp_path_factory.mktemp("another-authority")).issue("unknown")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        assert request(https, "optional", trusting(https, unknown)), "nothing is answered"


def test_mutual_tls_may_know_clients_by_their_certificates_and_by_what_was_revoked(edge: Edge) -> None:
    friend, lost, other = (edge.authority.issue(name) for name in ("pinned", "lost", "unpinned"))
    pins = [hashlib.sha256(ssl.PEM_cert_to_DER_cert(each.cert_file.read_text())).hexdigest() for each in (friend, lost)]
    clients = f", caCertificates: {edge.authority.ca_file}, caCrl: {edge.authority.revocations(lost)}"
    more = f"{clients}, verifyCertificateHash: [{', '.join(pins)}]"
    edge.apply("gw-files", edge.server("pinned", "HTTPS", SHOP, edge.files("MUTUAL", more)))
    eventually(lambda: request(edge, "pinned", trusting(edge, friend)).startswith("200 "), "the pinned client let in")
    for client in (lost, other):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            assert request(edge, "pinned", trusting(edge, client)), "nothing is answered"


def test_a_listener_whose_files_are_missing_is_refused_alone(edge: Edge) -> None:
    missing = "mode: SIMPLE, serverCertificate: /nowhere/cert.pem, privateKey: /nowhere/key.pem"
    edge.apply(
        "gw-files",
        edge.server("missing", "HTTPS", SHOP, missing),
        edge.server("present", "HTTPS", SHOP, edge.files("SIMPLE")),
    )
    eventually(
        lambda: 'pilot_total_xds_rejects{type="sds"}' in edge.mesh.control.get("/metrics"), "the missing files noticed"
    )
    eventually(lambda: request(edge, "present", trusting(edge)).startswith("200 "), "the other listener served")
    edge.apply("gw-files", edge.server("missing", "HTTPS", SHOP, edge.files("SIMPLE")))
    eventually(lambda: request(edge, "missing", trusting(edge)).startswith("200 "), "the mended listener served")


def test_tls_is_passed_on_by_server_name_and_tcp_as_it_comes(edge: Edge) -> None:
    own = edge.authority.issue("safe", "DNS:safe.gw.example")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own.cert_file, own.key_file)
    edge.mesh.instance("gw-ledger", kind="tcp")
    with peer(answer_http, context) as port:
        register(edge.mesh, "gw-safe", port, kind="tls")
        edge.apply(
            "gw-opaque",
            edge.server("opaque", "TLS", '"*.gw.example"', "mode: PASSTHROUGH"),
            edge.server("tcp", "TCP", '"*"'),
        )
        eventually(lambda: _common_name(edge, "safe.gw.example") == "safe", "the service's own certificate shown")
        with pytest.raises((ssl.SSLError, ConnectionError)):
            _common_name(edge, SHOP)
        eventually(lambda: ask(edge.ports["tcp"], b"abc") == ("gw-ledger", b"abc"), "TCP handed on")


def _common_name(edge: Edge, name: str) -> str:
    with secured(edge, "opaque", trusting(edge), name) as connection:
        found: Any = connection.getpeercert()
        return str(dict(part[0] for part in found["subject"])["commonName"])
