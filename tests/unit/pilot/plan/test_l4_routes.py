"""Where connections go that are not looked into."""

from __future__ import annotations

from typing import Any

import pytest

from galley.kinds.virtual_service import (
    Destination,
    L4MatchAttributes,
    PortSelector,
    RouteDestination,
    TCPRoute,
    TLSMatchAttributes,
    TLSRoute,
)
from pilot.model.proxy import OutboundView
from pilot.model.service import Port, Protocol
from pilot.plan.l4_routes import L4Route, connection_routes, tcp_routes, tls_routes
from tests.unit.pilot.plan.world import HTTP, client, service, virtual_service

Row = tuple[tuple[str, ...], tuple[str, ...], str]


def to(host: str) -> tuple[RouteDestination, ...]:
    return (RouteDestination(Destination(host, port=PortSelector(1))),)


def tcp(host: str, *matches: L4MatchAttributes) -> TCPRoute:
    return TCPRoute(matches, to(host))


def tls(host: str, *names: str, **conditions: Any) -> TLSRoute:
    return TLSRoute((TLSMatchAttributes(sni_hosts=names, **conditions),), to(host))


def subnets(*networks: str) -> L4MatchAttributes:
    return L4MatchAttributes(destination_subnets=networks)


def rows(routes: tuple[L4Route, ...]) -> set[Row]:
    """Server names, destinations and the host that is gone to, of each."""
    return {(each.server_names, each.destinations, each.clusters[0].cluster.rpartition("|")[2]) for each in routes}


def of_tcp(*routes: TCPRoute, port: int = 80, view: OutboundView = OutboundView()) -> set[Row]:  # noqa: B008 - frozen
    rule = virtual_service("web.example", tcp=routes)
    return rows(tcp_routes(client(service("web.example", HTTP), rule, view=view), rule, port))


def of_tls(*routes: TLSRoute) -> set[Row]:
    rule = virtual_service("web.example", tls=routes)
    return rows(tls_routes(client(service(), rule), rule, 443))


def test_tcp_goes_by_the_first_route_that_takes_the_port() -> None:
    routes = (tcp("a", L4MatchAttributes(port=1)), tcp("b", *map(_port, (2, 3))), tcp("c"))
    assert of_tcp(*routes, port=1) == {((), (), "a")}
    assert of_tcp(*routes, port=3) == {((), (), "b")}
    assert of_tcp(*routes, port=4) == {((), (), "c")}
    assert of_tcp(*routes[:2], port=4) == set()


def _port(number: int) -> L4MatchAttributes:
    return L4MatchAttributes(port=number)


@pytest.mark.parametrize(
    ("match", "applies"),
    [
        (L4MatchAttributes(source_namespace="shop"), True),
        (L4MatchAttributes(source_namespace="home"), False),
        (L4MatchAttributes(source_labels=(("app", "web"),)), True),
        (L4MatchAttributes(source_labels=(("app", "api"),)), False),
        (L4MatchAttributes(gateways=("mesh",)), True),
        (L4MatchAttributes(gateways=("edge",)), False),
    ],
)
def test_what_is_known_of_the_client_decides_before_any_connection(match: L4MatchAttributes, applies: bool) -> None:
    view = OutboundView(namespace="shop", labels=(("app", "web"),))
    assert bool(of_tcp(tcp("a", match), view=view)) is applies


def test_an_earlier_subnet_is_not_overruled_by_a_narrower_one_further_down() -> None:
    """Envoy takes the narrowest subnet, so the narrow one is told to go where the wide one goes."""
    found = of_tcp(tcp("wide", subnets("10.0.0.0/8")), tcp("narrow", subnets("10.1.0.0/16")), tcp("rest"))
    assert found == {((), ("10.0.0.0/8", "10.1.0.0/16"), "wide"), ((), (), "rest")}


def test_a_narrow_subnet_before_a_wide_one_keeps_its_own_way() -> None:
    found = of_tcp(tcp("narrow", subnets("10.1.0.0/16")), tcp("wide", subnets("10.0.0.0/8", "fd00::/8", "10.2.3.4")))
    assert found == {((), ("10.1.0.0/16",), "narrow"), ((), ("10.0.0.0/8", "fd00::/8", "10.2.3.4/32"), "wide")}


def test_what_stands_behind_a_route_for_everything_is_never_reached() -> None:
    assert of_tcp(tcp("all"), tcp("late", subnets("10.0.0.0/8"))) == {
        ((), (), "all"),
        ((), ("10.0.0.0/8",), "all"),
    }


def test_server_names_go_by_the_order_of_the_list_not_by_how_narrow_they_are() -> None:
    found = of_tls(tls("one", "a.x"), tls("wild", "*.x", "A.x"), tls("late", "b.x", "y"))
    assert found == {(("a.x",), (), "one"), (("*.x",), (), "wild"), (("y",), (), "late")}


def test_any_server_name_stands_alone_and_ends_the_list() -> None:
    assert of_tls(tls("one", "a.x"), tls("all", "*"), tls("late", "b.x")) == {(("a.x",), (), "one"), ((), (), "all")}


def test_names_of_all_destinations_are_told_again_for_each_subnet() -> None:
    """Envoy does not come back from a subnet that has no chain for the name."""
    found = of_tls(tls("near", "a.x", destination_subnets=("10.0.0.0/8",)), tls("any", "b.x"))
    assert found == {(("a.x",), ("10.0.0.0/8",), "near"), (("b.x",), ("10.0.0.0/8",), "any"), (("b.x",), (), "any")}


def test_a_port_that_no_tls_route_is_for_has_none() -> None:
    assert of_tls(tls("a", "a.x", port=1)) == set()


def on_port(protocol: Protocol, **spec: Any) -> set[Row]:
    """Where connections to port 443 of a service of that protocol go."""
    web = service("web.example", Port("main", 443, protocol))
    return rows(connection_routes(client(web, virtual_service("web.example", **spec)), web, web.host, 443))


def test_tls_routes_stand_for_the_service_only_where_its_port_speaks_tls() -> None:
    routes = (tls("a", "a.x"),)
    assert on_port(Protocol.TLS, tls=routes) == on_port(Protocol.HTTPS, tls=routes) == {(("a.x",), (), "a")}
    assert on_port(Protocol.TCP, tls=routes) == {((), (), "web.example")}


def test_what_no_tcp_route_takes_goes_to_the_service() -> None:
    assert on_port(Protocol.TCP, tcp=(tcp("a", subnets("10.0.0.0/8")),)) == {
        ((), ("10.0.0.0/8",), "a"),
        ((), (), "web.example"),
    }
    assert on_port(Protocol.TLS, tcp=(tcp("a"),)) == {((), (), "a")}
    assert on_port(Protocol.TCP, tcp=(tcp("a", L4MatchAttributes(port=1)),)) == {((), (), "web.example")}


def test_a_service_that_is_unknown_or_has_no_rule_goes_to_its_own_cluster() -> None:
    web = service()
    assert rows(connection_routes(client(web), web, web.host, 80)) == {((), (), "web.example")}
    assert rows(connection_routes(client(web), None, "other", 80)) == {((), (), "other")}
