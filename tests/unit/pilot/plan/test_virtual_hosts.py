"""Which host names lead where, and that none leads two ways."""

from __future__ import annotations

from galley.kinds.virtual_service import HTTPDirectResponse, HTTPRoute, TCPRoute
from pilot.model.proxy import OutboundView
from pilot.model.service import Port, Protocol, Service
from pilot.plan.client import Client
from pilot.plan.virtual_hosts import UNKNOWN_HOST, http_ports, outbound_routes, service_routes
from tests.unit.pilot.plan.world import HTTP, TCP, client, service, virtual_service

ADMIN = Port("http-admin", 9000, Protocol.HTTP)
ANSWER = (HTTPRoute(direct_response=HTTPDirectResponse(204)),)


def domains(who: Client) -> dict[str, list[str]]:
    return {each.name: list(each.domains) for each in outbound_routes(who).virtual_hosts if each is not UNKNOWN_HOST}


def test_routes_are_named_by_the_port_of_the_listener() -> None:
    assert outbound_routes(client(view=OutboundView(port=15101))).name == "15101"


def test_a_host_that_nobody_knows_is_answered_last() -> None:
    assert outbound_routes(client(service())).virtual_hosts[-1] is UNKNOWN_HOST


def test_a_host_is_known_whole_and_short_with_and_without_its_port() -> None:
    assert domains(client(service("web.default.svc"))) == {
        "web.default.svc:80": [
            "web.default.svc",
            "web.default.svc:80",
            "web.default",
            "web.default:80",
            "web",
            "web:80",
        ]
    }


def test_a_name_without_port_means_port_80_else_the_lowest() -> None:
    assert domains(client(service("web", ADMIN, HTTP))) == {"web:80": ["web", "web:80"], "web:9000": ["web:9000"]}
    other = service("web", ADMIN, Port("http", 8080, Protocol.HTTP))
    assert domains(client(other)) == {"web:8080": ["web", "web:8080"], "web:9000": ["web:9000"]}


def test_ports_that_are_not_http_are_not_routed_by_host() -> None:
    assert domains(client(service("db.example", TCP))) == {}
    assert http_ports(service("mixed", TCP, HTTP, Port("raw", 1))) == (HTTP, Port("raw", 1))


def near_and_far() -> tuple[Service, Service]:
    return service("web.a", namespace="a"), service("web.b", namespace="b")


def test_a_short_name_means_the_service_of_the_own_namespace() -> None:
    for namespace in ("a", "b"):
        found = domains(client(*near_and_far(), view=OutboundView(namespace=namespace)))
        assert [name for name, claimed in found.items() if "web" in claimed] == [f"web.{namespace}:80"]


def test_a_whole_name_wins_over_the_short_form_of_another() -> None:
    found = domains(client(service("web.default"), service("web.default.svc")))
    assert found["web.default:80"] == ["web.default", "web.default:80", "web", "web:80"]
    assert found["web.default.svc:80"] == ["web.default.svc", "web.default.svc:80"]


def test_a_host_that_only_a_virtual_service_knows_wins_over_the_short_form_of_another() -> None:
    found = domains(client(service("web.default.svc"), virtual_service("web.default", http=ANSWER)))
    assert found["web.default:80"] == ["web.default", "web.default:80"]
    assert found["web.default.svc:80"] == ["web.default.svc", "web.default.svc:80", "web", "web:80"]


def test_hosts_that_differ_in_letter_case_only_are_one_to_envoy() -> None:
    found = domains(client(service("Web.example"), service("web.example"), virtual_service("WEB.example", http=ANSWER)))
    assert list(found) == ["Web.example:80"]


def test_a_virtual_service_replaces_the_default_route() -> None:
    (host, _) = outbound_routes(client(service(), virtual_service("web.example", http=ANSWER))).virtual_hosts
    assert [route.origin for route in host.routes] == ["VirtualService default/rule"]


def test_a_virtual_service_without_http_leaves_the_default_route() -> None:
    (host, _) = outbound_routes(client(service(), virtual_service("web.example", tcp=(TCPRoute(),)))).virtual_hosts
    assert [route.name for route in host.routes] == ["default"]


def test_a_host_without_service_and_without_http_is_not_routed() -> None:
    assert domains(client(virtual_service("absent.example", tcp=()))) == {}


def test_a_listener_for_one_service_routes_whatever_host_is_said() -> None:
    web = service()
    found = service_routes(client(web), web, HTTP)
    assert found.name == "web.example:80"
    assert [each.domains for each in found.virtual_hosts] == [("*",)]
