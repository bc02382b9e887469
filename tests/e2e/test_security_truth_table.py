"""Authorization by a real Envoy and by our evaluator: every set of policies with every request of everybody."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterator, Mapping
from typing import Any

import attrs
import pytest

from galley.config import Config, ConfigObject
from galley.kinds.mesh_config import MeshConfig
from pilot import ir
from pilot.envoy import codec
from pilot.envoy.clusters import cluster
from pilot.envoy.listeners import listener
from pilot.envoy.secrets import secret
from pilot.plan.authorization import Policies, guarded
from pilot.plan.peers import Peers
from pilot.verdict import Request, verdict
from tests.e2e.truth_table import PRINCIPALS, REQUESTS, SETS, TRUST_DOMAINS, policies
from tests.servers.envoy import Envoy
from tests.servers.ports import free_ports
from tests.servers.tls import Authority, Certificate

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("envoy_binary")]

LOOPBACK = "127.0.0.1"
PORT = 8080
SNI = "a.sni.example"
MESH = ConfigObject("MeshConfig", "", "mesh", MeshConfig(trust_domain_aliases=TRUST_DOMAINS[1:]))


@attrs.frozen
class Table:
    """An Envoy with a listener for each set, for requests and for connections."""

    http: Mapping[str, int]
    tcp: Mapping[str, int]
    contexts: Mapping[str, ssl.SSLContext]

    def connect(self, port: int, who: str) -> ssl.SSLSocket:
        raw = socket.create_connection((LOOPBACK, port), timeout=10)
        return self.contexts[who].wrap_socket(raw, server_hostname=SNI)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Table]:
    folder = tmp_path_factory.mktemp("table")
    authority = Authority(folder)
    own = authority.issue("server")
    told = ir.SecretSource.CONTROL_PLANE
    tls = ir.ServerTls(secrets=(ir.SecretRef("pair", told),), ca=ir.SecretRef("roots", told))
    secrets = (ir.Secret("pair", str(own.cert_file), str(own.key_file)), ir.Secret("roots", ca_file=str(own.ca_file)))
    answer, *ports = free_ports(1 + 2 * len(SETS))
    http, tcp = dict(zip(SETS, ports, strict=False)), dict(zip(SETS, ports[len(SETS) :], strict=True))
    listeners = [_plain(answer)]
    for name, text in SETS.items():
        listeners.append(_listener(http[name], text, _manager(), tls))
        listeners.append(_listener(tcp[name], text, ir.TcpProxy("answer", (ir.WeightedCluster("answer", 100),)), tls))
    upstream = ir.LocalityEndpoints("", "", "", (ir.LbEndpoint(LOOPBACK, answer),))
    behind = ir.Cluster("answer", ir.Discovery.STATIC, endpoints=ir.LoadAssignment("answer", (upstream,)))
    resources = {
        "clusters": [codec.to_json(cluster(behind))],
        "listeners": [_static(codec.to_json(listener(each))) for each in listeners],
        "secrets": [codec.to_json(secret(each)) for each in secrets],
    }
    with Envoy(folder / "envoy", {"static_resources": resources}):
        yield Table(http, tcp, {who: _context(authority, who) for who in PRINCIPALS})


def _static(value: Any) -> Any:
    """Secrets of the bootstrap, in the place of those that a control plane would tell."""
    if isinstance(value, list):
        return [_static(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {key: _static(each) for key, each in value.items() if key != "sds_config"}


def _manager() -> ir.HttpConnectionManager:
    route = ir.Route("all", ir.RouteMatch(), ir.DirectResponse(200))
    hosts = (ir.VirtualHost("all", ("*",), (route,)),)
    return ir.HttpConnectionManager(stat_prefix="table", routes=ir.RouteConfiguration("all", hosts))


def _plain(port: int) -> ir.Listener:
    chain = ir.FilterChain(_manager())
    return ir.Listener(f"plain-{port}", LOOPBACK, port, ir.Direction.INBOUND, (chain,))


def _listener(port: int, text: str, last: ir.HttpConnectionManager | ir.TcpProxy, tls: ir.ServerTls) -> ir.Listener:
    chain = ir.FilterChain(last, transport_protocol="tls", tls=tls)
    own = ir.Listener(f"table-{port}", LOOPBACK, port, ir.Direction.INBOUND, (chain,), tls_inspector=True)
    config = Config.of((*policies(text), MESH))
    found = Policies.of(config)
    return guarded(own, found, found.names("default", ()), PORT, Peers.of(config))


def _context(authority: Authority, who: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if PRINCIPALS[who]:
        found: Certificate = authority.issue(who, f"URI:spiffe://{PRINCIPALS[who]}")
        context.load_cert_chain(found.cert_file, found.key_file)
    return context


def _status(connection: ssl.SSLSocket, request: Request, target: str) -> int:
    headers = {"host": request.host or "x", **request.headers}
    if request.remote_ip:
        headers["x-forwarded-for"] = request.remote_ip
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    connection.sendall(f"{request.method} {target} HTTP/1.1\r\n{lines}content-length: 0\r\n\r\n".encode())
    head = b""
    while b"\r\n\r\n" not in head:
        data = connection.recv(65536)
        if not data:
            return 0
        head += data
    first, _, rest = head.partition(b"\r\n\r\n")
    length = next((int(each[15:]) for each in first.lower().split(b"\r\n") if each.startswith(b"content-length:")), 0)
    while len(rest) < length:
        rest += connection.recv(65536)
    return int(first.split()[1])


def _expected(name: str, who: str, request: Request) -> bool:
    asked = attrs.evolve(request, principal=PRINCIPALS[who], sni=SNI, port=PORT, host=request.host or "x")
    return verdict(policies(SETS[name]), asked, "default", {}, TRUST_DOMAINS).allowed


def test_every_row_for_requests(table: Table) -> None:
    rows, wrong = 0, []
    for name, port in table.http.items():
        for who in PRINCIPALS:
            with contextlib.closing(table.connect(port, who)) as connection:
                for request in REQUESTS:
                    rows += 1
                    status = _status(connection, request, request.path)
                    if status != (200 if _expected(name, who, request) else 403):
                        wrong.append((name, who, request, status))
    assert rows >= 400
    assert wrong == []


def test_every_row_for_connections(table: Table) -> None:
    """What only a request has allows nothing and leaves a denial as it is (Istio's rule for TCP)."""
    wrong = []
    for name, port in table.tcp.items():
        for who in PRINCIPALS:
            allowed = _expected(name, who, Request(http=False))
            if _connects(table, port, who) is not allowed:
                wrong.append((name, who, allowed))
    assert wrong == []


def _connects(table: Table, port: int, who: str) -> bool:
    try:
        with contextlib.closing(table.connect(port, who)) as connection:
            return _status(connection, Request(host="x"), "/") == 200
    except OSError:
        return False


HOSTILE = {
    "//admin": 403,
    "/./admin": 403,
    "/x/../admin": 403,
    "/%61dmin": 403,
    "/x/..%2fadmin": 403,
    "/%2e/admin": 403,
    "/%2Fadmin": 403,
    "/\\admin": 403,
    "/%5cadmin": 403,
    "/admin;a=b": 403,
    "/admin?x": 403,
    "/admin#x": 400,
    "/x#/admin": 400,
    "/Admin": 200,
    "/x;/admin": 200,
    "/x?/admin": 200,
}
"""What a denial of `/admin*` makes of a target. Letters and `;` are the workload's own, as it will see them too."""


@pytest.mark.parametrize("target", HOSTILE)
def test_no_spelling_of_a_path_gets_around_a_denial(table: Table, target: str) -> None:
    with contextlib.closing(table.connect(table.http["deny-path"], "web")) as connection:
        assert _status(connection, Request(host="x"), target) == HOSTILE[target]


@pytest.mark.parametrize("host", ["web.example", "WEB.EXAMPLE", "web.example:80", "web.example.", "Web.Example.:8080"])
def test_no_spelling_of_a_host_gets_around_a_denial(table: Table, host: str) -> None:
    with contextlib.closing(table.connect(table.http["deny-host"], "web")) as connection:
        assert _status(connection, Request(host=host), "/") == 403


TWICE = {
    "two hosts, the denied one first": b"GET / HTTP/1.1\r\nHost: web.example\r\nHost: x\r\n\r\n",
    "two hosts, the denied one last": b"GET / HTTP/1.1\r\nHost: x\r\nHost: web.example\r\n\r\n",
    "the denied one twice": b"GET / HTTP/1.1\r\nHost: web.example\r\nHost: web.example\r\n\r\n",
    "a list": b"GET / HTTP/1.1\r\nHost: x,web.example\r\n\r\n",
    "a user": b"GET / HTTP/1.1\r\nHost: me@web.example\r\n\r\n",
    "two dots": b"GET / HTTP/1.1\r\nHost: web.example..\r\n\r\n",
    "no port": b"GET / HTTP/1.1\r\nHost: web.example:\r\n\r\n",
    "a port in letters": b"GET / HTTP/1.1\r\nHost: web.example:http\r\n\r\n",
    "two ports": b"GET / HTTP/1.1\r\nHost: web.example:80:80\r\n\r\n",
    "escaped": b"GET / HTTP/1.1\r\nHost: web%2eexample\r\n\r\n",
    "the target says it": b"GET http://web.example/ HTTP/1.1\r\nHost: x\r\n\r\n",
    "the target says it, with a user": b"GET http://me@web.example/ HTTP/1.1\r\nHost: x\r\n\r\n",
}
"""Requests that a workload might take for the denied host; of a target and a Host header, Envoy hands on the first."""


@pytest.mark.parametrize("case", TWICE)
def test_no_second_host_gets_around_a_denial(table: Table, case: str) -> None:
    with contextlib.closing(table.connect(table.http["deny-host"], "web")) as connection:
        connection.sendall(TWICE[case])
        assert connection.recv(65536).split()[1] == b"403"


def test_what_the_documentation_says_outright() -> None:
    """Examples of Istio's pages, so that the evaluator itself is held to something."""
    web, admin = Request(principal=PRINCIPALS["web"]), Request(principal=PRINCIPALS["admin"])

    def allowed(name: str, request: Request) -> bool:
        return verdict(policies(SETS[name]), request, "default", {}, TRUST_DOMAINS).allowed

    assert allowed("none", web)
    assert not allowed("allow-nothing", web)
    assert allowed("allow-all", Request())
    assert not allowed("deny-all", web)
    assert allowed("principal", web)
    assert not allowed("principal", admin)
    assert allowed("principal", Request(principal=PRINCIPALS["moved"])), "an alias of the mesh's trust domain"
    assert not allowed("principal", Request(principal=PRINCIPALS["foreign"]))
    assert not allowed("several", attrs.evolve(admin, method="POST")), "a denial comes before what allows"
    assert allowed("several", admin)
    assert not allowed("several", Request())
    assert allowed("several", Request(path="/healthz"))
    assert allowed("audit", Request())
    assert allowed("trial-alone", web), "a trial run decides nothing"
    assert not allowed("path", Request(path="/", http=False)), "HTTP in a rule that allows, on a port of TCP"
    assert not allowed("deny-path", Request(path="/", http=False)), "and in one that denies"
    token = Request(claims={"iss": "https://a", "sub": "me", "group": ["x", "a"]})
    assert allowed("token", token)
    assert allowed("claim", token)
    assert not allowed("claim", Request(claims={"iss": "https://a", "sub": "me", "group": "b"}))
