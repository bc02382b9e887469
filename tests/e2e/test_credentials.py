"""Gateways with secrets by name: told over the secure port, rotated under load, withheld from other namespaces."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from tests.e2e.peers import answer_http, peer
from tests.e2e.world import COMMAND, LOOPBACK, eventually, mesh_adapter
from tests.servers.binaries import require
from tests.servers.http import call
from tests.servers.ports import free_ports
from tests.servers.process import Process
from tests.servers.tls import Authority, Certificate

pytestmark = pytest.mark.e2e
CONTROL_PLANE = "spiffe://cluster.local/ns/istio-system/sa/mesh-adapter"
GATEWAY = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: edge}}
spec:
  selector: {{edge: credentials}}
  servers:
  - {{port: {{number: {simple}, name: simple, protocol: HTTPS}}, bind: 127.0.0.1, hosts: ["simple.cred.example"],
      tls: {{mode: SIMPLE, credentialName: web}}}}
  - {{port: {{number: {mutual}, name: mutual, protocol: HTTPS}}, bind: 127.0.0.1, hosts: ["mutual.cred.example"],
      tls: {{mode: MUTUAL, credentialName: web}}}}
  - {{port: {{number: {lost}, name: lost, protocol: HTTPS}}, bind: 127.0.0.1, hosts: ["lost.cred.example"],
      tls: {{mode: SIMPLE, credentialName: lost}}}}
  - {{port: {{number: {files}, name: files, protocol: HTTPS}}, bind: 127.0.0.1, hosts: ["files.cred.example"],
      tls: {{mode: SIMPLE, serverCertificate: {folder}/cert.pem, privateKey: {folder}/key.pem}}}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: edge}}
spec:
  hosts: ["*.cred.example"]
  gateways: [default/edge]
  http: [{{route: [{{destination: {{host: web.internal}}}}]}}]
"""


@dataclass
class Edge:
    """A control plane with a secure port and a folder of secrets; gateways that proved their namespaces."""

    folder: Path
    authority: Authority
    ports: dict[str, int] = field(default_factory=dict)
    children: list[Process] = field(default_factory=list)

    def __post_init__(self) -> None:
        names = ("simple", "mutual", "lost", "files", "xds", "tls", "http")
        self.ports = dict(zip(names, free_ports(len(names)), strict=True))
        self.secrets = self.folder / "secrets"
        (self.secrets / "default").mkdir(parents=True)
        self.files = self.folder / "files"
        self.files.mkdir()

    def start(self, backend: int) -> None:
        endpoint = {"address": LOOPBACK, "port": backend}
        ports = [{"name": "http", "port": 80}]
        services = {"services": [{"name": "web.internal", "ports": ports, "endpoints": [endpoint]}]}
        (self.folder / "services.yaml").write_text(yaml.safe_dump(services))
        (self.folder / "edge.yaml").write_text(GATEWAY.format(folder=self.files, **self.ports))
        words = ["--static-file", f"{self.folder}/services.yaml", "--config", f"{self.folder}/edge.yaml"]
        words += ["--ca", "embedded", "--ca-dir", f"{self.folder}/ca", "--credentials", str(self.secrets)]
        for option in ("xds", "http"):
            words += [f"--{option}-addr", f"{LOOPBACK}:{self.ports[option]}"]
        words += ["--xds-tls-addr", f"{LOOPBACK}:{self.ports['tls']}"]
        control = self._child("start", [COMMAND, "start", *words])
        control.wait_until(lambda: b"\nready" in control.log.read_bytes(), "ready", seconds=30)

    def gateway(self, namespace: str, *, proven: bool = True) -> int:
        """An Envoy of that namespace, running; its admin port."""
        name = f"edge-{namespace}-{'tls' if proven else 'plain'}"
        tls = self.folder / name
        issued = ("--namespace", namespace, "--service-account", "edge", "--ca-dir", f"{self.folder}/ca")
        done = mesh_adapter("cert", "issue", *issued, "--out", str(tls))
        assert done.returncode == 0, done.stderr
        admin, outbound = free_ports(2)
        port = self.ports["tls" if proven else "xds"]
        said = ("--gateway", "--label", "edge=credentials", "--namespace", namespace, "--service", "edge")
        more = (
            "--admin-port",
            str(admin),
            "--outbound-port",
            str(outbound),
            "--health-port",
            "0",
            "--metrics-port",
            "0",
        )
        printed = mesh_adapter("bootstrap", "--xds-addr", f"{LOOPBACK}:{port}", *said, *more)
        assert printed.returncode == 0, printed.stderr
        document = json.loads(printed.stdout)
        for cluster in document["static_resources"]["clusters"] if proven else ():
            if str(port) in json.dumps(cluster):
                cluster["transport_socket"] = _transport_socket(tls)
        config = self.folder / f"{name}.json"
        config.write_text(json.dumps(document))
        command = [str(require("envoy")), "--config-path", str(config), "--disable-hot-restart", "--concurrency", "1"]
        self._child(name, command)
        return admin

    def put(self, name: str, certificate: Certificate) -> None:
        """A secret of the default namespace, whole."""
        folder = self.secrets / "default" / name
        folder.mkdir(exist_ok=True)
        for key, path in (("tls.crt", certificate.cert_file), ("tls.key", certificate.key_file)):
            shutil.copy(path, folder / f".{key}")
            (folder / f".{key}").rename(folder / key)
        shutil.copy(certificate.ca_file, folder / "ca.crt")

    def put_files(self, certificate: Certificate) -> None:
        """The files that the gateway's host has, each renamed into its place."""
        for key, path in (("key.pem", certificate.key_file), ("cert.pem", certificate.cert_file)):
            shutil.copy(path, self.folder / key)
            (self.folder / key).rename(self.files / key)

    def trusting(self, client: Certificate | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.authority.ca_file)
        if client:
            context.load_cert_chain(client.cert_file, client.key_file)
        return context

    def shown(self, use: str) -> int:
        """The serial number of the certificate that the gateway shows; OSError if it shows none."""
        with secured(self.ports[use], f"{use}.cred.example", self.trusting()) as connection:
            found = connection.getpeercert()
            assert found is not None
            return int(str(found["serialNumber"]), 16)

    def wait_shown(self, use: str, certificate: Certificate) -> None:
        wanted = serial(certificate)
        eventually(lambda: self.shown(use) == wanted, f"the new certificate shown by {use}")

    def get(self, use: str, client: Certificate | None = None) -> str:
        with secured(self.ports[use], f"{use}.cred.example", self.trusting(client)) as connection:
            return ask(connection, f"{use}.cred.example")

    def debug(self, page: str) -> object:
        return call("GET", f"http://{LOOPBACK}:{self.ports['http']}/debug/{page}").json

    def metric(self, name: str) -> float:
        text = call("GET", f"http://{LOOPBACK}:{self.ports['http']}/metrics").text
        return next(float(line.split()[1]) for line in text.splitlines() if line.startswith(f"{name} "))

    @property
    def log(self) -> str:
        return self.children[0].log.read_text()

    def _child(self, name: str, command: list[str]) -> Process:
        child = Process(name, command, folder=self.folder)
        self.children.append(child)
        child.start()
        return child


def _transport_socket(folder: Path) -> dict[str, object]:
    names = {"match_typed_subject_alt_names": [{"san_type": "URI", "matcher": {"exact": CONTROL_PLANE}}]}
    pair = {"certificate_chain": f"{folder}/cert-chain.pem", "private_key": f"{folder}/key.pem"}
    context = {
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        "common_tls_context": {
            "tls_certificates": [{key: {"filename": path} for key, path in pair.items()}],
            "validation_context": {"trusted_ca": {"filename": f"{folder}/root-cert.pem"}, **names},
        },
    }
    return {"name": "envoy.transport_sockets.tls", "typed_config": context}


@contextlib.contextmanager
def secured(port: int, name: str, context: ssl.SSLContext) -> Iterator[ssl.SSLSocket]:
    with (
        socket.create_connection((LOOPBACK, port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname=name) as connection,
    ):
        yield connection


def ask(connection: ssl.SSLSocket, name: str) -> str:
    """One request on a connection that stays; the status."""
    connection.sendall(f"GET / HTTP/1.1\r\nHost: {name}\r\n\r\n".encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        received = connection.recv(65536)
        if not received:
            raise ConnectionError("closed without an answer")
        answer += received
    head, _, body = answer.partition(b"\r\n\r\n")
    length = next(int(line.split(b":")[1]) for line in head.splitlines() if line.lower().startswith(b"content-length"))
    while len(body) < length:
        body += connection.recv(65536)
    return head.split()[1].decode()


def wait_for(counts: list[int], least: int) -> None:
    """Until there were so many good requests of each kind."""
    eventually(lambda: min(counts) >= least, f"{least} requests of each kind")


def serial(certificate: Certificate) -> int:
    found = ssl._ssl._test_decode_cert(str(certificate.cert_file))  # type: ignore[attr-defined]
    return int(found["serialNumber"], 16)


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    folder = tmp_path_factory.mktemp("credentials")
    found = Edge(folder, Authority(folder / "authority"))
    found.put("web", found.authority.issue("first", "DNS:*.cred.example"))
    found.put_files(found.authority.issue("first-files", "DNS:*.cred.example"))
    with peer(answer_http) as backend:
        try:
            found.start(backend)
            found.gateway("default")
            eventually(lambda: found.get("simple") == "200", "HTTPS by credentialName")
            yield found
        finally:
            for child in reversed(found.children):
                child.kill()


def test_a_secret_is_rotated_under_load_without_a_failed_request(edge: Edge) -> None:
    versions = [edge.authority.issue(f"version-{number}", "DNS:*.cred.example") for number in range(4)]
    failures: list[str] = []
    counts = [0, 0]
    stopped = threading.Event()

    def keep() -> None:
        """On one connection all the time: it is not dropped."""
        with secured(edge.ports["simple"], "simple.cred.example", edge.trusting()) as connection:
            while not stopped.wait(0.005):
                _try(lambda: ask(connection, "simple.cred.example"), 0)

    def renew() -> None:
        while not stopped.wait(0.01):
            _try(lambda: edge.get("simple"), 1)

    def _try(work: object, kind: int) -> None:
        try:
            status = work()  # type: ignore[operator]
        except OSError as error:
            status = repr(error)
        if status == "200":
            counts[kind] += 1
        else:
            failures.append(status)

    threads = [threading.Thread(target=each) for each in (keep, keep, renew, renew)]
    for thread in threads:
        thread.start()
    try:
        for number, version in enumerate(versions, 1):
            edge.put("web", version)
            edge.wait_shown("simple", version)
            wait_for(counts, 5 * number)
    finally:
        stopped.set()
        for thread in threads:
            thread.join()
    assert failures == []


def test_a_broken_version_is_named_and_the_last_good_one_shown_on(edge: Edge) -> None:
    good, other = (edge.authority.issue(name, "DNS:*.cred.example") for name in ("good", "unpaired"))
    edge.put("web", good)
    edge.wait_shown("simple", good)
    shutil.copy(other.key_file, edge.secrets / "default" / "web" / "tls.key")
    eventually(lambda: "tls.key is not the key" in str(edge.debug("problems")), "the broken secret named")
    assert edge.shown("simple") == serial(good)
    assert edge.get("simple") == "200"
    edge.put("web", good)
    eventually(lambda: "tls.key is not the key" not in str(edge.debug("problems")), "the mended secret taken")


def test_mutual_tls_asks_for_a_certificate_of_the_secrets_cas(edge: Edge, tmp_path: Path) -> None:
    assert edge.get("mutual", edge.authority.issue("friend")) == "200"
    stranger = Authority(tmp_path / "another").issue("stranger")
    for client in (None, stranger):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            edge.get("mutual", client)


def test_a_missing_secret_refuses_connections_and_never_falls_back_to_plain_text(edge: Edge) -> None:
    with pytest.raises((ssl.SSLError, ConnectionError)):
        edge.get("lost")
    with contextlib.suppress(ConnectionError), socket.create_connection((LOOPBACK, edge.ports["lost"]), 5) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nHost: lost.cred.example\r\n\r\n")
        assert not plain.recv(100).startswith(b"HTTP"), "nothing is answered in plain text"
    assert "secret default/lost is missing" in str(edge.debug("problems"))
    edge.put("lost", edge.authority.issue("found", "DNS:*.cred.example"))
    eventually(lambda: edge.get("lost") == "200", "the secret that came taken")


def test_files_are_read_again_when_they_are_renamed(edge: Edge) -> None:
    eventually(lambda: edge.get("files") == "200", "the server of files served")
    with secured(edge.ports["files"], "files.cred.example", edge.trusting()) as connection:
        assert ask(connection, "files.cred.example") == "200"
        for name in ("second-files", "third-files"):
            renewed = edge.authority.issue(name, "DNS:*.cred.example")
            edge.put_files(renewed)
            edge.wait_shown("files", renewed)
        assert ask(connection, "files.cred.example") == "200", "a connection outlives both"


@pytest.mark.parametrize(("namespace", "proven"), [("other", True), ("default", False)])
def test_a_secret_is_withheld_from_another_namespace_and_from_who_proved_nothing(
    edge: Edge, namespace: str, proven: bool
) -> None:
    admin = edge.gateway(namespace, proven=proven)
    if not proven:
        before = edge.metric("pilot_xds_secrets_withheld")
        eventually(lambda: "secure port" in edge.log, "the secret withheld in plain text, and said")
        eventually(lambda: edge.metric("pilot_xds_secrets_withheld") >= max(before, 1), "and counted")
    name = f"edge.{namespace}"

    def synced() -> bool:
        proxies = call("GET", f"http://{LOOPBACK}:{edge.ports['http']}/debug/syncz").json
        mine = [each for each in proxies if name in each["proxy"]]
        return bool(mine) and all(each["types"]["LDS"]["state"] == "SYNCED" for each in mine)

    eventually(synced, "all else told")
    dump = call("GET", f"http://{LOOPBACK}:{admin}/config_dump?resource=dynamic_active_secrets").text
    assert "kubernetes://web" not in dump
    assert "kubernetes://web" in call("GET", f"http://{LOOPBACK}:{admin}/config_dump?mask=dynamic_warming_secrets").text


def test_no_private_key_is_in_the_log_nor_on_a_page(edge: Edge) -> None:
    pages = ["credentials", "problems", "configz", "syncz", "config_dump?proxyID=edge.default"]
    texts = [call("GET", f"http://{LOOPBACK}:{edge.ports['http']}/debug/{page}").text for page in pages]
    assert "[redacted]" in texts[-1]
    for text in (*texts, edge.log):
        assert "PRIVATE KEY" not in text
        assert "UFJJVkFURSBLRVk" not in text, "nor in base64"
