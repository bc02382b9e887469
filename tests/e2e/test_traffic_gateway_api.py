"""The Kubernetes Gateway API without Kubernetes: routes of a router and of services in Consul, through real Envoys."""

from __future__ import annotations

import collections
import contextlib
import http.client
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
import yaml

from tests.e2e import grpc_echo
from tests.e2e.peers import answer_http, peer, register
from tests.e2e.traffic import Connection, Reply, batch
from tests.e2e.world import LOOPBACK, Mesh, Sidecar, eventually
from tests.servers.ports import free_port, free_ports
from tests.servers.tls import Authority

pytestmark = pytest.mark.e2e

API = "gateway.networking.k8s.io/v1"
GATEWAY = "ga-edge"


@dataclass(frozen=True)
class Edge:
    """A router for a Gateway of the Gateway API, its ports by what they are for, and who signed its certificate."""

    mesh: Mesh
    proxy: Sidecar
    ports: Mapping[str, int]
    authority: Authority

    def apply(self, name: str, *objects: dict[str, Any]) -> None:
        self.mesh.apply(f"{name}.yaml", yaml.safe_dump_all(objects))

    def route(
        self, name: str, *rules: dict[str, Any], kind: str = "HTTPRoute", section: str = "http", **meta: Any
    ) -> None:
        """A route for the host NAME.ga.example."""
        parent = {"name": GATEWAY, "namespace": "default", "sectionName": section}
        spec = {"parentRefs": [parent], "hostnames": [f"{name}.ga.example"], "rules": list(rules)}
        self.apply(name, document(kind, name, spec, **meta))

    def get(self, name: str, path: str = "/", headers: Mapping[str, str] | None = None, method: str = "GET") -> Reply:
        with contextlib.closing(Connection(self.ports["http"], f"{name}.ga.example")) as connection:
            return connection.send(path, method, headers)

    def wait_for(self, name: str, path: str, instance: str) -> None:
        eventually(lambda: self.get(name, path).instance == instance, f"{name}{path} answered by {instance}")

    def problems(self) -> list[str]:
        return [each["message"] for each in self.mesh.control.debug("problems")["configuration"]]


def document(kind: str, name: str, spec: dict[str, Any], **meta: Any) -> dict[str, Any]:
    return {"apiVersion": API, "kind": kind, "metadata": {"name": name, **meta}, "spec": spec}


def to(*names: str, **more: Any) -> dict[str, Any]:
    """A rule's destinations, each with its share if one is said (`name=9`)."""
    return {"backendRefs": [{"name": name, "port": 80} for name in names], **more}


def shares(**weights: int) -> dict[str, Any]:
    return {"backendRefs": [{"name": name.replace("_", "-"), "port": 80, "weight": w} for name, w in weights.items()]}


def prefix(path: str) -> dict[str, Any]:
    return {"matches": [{"path": {"type": "PathPrefix", "value": path}}]}


def filtered(kind: str, field: str, value: dict[str, Any]) -> dict[str, Any]:
    return {"filters": [{"type": kind, field: value}]}


@pytest.fixture(scope="module")
def edge(shared: Mesh, tmp_path_factory: pytest.TempPathFactory) -> Edge:
    """The router, two services in Consul behind sidecars, and the Gateway with a listener for each use."""
    uses = ("http", "https", "passed", "ended")
    ports = dict(zip(uses, free_ports(len(uses)), strict=True))
    authority = Authority(tmp_path_factory.mktemp("gateway-api-authority"))
    pair = authority.issue("ga-edge", "DNS:*.ga.example")
    files = {"mesh-adapter/server-certificate": str(pair.cert_file), "mesh-adapter/private-key": str(pair.key_file)}
    label = f"gateway.networking.k8s.io/gateway-name={GATEWAY}"
    proxy = shared.client("--gateway", "--label", label, name="ga-edge")
    found = Edge(shared, proxy, ports, authority)
    for service in ("ga-web", "ga-api"):
        shared.instance(service, sidecar=True)
    everyone = {"namespaces": {"from": "All"}}
    listeners = [
        {"name": "http", "port": ports["http"], "protocol": "HTTP", "allowedRoutes": everyone},
        {"name": "https", "port": ports["https"], "protocol": "HTTPS", "tls": {"options": files}},
        {"name": "passed", "port": ports["passed"], "protocol": "TLS", "tls": {"mode": "Passthrough"}},
        {"name": "ended", "port": ports["ended"], "protocol": "TLS", "tls": {"options": files}},
    ]
    found.apply("ga_gateway", document("Gateway", GATEWAY, {"gatewayClassName": "istio", "listeners": listeners}))
    eventually(lambda: found.get("nothing").status == 404, "the listener there")
    return found


def test_requests_go_by_host_and_path_and_the_most_specific_rule_has_them(edge: Edge) -> None:
    exact = {"matches": [{"path": {"type": "Exact", "value": "/a/b"}}]}
    header = {
        "matches": [{"headers": [{"name": "X-User", "value": "jan"}]}, {"queryParams": [{"name": "q", "value": "1"}]}]
    }
    edge.route(
        "ga-paths",
        to("ga-web"),
        {**prefix("/a"), **to("ga-api")},
        {**exact, **to("ga-web")},
        {**header, **to("ga-api")},
    )
    edge.wait_for("ga-paths", "/", "ga-web")
    paths = {"/a": "ga-api", "/a/c": "ga-api", "/ab": "ga-web", "/a/b": "ga-web", "/?q=1": "ga-api", "/?q=2": "ga-web"}
    assert {path: edge.get("ga-paths", path).instance for path in paths} == paths
    assert edge.get("ga-paths", headers={"x-user": "jan"}).instance == "ga-api"
    assert edge.get("ga-other").status == 404
    edge.route("ga-paths", {**prefix("/only"), **to("ga-web")})
    eventually(lambda: edge.get("ga-paths").status == 404, "a change in force")
    assert edge.get("ga-paths", "/only").instance == "ga-web"


def test_shares_are_kept_and_a_destination_that_there_is_not_fails_its_own(edge: Edge) -> None:
    count = 2000
    edge.route("ga-shares", shares(ga_web=7, ga_api=2, ga_nobody=1), {**prefix("/none"), **shares(ga_web=0)})
    edge.wait_for("ga-shares", "/", "ga-web")
    replies = batch(edge.ports["http"], "ga-shares.ga.example", count)
    found = collections.Counter(reply.instance if reply.status == 200 else str(reply.status) for reply in replies)
    for name, share in (("ga-web", 0.7), ("ga-api", 0.2), ("500", 0.1)):
        sigma = (count * share * (1 - share)) ** 0.5
        assert abs(found[name] - count * share) <= 3 * sigma, found
    assert edge.get("ga-shares", "/none").status == 500
    assert any("backend Service default/ga-nobody is not known" in each for each in edge.problems())


def test_headers_of_requests_and_answers_are_changed(edge: Edge) -> None:
    request = {
        "set": [{"name": "X-Set", "value": "100%"}],
        "add": [{"name": "X-Add", "value": "b"}],
        "remove": ["X-Gone"],
    }
    answer = {"set": [{"name": "X-Plain", "value": "no"}], "add": [{"name": "X-Edge", "value": "yes"}]}
    filters = [
        *filtered("RequestHeaderModifier", "requestHeaderModifier", request)["filters"],
        *filtered("ResponseHeaderModifier", "responseHeaderModifier", answer)["filters"],
    ]
    of_backend = filtered("RequestHeaderModifier", "requestHeaderModifier", {"add": [{"name": "X-To", "value": "web"}]})
    edge.route("ga-headers", {"filters": filters, "backendRefs": [{"name": "ga-web", "port": 80, **of_backend}]})
    edge.wait_for("ga-headers", "/", "ga-web")
    reply = edge.get("ga-headers", headers={"X-Set": "a", "X-Add": "a", "X-Gone": "a"})
    told = reply.told["headers"]
    assert {key: told.get(key) for key in ("x-set", "x-add", "x-gone", "x-to")} == {
        "x-set": "100%",
        "x-add": "a,b",
        "x-gone": None,
        "x-to": "web",
    }
    assert (reply.headers["x-plain"], reply.headers["x-edge"]) == ("no", "yes")


def test_clients_are_sent_elsewhere(edge: Edge) -> None:
    def redirect(at: str, **value: Any) -> dict[str, Any]:
        return {**prefix(at), **filtered("RequestRedirect", "requestRedirect", value)}

    edge.route(
        "ga-redirects",
        redirect("/scheme", scheme="https", statusCode=301),
        redirect("/host", hostname="new.example", port=80),
        redirect("/listener", hostname="new.example"),
        redirect("/full", path={"type": "ReplaceFullPath", "replaceFullPath": "/whole"}, port=80),
        redirect("/old", path={"type": "ReplacePrefixMatch", "replacePrefixMatch": "/new"}, port=80),
        redirect("/gone", path={"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}, statusCode=308, port=80),
    )
    eventually(lambda: edge.get("ga-redirects", "/host").status == 302, "the redirect in force")
    here, port = "ga-redirects.ga.example", edge.ports["http"]
    for path, status, location in (
        ("/scheme/a?b=c", 301, f"https://{here}/scheme/a?b=c"),
        ("/host/a", 302, "http://new.example/host/a"),
        ("/listener", 302, f"http://new.example:{port}/listener"),
        ("/full/a", 302, f"http://{here}/whole"),
        ("/old/a", 302, f"http://{here}/new/a"),
        ("/gone/a", 308, f"http://{here}/a"),
        ("/gone", 308, f"http://{here}/"),
    ):
        reply = edge.get("ga-redirects", path)
        assert (reply.status, reply.headers["location"]) == (status, location), path


def test_host_and_path_are_rewritten(edge: Edge) -> None:
    def rewrite(at: str, **value: Any) -> dict[str, Any]:
        return {**prefix(at), **filtered("URLRewrite", "urlRewrite", value), **to("ga-web")}

    edge.route(
        "ga-rewrites",
        rewrite("/old", path={"type": "ReplacePrefixMatch", "replacePrefixMatch": "/new/"}),
        rewrite("/gone", path={"type": "ReplacePrefixMatch", "replacePrefixMatch": ""}, hostname="inner.example"),
        rewrite("/full", path={"type": "ReplaceFullPath", "replaceFullPath": "/whole"}),
    )
    edge.wait_for("ga-rewrites", "/old", "ga-web")
    made = {
        "/old/a?b=c": "/new/a?b=c",
        "/old": "/new",
        "/gone/a": "/a",
        "/gone": "/",
        "/gone/": "/",
        "/full/a?b=c": "/whole?b=c",
    }
    assert {path: edge.get("ga-rewrites", path).told["path"] for path in made} == made
    assert edge.get("ga-rewrites", "/gone").told["headers"]["host"] == "inner.example"


def test_copies_go_to_a_mirror(edge: Edge) -> None:
    mirror = edge.mesh.instance("ga-mirror")
    copies = filtered("RequestMirror", "requestMirror", {"backendRef": {"name": "ga-mirror", "port": 80}})
    none = filtered("RequestMirror", "requestMirror", {"backendRef": {"name": "ga-mirror", "port": 80}, "percent": 0})
    edge.route("ga-mirrors", {**prefix("/all"), **copies, **to("ga-web")}, {**prefix("/none"), **none, **to("ga-web")})
    edge.wait_for("ga-mirrors", "/all", "ga-web")
    edge.wait_for("ga-mirrors", "/none", "ga-web")
    eventually(lambda: edge.get("ga-mirrors", "/all").status == 200 and mirror.count() > 0, "copies arriving")
    before = mirror.counts()["/all/1"]
    for _ in range(20):
        assert edge.get("ga-mirrors", "/all/1").instance == "ga-web"
    eventually(lambda: mirror.counts()["/all/1"] == before + 20, "every copy there")
    assert mirror.counts()["/none"] == 0


def test_time_is_limited_and_answers_are_tried_again(edge: Edge) -> None:
    slow = edge.mesh.instance("ga-slow")
    retried = {"retry": {"codes": [500], "attempts": 2, "backoff": "10ms"}}
    edge.route(
        "ga-time",
        {**prefix("/whole"), "timeouts": {"request": "300ms"}, **to("ga-slow")},
        {**prefix("/try"), "timeouts": {"backendRequest": "300ms"}, "retry": {"attempts": 0}, **to("ga-slow")},
        {**prefix("/retry"), **retried, **to("ga-slow")},
        {**prefix("/plain"), **to("ga-slow")},
    )
    edge.wait_for("ga-time", "/plain", "ga-slow")
    slow.behave(delay=20)
    for path in ("/whole", "/try"):
        reply = edge.get("ga-time", path)
        assert reply.status == 504
        assert 0.25 < reply.seconds < 10
    slow.behave(status=500, failures=2)
    assert edge.get("ga-time", "/retry").status == 200
    assert slow.counts()["/retry"] == 3
    slow.behave(status=500, failures=1)
    assert edge.get("ga-time", "/plain").status == 500


def test_another_namespace_grants_its_services_or_does_not(edge: Edge) -> None:
    edge.mesh.instance("ga-vault", meta={"namespace": "ga-far"})
    edge.route("ga-grants", {"backendRefs": [{"name": "ga-vault", "namespace": "ga-far", "port": 80}]})
    eventually(lambda: edge.get("ga-grants").status == 500, "the reference denied")
    assert any("Service ga-far/ga-vault is of another namespace" in each for each in edge.problems())
    statuses = {each["object"]: each for each in edge.mesh.control.debug("gateway-api")}
    assert [each["reason"] for each in statuses["HTTPRoute default/ga-grants"]["conditions"]] == [
        "Accepted",
        "RefNotPermitted",
    ]
    who = {"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "namespace": "default"}
    spec = {"from": [who], "to": [{"group": "", "kind": "Service", "name": "ga-vault"}]}
    edge.apply("ga_grant", document("ReferenceGrant", "ga-grant", spec, namespace="ga-far"))
    edge.wait_for("ga-grants", "/", "ga-vault")
    assert not any("ga-vault" in each for each in edge.problems())
    (edge.mesh.config / "ga_grant.yaml").unlink()
    eventually(lambda: edge.get("ga-grants").status == 500, "the grant withdrawn")


def test_grpc_goes_by_method(edge: Edge) -> None:
    port = free_port()
    with grpc_echo.serving(port):
        register(edge.mesh, "ga-echo", port, kind="grpc")
        say = {"matches": [{"method": {"service": grpc_echo.SERVICE, "method": "Say"}}]}
        header = {"matches": [{"method": {"method": "Stream"}, "headers": [{"name": "X-User", "value": "jan"}]}]}
        edge.route("ga-grpc", {**say, **to("ga-echo")}, {**header, **to("ga-echo")}, kind="GRPCRoute")
        caller = grpc_echo.Client(edge.ports["http"], "ga-grpc.ga.example")
        eventually(lambda: _says(caller), "gRPC answering")
        assert caller.say(b"hello") == b"hello"
        assert caller.fail(grpc.StatusCode.ABORTED).code() is grpc.StatusCode.UNIMPLEMENTED, "no rule has it"
        edge.route("ga-grpc", {**say, **to("ga-nobody")}, to("ga-echo"), kind="GRPCRoute")
        eventually(lambda: caller.fail(grpc.StatusCode.ABORTED).code() is grpc.StatusCode.ABORTED, "the rest served")
        with pytest.raises(grpc.RpcError) as caught:
            caller.say(b"hello")
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        caller.channel.close()


def _says(caller: grpc_echo.Client) -> bool:
    try:
        return caller.say(b"hello") == b"hello"
    except grpc.RpcError:
        return False


def test_tls_is_passed_on_by_the_name_that_is_asked_for(edge: Edge) -> None:
    own = edge.authority.issue("ga-safe", "DNS:ga-passed.ga.example")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own.cert_file, own.key_file)
    with peer(answer_http, context) as port:
        register(edge.mesh, "ga-safe", port, kind="tls")
        edge.route("ga-passed", to("ga-safe"), kind="TLSRoute", section="passed")
        eventually(
            lambda: common_name(edge, "passed", "ga-passed.ga.example") == "ga-safe", "its own certificate shown"
        )
        with pytest.raises((ssl.SSLError, ConnectionError)):
            common_name(edge, "passed", "other.ga.example")


def test_tls_is_ended_at_the_router_for_bytes_and_for_http(edge: Edge) -> None:
    edge.mesh.instance("ga-bytes", kind="tcp")
    edge.route("ga-ended", to("ga-bytes"), kind="TLSRoute", section="ended")
    eventually(lambda: common_name(edge, "ended", "ga-ended.ga.example") == "ga-edge", "the router's certificate shown")
    with secured(edge, "ended", "ga-ended.ga.example") as connection:
        connection.sendall(b"abc")
        assert connection.recv(100) == b"ga-bytes\nabc"
    edge.route("ga-https", to("ga-web"), section="https")

    def status() -> int:
        trusting = ssl.create_default_context(cafile=edge.authority.ca_file)
        found = http.client.HTTPSConnection("localhost", edge.ports["https"], timeout=10, context=trusting)
        with contextlib.closing(found):
            found.request("GET", "/", headers={"Host": "ga-https.ga.example"})
            return found.getresponse().status

    eventually(lambda: status() == 200, "HTTPS served")


def secured(edge: Edge, use: str, name: str) -> ssl.SSLSocket:
    context = ssl.create_default_context(cafile=edge.authority.ca_file)
    return context.wrap_socket(socket.create_connection((LOOPBACK, edge.ports[use]), timeout=10), server_hostname=name)


def common_name(edge: Edge, use: str, name: str) -> str:
    with secured(edge, use, name) as connection:
        found: Any = connection.getpeercert()
        return str(dict(part[0] for part in found["subject"])["commonName"])


def test_calls_within_the_mesh_go_by_routes_of_the_service(edge: Edge, client: Sidecar) -> None:
    edge.mesh.instance("ga-old")
    edge.mesh.instance("ga-new")
    parent = {"group": "", "kind": "Service", "name": "ga-old", "port": 80}
    rules = [{**prefix("/new"), **to("ga-new")}, to("ga-old")]
    edge.apply("ga_mesh", document("HTTPRoute", "ga-mesh", {"parentRefs": [parent], "rules": rules}))
    eventually(lambda: client.get("ga-old", "/new/1").instance == "ga-new", "the route in force")
    assert client.get("ga-old").instance == "ga-old"
    assert client.get("ga-old", "/newer").instance == "ga-old"
    (edge.mesh.config / "ga_mesh.yaml").unlink()
    eventually(lambda: client.get("ga-old", "/new/1").instance == "ga-old", "the route gone")


def test_a_route_that_may_not_attach_is_told_of_and_takes_nothing(edge: Edge) -> None:
    edge.route("ga-denied", to("ga-web"), section="https", namespace="ga-far")
    message = "no listener of Gateway default/ga-edge takes a HTTPRoute of namespace ga-far"
    eventually(lambda: any(message in each for each in edge.problems()), "the refusal told")
    assert edge.get("ga-denied").status == 404
