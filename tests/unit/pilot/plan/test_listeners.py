"""What a proxy listens on."""

from __future__ import annotations

from datetime import timedelta

import pytest

from galley.kinds.destination_rule import ConnectionPoolSettings, TCPSettings, TrafficPolicy
from galley.kinds.virtual_service import Destination, RouteDestination, TCPRoute
from pilot import ir
from pilot.model.proxy import Inbound, OutboundView, Upstream
from pilot.model.service import Port, Protocol
from pilot.plan.listeners import DETECTED_HTTP, inbound_listener, outbound_listener, upstream_listener
from tests.unit.pilot.plan.world import TCP, client, destination_rule, service, virtual_service

UPSTREAM = Upstream("db.example", 5432, 9191)


def tcp_filter(listener: ir.Listener) -> ir.TcpProxy:
    found = listener.chains[-1].filter
    assert isinstance(found, ir.TcpProxy)
    return found


def test_the_outbound_listener_asks_for_the_routes_of_its_port() -> None:
    found = outbound_listener(OutboundView(address="127.0.0.9", port=15101))
    assert (found.address, found.port, found.direction) == ("127.0.0.9", 15101, ir.Direction.OUTBOUND)
    manager = ir.HttpConnectionManager("outbound", "15101", routes_may_fault=True, routes_may_cors=True)
    assert found.chains == (ir.FilterChain(manager),)


@pytest.mark.parametrize(
    ("protocol", "filters"),
    [
        (Protocol.HTTP, [ir.HttpConnectionManager]),
        (Protocol.GRPC, [ir.HttpConnectionManager]),
        (Protocol.TCP, [ir.TcpProxy]),
        (Protocol.TLS, [ir.TcpProxy]),
        (Protocol.UNSPECIFIED, [ir.HttpConnectionManager, ir.TcpProxy]),
    ],
)
def test_a_protocol_that_is_not_named_is_looked_for(protocol: Protocol, filters: list[type]) -> None:
    port = Port("main", 5432, protocol)
    db = service("db.example", port)
    for found in (
        upstream_listener(client(db), UPSTREAM, db, port),
        inbound_listener(Inbound(5432), protocol),
    ):
        assert [type(each.filter) for each in found.chains] == filters
        assert found.http_inspector is (len(filters) > 1)


def test_detected_http_is_told_apart_by_its_protocol_names() -> None:
    first, last = inbound_listener(Inbound(80), Protocol.UNSPECIFIED).chains
    assert (first.application_protocols, last.application_protocols) == (DETECTED_HTTP, ())


def test_an_upstream_is_listened_for_where_it_is_asked() -> None:
    db = service("db.example", TCP)
    found = upstream_listener(client(db), Upstream("db", 5432, 9191, "127.0.0.2"), db, TCP)
    assert (found.name, found.address, found.port) == ("127.0.0.2_9191", "127.0.0.2", 9191)
    assert tcp_filter(found).clusters == (ir.WeightedCluster("outbound|5432||db.example", 100),)


def test_an_upstream_that_no_platform_knows_is_a_listener_all_the_same() -> None:
    found = upstream_listener(client(), UPSTREAM, None, None)
    assert tcp_filter(found).clusters == (ir.WeightedCluster("outbound|5432||db.example", 100),)


def test_tcp_is_split_as_the_virtual_service_says() -> None:
    split = tuple(
        RouteDestination(Destination("db.example", subset), weight) for subset, weight in (("a", 70), ("b", 30))
    )
    db, rule = service("db.example", TCP), virtual_service("db.example", tcp=(TCPRoute(route=split),))
    found = tcp_filter(upstream_listener(client(db, rule), UPSTREAM, db, TCP))
    assert [(each.cluster, each.weight) for each in found.clusters] == [
        ("outbound|5432|a|db.example", 70),
        ("outbound|5432|b|db.example", 30),
    ]


def test_tcp_idles_as_long_as_the_destination_rule_says() -> None:
    pool = ConnectionPoolSettings(TCPSettings(idle_timeout=timedelta(seconds=90)))
    db, rule = service("db.example", TCP), destination_rule("db.example", traffic_policy=TrafficPolicy(None, pool))
    assert tcp_filter(upstream_listener(client(db, rule), UPSTREAM, db, TCP)).idle_timeout == timedelta(seconds=90)
    assert tcp_filter(upstream_listener(client(db), UPSTREAM, db, TCP)).idle_timeout is None


def test_the_usual_inbound_port_has_istios_name_and_others_their_port_in_it() -> None:
    assert inbound_listener(Inbound(80), Protocol.TCP).name == "virtualInbound"
    assert inbound_listener(Inbound(80, listen=20000), Protocol.TCP).name == "virtualInbound_20000"


def test_inbound_routes_stand_in_the_listener() -> None:
    found = inbound_listener(Inbound(8080), Protocol.HTTP).chains[0].filter
    assert isinstance(found, ir.HttpConnectionManager)
    assert found.routes is not None
    assert found.route_name == ""
    (host,) = found.routes.virtual_hosts
    assert host.domains == ("*",)
