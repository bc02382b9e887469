"""ServiceEntry, WorkloadEntry and Sidecar through real Envoys."""

from __future__ import annotations

import contextlib
import functools
import json
import socketserver
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.test_tcp import ask
from tests.e2e.traffic import Connection
from tests.e2e.world import LOOPBACK, ControlPlane, Mesh, Sidecar, eventually, host, mesh_adapter
from tests.servers.ports import free_port, free_ports

pytestmark = pytest.mark.e2e


def document(kind: str, name: str, spec: Mapping[str, object], **metadata: object) -> str:
    """One object; JSON is YAML."""
    body = {
        "apiVersion": "networking.istio.io/v1",
        "kind": kind,
        "metadata": {"name": name, **metadata},
        "spec": spec,
    }
    return json.dumps(body)


def documents(*each: str) -> str:
    return "\n---\n".join(each)


def http_port(number: int = 80, **more: object) -> dict[str, object]:
    return {"number": number, "name": "http", "protocol": "HTTP", **more}


def known_hosts(sidecar: Sidecar, control: ControlPlane) -> set[str]:
    """Hosts of the outbound clusters, as `proxy-config clusters` shows them: of the control plane, and of Envoy too."""
    told, held = (
        mesh_adapter("proxy-config", "clusters", *of, "-o", "json")
        for of in (
            (f"{sidecar.name}.default", "--http-addr", control.http_addr),
            ("--admin", f"{LOOPBACK}:{sidecar.admin_port}"),
        )
    )
    assert told.returncode == held.returncode == 0, told.stderr + held.stderr
    found = [_outbound_hosts(json.loads(each.stdout)) for each in (told, held)]
    assert found[0] == found[1]
    return found[0]


def _outbound_hosts(clusters: list[dict[str, Any]]) -> set[str]:
    return {each["name"].rpartition("|")[2] for each in clusters if each["name"].startswith("outbound|")}


def envoy_hosts(sidecar: Sidecar) -> set[str]:
    """The same, asked of Envoy in a cheaper way, to wait for."""
    names = {line.split("::")[0] for line in sidecar.admin("/clusters").splitlines()}
    return {name.rpartition("|")[2] for name in names if name.startswith("outbound|")}


def answered_by(sidecar: Sidecar, name: str, port: int | None = None) -> str:
    """Who answers a request for that host, by way of the outbound port or another."""
    with contextlib.closing(Connection(port or sidecar.outbound_port, name)) as connection:
        return connection.send().instance


def _answers(sidecar: Sidecar, name: str, instance: str) -> bool:
    return answered_by(sidecar, name) == instance


def test_an_external_service_is_reached_by_its_host_whatever_finds_its_addresses(shared: Mesh, client: Sidecar) -> None:
    work, aside = shared.workload("outside"), shared.workload("outside", "aside")
    target = {"number": 80, "name": "http", "protocol": "HTTP"}
    by_address = {"address": LOOPBACK, "ports": {"http": work.port}}
    by_name = {"address": "localhost", "ports": {"http": work.port}}
    shared.apply(
        "external.yaml",
        documents(
            document(
                "ServiceEntry",
                "static",
                {
                    "hosts": ["static.external.test"],
                    "addresses": ["192.0.2.7"],
                    "ports": [target],
                    "resolution": "STATIC",
                    "endpoints": [by_address],
                },
            ),
            document(
                "ServiceEntry",
                "dns",
                {"hosts": ["dns.external.test"], "ports": [target], "resolution": "DNS", "endpoints": [by_name]},
            ),
            document(
                "ServiceEntry",
                "itself",
                {"hosts": ["localhost"], "ports": [http_port(work.port)], "resolution": "DNS_ROUND_ROBIN"},
            ),
            document(
                "ServiceEntry",
                "none",
                {"hosts": ["localhost"], "ports": [http_port(aside.port, name="more")], "resolution": "NONE"},
            ),
            document(
                "ServiceEntry",
                "none-of-many",
                {"hosts": ["*.aside.localhost"], "ports": [http_port(aside.port)], "resolution": "NONE"},
            ),
            document(
                "ServiceEntry",
                "any",
                {"hosts": ["*.localhost"], "ports": [http_port(work.port)], "resolution": "DYNAMIC_DNS"},
            ),
        ),
    )
    for name, instance in (
        ("static.external.test", "outside"),
        ("192.0.2.7", "outside"),
        ("dns.external.test", "outside"),
        (f"localhost:{work.port}", "outside"),
        (f"localhost:{aside.port}", "aside"),
        (f"some.localhost:{work.port}", "outside"),
        (f"one.aside.localhost:{aside.port}", "aside"),
    ):
        eventually(functools.partial(_answers, client, name, instance), f"{name} answering")
    assert client.get("none.external.test").status == 502


def test_a_service_of_workload_entries_and_of_what_the_platform_knows(shared: Mesh, client: Sidecar) -> None:
    entries = [shared.workload("shop", f"shop-{number}") for number in (1, 2)]
    known = shared.instance("cart", "cart-1", meta={"group": "shop"})
    shared.instance("cart", "cart-2")
    selector = {"labels": {"group": "shop"}}

    def workload(number: int) -> str:
        spec = {"address": LOOPBACK, "ports": {"http": entries[number].port}, "labels": {"group": "shop"}}
        return document("WorkloadEntry", entries[number].name, spec)

    spec = {
        "hosts": ["shop.mesh.test"],
        "location": "MESH_INTERNAL",
        "resolution": "STATIC",
        "ports": [http_port()],
        "workloadSelector": selector,
    }
    shared.apply("shop.yaml", documents(document("ServiceEntry", "shop", spec), workload(0), workload(1)))

    def served_by(*names: str) -> None:
        eventually(
            lambda: {answered_by(client, "shop.mesh.test") for _ in range(30)} == set(names),
            f"shop served by {', '.join(names)}",
        )

    served_by("shop-1", "shop-2", "cart-1")
    shared.deregister(known)
    served_by("shop-1", "shop-2")
    shared.apply("shop.yaml", documents(document("ServiceEntry", "shop", spec), workload(1)))
    served_by("shop-2")


def test_a_sidecar_object_shrinks_what_its_proxies_know_and_nobody_else(shared: Mesh, client: Sidecar) -> None:
    for name in ("seen", "unseen", "led-to"):
        shared.instance(name)
    scoped = shared.client("--label", "role=scoped", name="scoped")
    eventually(lambda: answered_by(scoped, host("unseen")) == "unseen", "everything reachable at first")
    shared.apply(
        "scope.yaml",
        documents(
            document(
                "Sidecar",
                "scope",
                {
                    "workloadSelector": {"labels": {"role": "scoped"}},
                    "egress": [{"hosts": [f"./{host('seen')}"]}],
                },
            ),
            document(
                "VirtualService",
                "seen",
                {
                    "hosts": [host("seen")],
                    "http": [
                        {
                            "match": [{"uri": {"prefix": "/other"}}],
                            "route": [{"destination": {"host": host("led-to")}}],
                        },
                        {"route": [{"destination": {"host": host("seen")}}]},
                    ],
                },
            ),
        ),
    )
    wanted = {host("seen"), host("led-to")}
    eventually(lambda: envoy_hosts(scoped) == wanted, "clusters of the scope only")
    assert known_hosts(scoped, shared.control) == wanted
    assert scoped.get("seen").instance == "seen"
    assert scoped.get("seen", "/other").instance == "led-to"
    assert scoped.get("unseen").status == 502
    assert client.get("unseen").instance == "unseen"
    assert host("unseen") in known_hosts(client, shared.control)


def test_egress_listeners_are_further_ways_out(shared: Mesh) -> None:
    shared.instance("web-out")
    shared.instance("db-out", kind="tcp", meta={"mesh-port": "5432"})
    web, db = free_ports(2)
    shared.apply(
        "egress.yaml",
        documents(
            document(
                "ServiceEntry",
                "db-out",
                {
                    "hosts": ["db.egress.test"],
                    "location": "MESH_INTERNAL",
                    "resolution": "STATIC",
                    "ports": [{"number": db, "name": "tcp", "protocol": "TCP"}],
                    "endpoints": [{"address": LOOPBACK, "ports": {"tcp": shared_port(shared, "db-out")}}],
                },
            ),
            document(
                "ServiceEntry",
                "web-out",
                {
                    "hosts": ["web.egress.test"],
                    "resolution": "STATIC",
                    "ports": [http_port(web)],
                    "endpoints": [{"address": LOOPBACK, "ports": {"http": shared_port(shared, "web-out")}}],
                },
            ),
            document(
                "Sidecar",
                "egress",
                {
                    "workloadSelector": {"labels": {"role": "egress"}},
                    "egress": [
                        {"port": http_port(web), "captureMode": "NONE", "hosts": ["./*"]},
                        {"port": {"number": db, "name": "tcp", "protocol": "TCP"}, "hosts": ["./db.egress.test"]},
                    ],
                },
            ),
        ),
    )
    caller = shared.client("--label", "role=egress", name="egress-client")
    eventually(lambda: answered_by(caller, "web.egress.test", web) == "web-out", "HTTP on its own port")
    eventually(lambda: ask(db, b"ping") == ("db-out", b"ping"), "TCP on its own port")
    assert caller.get("web-out").status == 502


def shared_port(mesh: Mesh, service: str) -> int:
    """Where the only instance of a service listens, as the control plane knows it."""
    eventually(lambda: len(mesh.control.endpoints(service)) == 1, f"{service} known")
    (only,) = mesh.control.endpoints(service)
    return int(only.rpartition(":")[2])


def test_an_ingress_listener_takes_the_place_of_what_the_proxy_took_in(shared: Mesh, client: Sidecar) -> None:
    work = shared.workload("ingress")
    listen = free_port()
    shared.apply(
        "ingress.yaml",
        document(
            "Sidecar",
            "ingress",
            {
                "workloadSelector": {"labels": {"role": "ingress"}},
                "ingress": [
                    {
                        "port": {"number": listen, "name": "http", "protocol": "HTTP"},
                        "bind": LOOPBACK,
                        "defaultEndpoint": f"{LOOPBACK}:{work.port}",
                        "connectionPool": {"http": {"maxRequestsPerConnection": 1}},
                    }
                ],
            },
        ),
    )
    beside = shared.client("--label", "role=ingress", name="ingress")
    work.meta = {"protocol": "http", "sidecar-port": str(listen)}
    shared.register(work)
    client.wait_served_by("ingress", work)
    assert beside.stat(f"cluster.inbound|{listen}||.upstream_rq_total") >= 40
    assert beside.stat(f"cluster.inbound|{listen}||.upstream_cx_total") >= 40


def test_unknown_hosts_are_let_out_where_a_sidecar_allows_it(shared: Mesh) -> None:
    work = shared.workload("unknown")
    proxy = shared.instance("way-out")

    def policy(**more: object) -> str:
        spec = {
            "workloadSelector": {"labels": {"role": "free"}},
            "outboundTrafficPolicy": {"mode": "ALLOW_ANY", **more},
        }
        return document("Sidecar", "free", spec)

    free = shared.client("--label", "role=free", name="free")
    name = f"free.localhost:{work.port}"
    assert free.get(name).status == 502
    shared.apply("free.yaml", policy())
    eventually(lambda: answered_by(free, name) == "unknown", "an unknown host answering")
    shared.apply("free.yaml", policy(egressProxy={"host": host("way-out"), "port": {"number": 80}}))
    eventually(lambda: answered_by(free, name) == proxy.name, "by way of the egress proxy")


def test_a_unix_socket_beside_the_proxy_and_one_behind_a_service(shared: Mesh, client: Sidecar, tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    listen = free_port()
    with answering(path):
        shared.apply(
            "unix.yaml",
            documents(
                document(
                    "ServiceEntry",
                    "unix",
                    {
                        "hosts": ["unix.external.test"],
                        "ports": [http_port()],
                        "resolution": "STATIC",
                        "endpoints": [{"address": f"unix://{path}"}],
                    },
                ),
                document(
                    "ServiceEntry",
                    "beside",
                    {
                        "hosts": ["beside.external.test"],
                        "ports": [http_port()],
                        "resolution": "STATIC",
                        "endpoints": [{"address": LOOPBACK, "ports": {"http": listen}}],
                    },
                ),
                document(
                    "Sidecar",
                    "unix",
                    {
                        "workloadSelector": {"labels": {"role": "unix"}},
                        "ingress": [{"port": http_port(listen), "defaultEndpoint": f"unix://{path}"}],
                    },
                ),
            ),
        )
        shared.client("--label", "role=unix", name="unix")
        for name in ("unix.external.test", "beside.external.test"):
            eventually(functools.partial(_says_hello, client, name), f"{name} answering")


def _says_hello(sidecar: Sidecar, name: str) -> bool:
    return sidecar.get(name).text == "hello"


@contextlib.contextmanager
def answering(path: Path) -> Iterator[None]:
    """An HTTP server on a Unix domain socket that says hello to everybody."""

    class Hello(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while self.rfile.readline():
                for _ in iter(self.rfile.readline, b"\r\n"):
                    pass
                self.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello")

    class Server(socketserver.ThreadingUnixStreamServer):
        daemon_threads = True

    with Server(str(path), Hello) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield
        server.shutdown()
