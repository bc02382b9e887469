"""Istio's public samples (tests/samples), with their services in Consul, do what their documentation says.

Only a Gateway's port is another one, since this machine's may be taken. An object has a file of its own, so that a
sample replaces what an earlier one said of it, as `kubectl apply` does.
"""

from __future__ import annotations

import contextlib
import math
import ssl
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.peers import answer_http, peer
from tests.e2e.test_tcp import ask
from tests.e2e.traffic import Connection, Reply
from tests.e2e.world import Instance, Mesh, Sidecar, eventually
from tests.servers.ports import free_port
from tests.servers.process import Process
from tests.servers.tls import Authority, Certificate

pytestmark = pytest.mark.e2e

SAMPLES = Path(__file__).parent.parent / "samples"
BOOKINFO = str(Path(__file__).with_name("bookinfo.py"))
VERSIONS = {
    "productpage": ("v1",),
    "details": ("v1", "v2"),
    "reviews": ("v1", "v2", "v3"),
    "ratings": ("v1", "v2", "v2-mysql", "v2-mysql-vm"),
}
CALLING = ("productpage-v1", "reviews-v2", "reviews-v3")
"""Those that ask others, and so have a sidecar of their own."""


def apply(mesh: Mesh, sample: str, **ports: int) -> None:
    """The objects of a file; `p8080=…` puts another port in the place of 8080."""
    text = (SAMPLES / f"{sample}.yaml").read_text()
    for name, port in ports.items():
        text = text.replace(f": {name.removeprefix('p')}\n", f": {port}\n")
    for document in text.split("---\n"):
        if document.strip():
            told = yaml.safe_load(document)
            mesh.apply(f"sample-{told['kind']}-{told['metadata']['name']}.yaml", document)


@dataclass(frozen=True)
class Ingress:
    """The mesh's ingress gateway, seen from outside."""

    mesh: Mesh
    gateway: Sidecar
    port: int

    def get(self, path: str, user: str = "") -> Reply:
        with contextlib.closing(Connection(self.port, "bookinfo.example")) as connection:
            return connection.send(path, headers={"end-user": user} if user else {})

    def page(self, user: str = "") -> Any:
        """What the product page tells."""
        reply = self.get("/productpage", user)
        assert reply.status == 200, reply
        return reply.told

    def reviews(self, count: int, user: str = "") -> Counter[str]:
        """Which versions of reviews `count` pages were made with."""
        return Counter(self.page(user)["reviews"]["instance"] for _ in range(count))

    def wait_for(self, shown: Callable[[Any], bool], what: str, user: str = "") -> None:
        """Until ten pages in a row are as they should be."""
        eventually(lambda: all(shown(self.page(user)) for _ in range(10)), what)


@pytest.fixture(scope="module")
def bookinfo(shared: Mesh) -> Iterator[Ingress]:
    """All services in all versions, and the gateway, with the sample's gateway and subsets in force."""
    children = [run(shared, service, version) for service, versions in VERSIONS.items() for version in versions]
    gateway = shared.client("--gateway", "--label", "istio=ingressgateway", name="bookinfo-ingress")
    ingress = Ingress(shared, gateway, free_port())
    apply(shared, "bookinfo/bookinfo-gateway", p8080=ingress.port)
    apply(shared, "bookinfo/destination-rule-all")
    apply(shared, "bookinfo/virtual-service-all-v1")
    ingress.wait_for(lambda page: page["reviews"]["instance"] == "reviews-v1", "all requests at v1")
    yield ingress
    for child in children:
        child.kill()


def run(mesh: Mesh, service: str, version: str) -> Process:
    name, port = f"{service}-{version}", free_port()
    options = ("--service", service, "--port", str(port), "--protocol", "http")
    sidecar = mesh.client(*options, name=name) if name in CALLING else None
    outbound = sidecar.outbound_port if sidecar else 0
    process = Process(name, [sys.executable, BOOKINFO, service, version, str(port), str(outbound)], folder=mesh.folder)
    process.start()
    meta = {"protocol": "http", "mesh-port": "9080", "version": version}
    meta |= {"sidecar-port": str(sidecar.inbound_port)} if sidecar else {}
    mesh.register(Instance(service, name, port, process, meta=meta))
    return process


def test_all_requests_go_to_the_first_version(bookinfo: Ingress) -> None:
    assert bookinfo.reviews(20) == {"reviews-v1": 20}
    assert bookinfo.page()["details"]["instance"] == "details-v1"
    assert bookinfo.get("/elsewhere").status == 404
    assert bookinfo.get("/static/page.css").status == bookinfo.get("/api/v1/products/0").status == 200


def test_who_is_jason_sees_another_version(bookinfo: Ingress) -> None:
    apply(bookinfo.mesh, "bookinfo/virtual-service-reviews-test-v2")
    bookinfo.wait_for(lambda page: page["reviews"]["instance"] == "reviews-v2", "jason at v2", "jason")
    assert bookinfo.reviews(10) == bookinfo.reviews(10, "susan") == {"reviews-v1": 10}
    apply(bookinfo.mesh, "bookinfo/virtual-service-reviews-jason-v2-v3")
    bookinfo.wait_for(lambda page: page["reviews"]["instance"] == "reviews-v3", "others at v3")
    assert bookinfo.reviews(10, "jason") == {"reviews-v2": 10}


@pytest.mark.parametrize(
    ("sample", "shares"),
    [
        ("reviews-50-v3", {"v1": 0.5, "v3": 0.5}),
        ("reviews-80-20", {"v1": 0.8, "v2": 0.2}),
        ("reviews-90-10", {"v1": 0.9, "v2": 0.1}),
        ("reviews-v2-v3", {"v2": 0.5, "v3": 0.5}),
        ("reviews-v3", {"v3": 1.0}),
    ],
)
def test_traffic_is_shifted_by_weight(bookinfo: Ingress, sample: str, shares: dict[str, float]) -> None:
    apply(bookinfo.mesh, f"bookinfo/virtual-service-{sample}")
    wanted = {f"reviews-{version}" for version in shares}
    eventually(lambda: bookinfo.reviews(40).keys() == wanted, f"reviews as {sample} says")
    count = 200
    seen = bookinfo.reviews(count)
    for version, share in shares.items():
        assert seen[f"reviews-{version}"] == pytest.approx(
            count * share, abs=4 * math.sqrt(count * share * (1 - share))
        )


def test_the_faults_of_ratings_are_for_jason_alone(bookinfo: Ingress) -> None:
    """The delay of seven seconds is more than the page waits for, twice three; the page comes without reviews."""
    apply(bookinfo.mesh, "bookinfo/virtual-service-reviews-test-v2")
    apply(bookinfo.mesh, "bookinfo/virtual-service-ratings-test-abort")
    bookinfo.wait_for(lambda page: page["reviews"].get("ratings") == 500, "ratings aborted", "jason")
    assert bookinfo.reviews(5) == {"reviews-v1": 5}
    apply(bookinfo.mesh, "bookinfo/virtual-service-ratings-test-delay")

    def delayed() -> bool:
        began = time.monotonic()
        page = bookinfo.page("jason")
        return page["reviews"] == "TimeoutError" and 6 <= time.monotonic() - began < 7

    eventually(delayed, "reviews missing after six seconds")
    assert bookinfo.page()["reviews"] == {"instance": "reviews-v1"}


@pytest.mark.parametrize(("sample", "version"), [("db", "v2"), ("mysql", "v2-mysql"), ("mysql-vm", "v2-mysql-vm")])
def test_ratings_come_from_another_store(bookinfo: Ingress, sample: str, version: str) -> None:
    apply(bookinfo.mesh, f"bookinfo/virtual-service-ratings-{sample}")
    wanted = {"instance": "reviews-v3", "ratings": {"instance": f"ratings-{version}"}}
    bookinfo.wait_for(lambda page: page["reviews"] == wanted, f"ratings of {version}")


def test_details_fail_and_come_from_another_version(bookinfo: Ingress) -> None:
    apply(bookinfo.mesh, "bookinfo/fault-injection-details-v1")
    bookinfo.wait_for(lambda page: page["details"] == 555, "details aborted")
    apply(bookinfo.mesh, "bookinfo/destination-rule-all")
    apply(bookinfo.mesh, "bookinfo/virtual-service-details-v2")
    bookinfo.wait_for(lambda page: page["details"] == {"instance": "details-v2"}, "details of v2")


def test_a_policy_is_added_to_the_subsets(bookinfo: Ingress) -> None:
    apply(bookinfo.mesh, "bookinfo/destination-rule-reviews")
    apply(bookinfo.mesh, "bookinfo/virtual-service-reviews-v3")
    bookinfo.wait_for(lambda page: page["reviews"]["instance"] == "reviews-v3", "reviews of v3")


def test_httpbin_is_reached_through_its_gateway_and_mirrored(shared: Mesh, bookinfo: Ingress, client: Sidecar) -> None:
    first, second = (
        shared.instance("httpbin", f"httpbin-{version}", meta={"mesh-port": "8000", "version": version})
        for version in ("v1", "v2")
    )
    port = free_port()
    apply(shared, "httpbin/httpbin-gateway", p80=port)

    def served() -> bool:
        with contextlib.closing(Connection(port, "anything.example")) as connection:
            return connection.send("/headers").status == 200

    eventually(served, "httpbin behind the gateway")
    apply(shared, "httpbin/mirroring")
    eventually(lambda: {client.get("httpbin").instance for _ in range(20)} == {"httpbin-v1"}, "all at v1")
    before = second.counts()["/mirrored"]
    assert [client.get("httpbin", "/mirrored").instance for _ in range(10)] == ["httpbin-v1"] * 10
    eventually(lambda: second.counts()["/mirrored"] - before == 10, "ten copies at v2")
    assert first.counts()["/mirrored"] == 10


def test_httpbin_s_circuit_breaker_trips(shared: Mesh, client: Sidecar) -> None:
    """One connection and one request that waits for it: of ten at once most are refused, and none is sent twice."""
    breaking = shared.instance("httpbin-breaking", meta={"mesh-port": "8000"})
    text = (SAMPLES / "httpbin" / "circuit-breaker.yaml").read_text()
    shared.apply("sample-breaking.yaml", text.replace("httpbin\n", "httpbin-breaking\n"))
    cluster = "cluster.outbound|8000||httpbin-breaking.service.consul"
    eventually(lambda: client.get("httpbin-breaking").status == 200, "httpbin served")
    breaking.behave(delay=1.0)  # all ten are there before the first is answered
    replies: list[Reply] = []

    def tripped() -> bool:
        """The proxy may hear of the rule after the service is served."""
        replies[:] = client.batch("httpbin-breaking", 10, connections=10)
        return any(reply.status == 503 for reply in replies)

    eventually(tripped, "requests over the limit refused")
    statuses = Counter(reply.status for reply in replies)
    assert statuses.keys() == {200, 503}
    assert statuses[200] <= 4
    refused = [reply for reply in replies if reply.status == 503]
    assert {reply.headers.get("x-envoy-overloaded") for reply in refused} == {"true"}
    assert client.stat(f"{cluster}.upstream_rq_pending_overflow") >= len(refused)


def server_context(certificate: Certificate) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.cert_file, certificate.key_file)
    return context


def test_tls_to_an_api_outside_is_begun_by_the_proxy(
    shared: Mesh, client: Sidecar, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The sample with another host, whose address and authority are said, as there is no Google here."""
    authority = Authority(tmp_path_factory.mktemp("apis-authority"))
    told = "apis.sample.example"
    text = (SAMPLES / "bookinfo" / "egress-rule-google-apis.yaml").read_text().replace("www.googleapis.com", told)
    asked: list[str | None] = []
    secured = server_context(authority.issue("apis", f"DNS:{told}"))
    secured.sni_callback = lambda _, name, __: asked.append(name)
    with peer(answer_http, secured) as port:
        where = f"  endpoints: [{{address: 127.0.0.1, ports: {{http: 1, https: {port}}}}}]\n  resolution: DNS\n"
        text = text.replace("  resolution: DNS\n", where)
        text = text.replace("mode: SIMPLE\n", f"mode: SIMPLE\n        caCertificates: {authority.ca_file}\n")
        shared.apply("sample-apis.yaml", text)
        eventually(lambda: client.get(told).status == 200, "the API answering")
    assert set(asked) == {told}


def test_tcp_is_shifted_behind_the_gateway(shared: Mesh, bookinfo: Ingress) -> None:
    for version in ("v1", "v2"):
        shared.instance("tcp-echo", f"tcp-echo-{version}", kind="tcp", meta={"mesh-port": "9000", "version": version})
    port = free_port()
    apply(shared, "tcp-echo/tcp-echo-all-v1", p31400=port)
    eventually(lambda: ask(port, b"x")[0] == "tcp-echo-v1", "tcp-echo behind the gateway")
    assert {ask(port, b"x")[0] for _ in range(20)} == {"tcp-echo-v1"}
    apply(shared, "tcp-echo/tcp-echo-20-v2", p31400=port)
    eventually(lambda: {ask(port, b"x")[0] for _ in range(40)} == {"tcp-echo-v1", "tcp-echo-v2"}, "both versions")
    seen = Counter(ask(port, b"x")[0] for _ in range(300))
    assert seen["tcp-echo-v2"] == pytest.approx(60, abs=5 * math.sqrt(300 * 0.16))
