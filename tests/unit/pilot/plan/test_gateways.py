"""What a router listens on, which hosts it serves, and what becomes of Gateways that meet on one port."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from galley.config import ConfigObject
from galley.hostnames import shared_hosts
from galley.kinds.gateway import Gateway, Server, ServerPort, ServerTLSmode, ServerTLSSettings, TLSCertificate
from galley.kinds.virtual_service import (
    Destination,
    HTTPMatchRequest,
    HTTPRoute,
    L4MatchAttributes,
    RouteDestination,
    StringMatch,
    TCPRoute,
    TLSMatchAttributes,
    TLSRoute,
)
from pilot import ir
from pilot.model.proxy import OutboundView, ProxyView
from pilot.plan.gateway_chains import server_tls
from pilot.plan.proxy import plan_gateways, reduce_view
from tests.unit.pilot.plan.world import index, service, to, virtual_service

EDGE = (("istio", "ingressgateway"),)
PASS_ON = ServerTLSSettings()
SIMPLE = ServerTLSSettings(mode=ServerTLSmode.SIMPLE, server_certificate="c", private_key="k")


def server(number: int, protocol: str, *hosts: str, **more: Any) -> Server:
    return Server(ServerPort(number, protocol, f"{protocol.lower()}-{number}"), hosts=hosts or ("*",), **more)


def gateway(*servers: Server, name: str = "edge", namespace: str = "default", **more: Any) -> ConfigObject[Gateway]:
    return ConfigObject("Gateway", namespace, name, Gateway(servers, more.get("selector", EDGE)))


def bound(*hosts: str, gateways: tuple[str, ...] = ("edge",), **more: Any) -> Any:
    return virtual_service(*hosts, gateways=gateways, **({"http": (HTTPRoute(route=(to(),)),)} | more))


def plan(*parts: Any, labels: tuple[tuple[str, str], ...] = EDGE, namespace: str = "default") -> ir.Plan:
    world = index(service(), *parts)
    view = reduce_view(world, ProxyView(OutboundView(namespace, labels), router=True))
    return plan_gateways(world, view.outbound, view.gateways)


def domains(found: ir.Plan, route: str = "http.80") -> list[str]:
    (routes,) = (each for each in found.routes if each.name == route)
    return [domain for host in routes.virtual_hosts for domain in host.domains]


def names(found: ir.Plan) -> list[tuple[str, ...]]:
    return [chain.server_names for listener in found.listeners for chain in listener.chains]


def test_a_selector_is_for_the_routers_that_carry_all_of_its_labels_in_any_namespace() -> None:
    world = index(
        gateway(name="b", namespace="shop"),
        gateway(name="a", selector=()),
        gateway(name="other", selector=(("istio", "egressgateway"),)),
        gateway(name="both", selector=(*EDGE, ("zone", "a"))),
    )
    view = ProxyView(OutboundView(labels=(*EDGE, ("version", "v1"))), router=True)
    reduced = reduce_view(world, view)
    assert reduced.gateways == ("default/a", "shop/b")
    assert reduced.outbound.labels == ()


def test_a_sidecar_has_no_gateways() -> None:
    assert reduce_view(index(gateway(selector=())), ProxyView()).gateways == ()


@pytest.mark.parametrize(
    ("ours", "theirs", "shared"),
    [
        (("a.example",), ("A.example", "b.example"), ("a.example",)),
        (("*",), ("a.example", "*.b"), ("a.example", "*.b")),
        (("*.example",), ("a.example", "example", "*.b.example"), ("a.example", "*.b.example")),
        (("a.example", "*.b.example"), ("*",), ("a.example", "*.b.example")),
        (("a.example",), ("*.example",), ("a.example",)),
        (("a.example",), ("*.a.example", "b.example"), ()),
    ],
)
def test_of_two_hosts_that_meet_the_narrower_is_shared(
    ours: tuple[str, ...], theirs: tuple[str, ...], shared: tuple[str, ...]
) -> None:
    assert shared_hosts(ours, theirs) == shared


@pytest.mark.parametrize(
    ("host", "namespace", "served"),
    [
        ("web.example", "default", True),
        ("shop/web.example", "default", False),
        ("shop/web.example", "shop", True),
        ("./web.example", "default", True),
        ("./web.example", "shop", False),
        ("*/web.example", "shop", True),
    ],
)
def test_a_host_may_be_for_the_rules_of_one_namespace(host: str, namespace: str, served: bool) -> None:
    rule = bound("web.example", namespace=namespace, gateways=("default/edge",))
    assert ("web.example" in domains(plan(gateway(server(80, "HTTP", host)), rule))) is served


def test_a_rule_that_the_routers_namespace_may_not_see_leads_nowhere() -> None:
    rule = bound("web.example", namespace="shop", gateways=("default/edge",), export_to=(".",))
    edge = gateway(server(80, "HTTP"))
    assert domains(plan(edge, rule)) == ["*"]
    assert domains(plan(edge, rule, namespace="shop")) == ["web.example"]


def test_what_is_for_sidecars_or_another_gateway_is_not_served() -> None:
    rules = (bound("a.example", gateways=("mesh",), name="a"), bound("b.example", gateways=("other",), name="b"))
    (routes,) = plan(gateway(server(80, "HTTP")), *rules).routes
    assert [host.name for host in routes.virtual_hosts] == ["blackhole:80"]


def test_rules_of_one_host_follow_one_another_up_to_what_takes_everything() -> None:
    cart = HTTPRoute(name="cart", match=(HTTPMatchRequest(uri=StringMatch(prefix="/cart")),), route=(to(),))
    rest = HTTPRoute(name="rest", route=(to(),))
    rules = (
        bound("web.example", name="a", http=(cart,)),
        bound("web.example", name="b", http=(rest,)),
        bound("web.example", name="c", http=(cart,)),
    )
    (routes,) = plan(gateway(server(80, "HTTP")), *rules).routes
    assert [route.name for route in routes.virtual_hosts[0].routes] == ["cart", "rest"]


def test_a_port_is_one_listener_whoever_speaks_http_on_it() -> None:
    found = plan(
        gateway(server(80, "HTTP", "a.example")),
        gateway(server(80, "GRPC", "b.example"), server(80, "TCP"), name="late", namespace="z"),
        bound("a.example", "b.example", gateways=("edge", "z/late"), tcp=(TCPRoute(route=(_to(),)),)),
    )
    assert [(each.name, len(each.chains)) for each in found.listeners] == [("0.0.0.0_80", 1)]
    assert domains(found) == ["a.example", "b.example"]


def test_a_server_for_tls_whose_host_is_taken_is_left_out_as_a_whole() -> None:
    first = gateway(server(443, "HTTPS", "a.example", tls=SIMPLE))
    late = gateway(server(443, "HTTPS", "a.example", "b.example", tls=SIMPLE), name="late")
    found = plan(first, late, bound("a.example", "b.example", gateways=("edge", "late")))
    assert names(found) == [("a.example",)]
    assert [each.name for each in found.routes] == ["https.443.https-443.edge.default"]


def test_no_two_chains_take_one_server_name() -> None:
    passing = server(443, "TLS", "*", tls=PASS_ON)
    ending = server(443, "HTTPS", "a.example", "b.example", tls=SIMPLE)
    rule = bound("a.example", "*.c", tls=(_sni("a.example"), _sni("*.c")))
    found = plan(gateway(passing, ending), rule)
    assert names(found) == [("a.example",), ("*.c",), ("b.example",)]
    assert [chain.tls is None for chain in found.listeners[0].chains] == [True, True, False]


def test_names_that_are_none_of_the_servers_are_not_passed_on() -> None:
    rule = bound("*.example", "out.org", tls=(_sni("a.example", "out.org"), _sni("*.example")))
    assert names(plan(gateway(server(443, "TLS", "*.a.example", "a.example", tls=PASS_ON)), rule)) == [
        ("a.example",),
        ("*.a.example",),
    ]


def test_tcp_goes_by_the_first_rule_that_has_routes_for_the_port() -> None:
    other = TCPRoute(match=(L4MatchAttributes(port=1),), route=(_to("a"),))
    rules = (
        bound("*", name="a", http=(), tcp=(other,)),
        bound("*", name="b", http=(), tcp=(TCPRoute(route=(_to("b"),)),)),
        bound("*", name="c", http=(), tcp=(TCPRoute(route=(_to("c"),)),)),
    )
    edge = gateway(server(5432, "TCP"), server(6379, "REDIS", "none.example"))
    listener = plan(edge, *rules).listeners[0]
    (chain,) = listener.chains
    assert isinstance(chain.filter, ir.TcpProxy)
    assert [each.cluster for each in chain.filter.clusters] == ["outbound|5432||b"]


def test_a_port_that_nothing_leads_on_from_is_not_listened_on() -> None:
    assert plan(gateway(server(5432, "TCP"), server(443, "TLS", tls=PASS_ON))).listeners == ()


def test_a_router_believes_no_client_and_looks_for_the_name_of_tls() -> None:
    found = plan(gateway(server(80, "HTTP"), server(443, "HTTPS", tls=SIMPLE)), bound("web.example"))
    by_port = {each.port: each for each in found.listeners}
    assert {number: each.tls_inspector for number, each in by_port.items()} == {80: False, 443: True}
    filters = [chain.filter for each in found.listeners for chain in each.chains]
    assert all(isinstance(each, ir.HttpConnectionManager) and each.use_remote_address for each in filters)


def test_a_server_that_redirects_does_so_for_its_hosts_and_no_others() -> None:
    redirecting = server(80, "HTTP", "a.example", tls=ServerTLSSettings(https_redirect=True))
    found = plan(gateway(redirecting, server(80, "HTTP", "b.example")), bound("b.example"))
    (routes,) = found.routes
    assert {host.domains[0]: host.require_tls for host in routes.virtual_hosts} == {
        "a.example": True,
        "b.example": False,
    }


def test_bind_is_part_of_the_listener_and_of_its_routes_names() -> None:
    found = plan(gateway(server(80, "HTTP", bind="10.0.0.1"), server(443, "HTTPS", tls=SIMPLE, bind="10.0.0.1")))
    assert [each.name for each in found.listeners] == ["10.0.0.1_80", "10.0.0.1_443"]
    assert sorted(each.name for each in found.routes) == [
        "http.80.10.0.0.1",
        "https.443.https-443.edge.default.10.0.0.1",
    ]


@pytest.mark.parametrize(
    ("mode", "required", "asked"),
    [
        (ServerTLSmode.SIMPLE, False, False),
        (ServerTLSmode.OPTIONAL_MUTUAL, False, True),
        (ServerTLSmode.MUTUAL, True, True),
    ],
)
def test_clients_are_asked_for_certificates_in_the_mutual_modes(
    mode: ServerTLSmode, required: bool, asked: bool
) -> None:
    settings = attrs.evolve(SIMPLE, mode=mode, ca_certificates="ca", ca_crl="crl", subject_alt_names=("a.example",))
    found = server_tls(settings, ())
    assert found.require_client_certificate is required
    assert found.ca == (ir.SecretRef("file-root:ca~crl", ir.SecretSource.CONTROL_PLANE) if asked else None)
    assert bool(found.alt_names) is asked


def test_several_certificates_stand_for_one() -> None:
    settings = ServerTLSSettings(
        mode=ServerTLSmode.SIMPLE, tls_certificates=(TLSCertificate("rsa", "rk"), TLSCertificate("ec", "ek"))
    )
    assert [each.name for each in server_tls(settings, ()).secrets] == ["file-cert:rsa~rk", "file-cert:ec~ek"]


def _to(host: str = "web.example") -> RouteDestination:
    return RouteDestination(Destination(host))


def _sni(*hosts: str) -> TLSRoute:
    return TLSRoute((TLSMatchAttributes(sni_hosts=hosts),), (_to(),))
