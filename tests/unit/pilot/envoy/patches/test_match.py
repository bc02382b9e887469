"""Where patches belong."""

from __future__ import annotations

from typing import Any

import pytest

from pilot import ir
from pilot.envoy.patches.match import (
    is_route,
    listener_facts,
    named_route,
    route_port,
    takes_chain,
    takes_cluster,
    takes_listener,
    takes_routes,
    takes_virtual_host,
)
from tests.unit.pilot.envoy.patches.messages import CHAIN, ROUTES, TCP_PROXY, patch, read

TCP = ir.TcpProxy("outbound|5432||db.example", (ir.WeightedCluster("outbound|9999||other", 100),))
UPSTREAM = ir.Listener("127.0.0.1_6432", "127.0.0.1", 6432, ir.Direction.OUTBOUND, (ir.FilterChain(TCP),))
HTTP = ir.HttpConnectionManager("inbound_8080", routes=ir.RouteConfiguration("inbound|8080||", ()))
INBOUND = ir.Listener("virtualInbound", "0.0.0.0", 15006, ir.Direction.INBOUND, (ir.FilterChain(HTTP),))


@pytest.mark.parametrize(
    ("name", "port"),
    [
        ("15001", 15001),
        ("web.example:80", 80),
        ("inbound|8080||", 8080),
        ("http.80", 80),
        ("http.80.10.0.0.1", 80),
        ("https.443.https.edge.default", 443),
        ("http.shop.example:9080", 9080),
        ("block_all", 0),
    ],
)
def test_the_port_of_a_route_configuration(name: str, port: int) -> None:
    assert route_port(name) == port


@pytest.mark.parametrize(
    ("listener", "match", "takes"),
    [
        (UPSTREAM, {}, True),
        (UPSTREAM, {"portNumber": 6432}, True),
        (UPSTREAM, {"portNumber": 5432}, True),
        (UPSTREAM, {"portNumber": 9999}, False),
        (UPSTREAM, {"name": "127.0.0.1_6432"}, True),
        (UPSTREAM, {"name": "virtualInbound"}, False),
        (INBOUND, {"portNumber": 8080}, True),
        (INBOUND, {"portNumber": 15006}, True),
        (INBOUND, {"portNumber": 80}, False),
    ],
)
def test_listeners_go_by_their_names_and_ports(listener: ir.Listener, match: dict[str, Any], takes: bool) -> None:
    assert takes_listener(patch("LISTENER", "REMOVE", listener=match), listener_facts(listener)) is takes


RULE = {"server_names": ["a.example"], "transport_protocol": "tls", "application_protocols": ["h2", "http/1.1"]}


@pytest.mark.parametrize(
    ("match", "takes"),
    [
        ({}, True),
        ({"name": "one"}, True),
        ({"name": "two"}, False),
        ({"sni": "a.example"}, True),
        ({"sni": "b.example"}, False),
        ({"transportProtocol": "tls"}, True),
        ({"transportProtocol": "raw_buffer"}, False),
        ({"applicationProtocols": "http/1.1,h2"}, True),
        ({"applicationProtocols": "h2,h3"}, False),
        ({"destinationPort": 8080}, True),
        ({"destinationPort": 80}, False),
    ],
)
def test_chains_go_by_what_they_take(match: dict[str, Any], takes: bool) -> None:
    chain = read(CHAIN, {"name": "one", "filter_chain_match": RULE, "filters": [TCP_PROXY]})
    said = patch("FILTER_CHAIN", "REMOVE", listener={"filterChain": match})
    assert takes_chain(said, chain, listener_facts(INBOUND)) is takes


def test_a_chain_that_names_its_port_goes_by_that_alone() -> None:
    chain = read(CHAIN, {"filter_chain_match": {"destination_port": 80}})
    for port, takes in ((80, True), (8080, False)):
        said = patch("FILTER_CHAIN", "REMOVE", listener={"filterChain": {"destinationPort": port}})
        assert takes_chain(said, chain, listener_facts(INBOUND)) is takes


HTTPS = "https.443.https.edge.default"


@pytest.mark.parametrize(
    ("apply_to", "name", "match", "takes"),
    [
        ("VIRTUAL_HOST", "15001", {}, True),
        ("VIRTUAL_HOST", "15001", {"name": "15001"}, True),
        ("VIRTUAL_HOST", "15001", {"name": "80"}, False),
        ("VIRTUAL_HOST", "15001", {"portNumber": 80}, True),
        ("VIRTUAL_HOST", "15001", {"portNumber": 81}, False),
        ("ROUTE_CONFIGURATION", "15001", {"portNumber": 80}, False),
        ("ROUTE_CONFIGURATION", "15001", {"portNumber": 15001}, True),
        ("VIRTUAL_HOST", HTTPS, {"gateway": "default/edge", "portName": "https", "portNumber": 443}, True),
        ("VIRTUAL_HOST", f"{HTTPS}.10.0.0.1", {"gateway": "default/edge"}, True),
        ("VIRTUAL_HOST", HTTPS, {"gateway": "other/edge"}, False),
        ("VIRTUAL_HOST", HTTPS, {"portName": "tls"}, False),
        ("VIRTUAL_HOST", "http.80", {"gateway": "default/edge"}, False),
    ],
)
def test_route_configurations(apply_to: str, name: str, match: dict[str, Any], takes: bool) -> None:
    said = patch(apply_to, "MERGE", {}, routeConfiguration=match)
    assert takes_routes(said, name, ["web.example:80", "block_all"]) is takes


@pytest.mark.parametrize(
    ("match", "takes"),
    [
        ({}, True),
        ({"portNumber": 80}, True),
        ({"portNumber": 8000}, False),
        ({"vhost": {"name": "web.example:80"}}, True),
        ({"vhost": {"name": "web.example"}}, False),
        ({"vhost": {"domainName": "web"}}, True),
        ({"vhost": {"domainName": "shop"}}, False),
    ],
)
def test_virtual_hosts(match: dict[str, Any], takes: bool) -> None:
    routes = read(ROUTES, {"virtual_hosts": [{"name": "web.example:80", "domains": ["web.example", "web"]}]})
    said = patch("VIRTUAL_HOST", "MERGE", {}, routeConfiguration=match)
    assert takes_virtual_host(said, routes.virtual_hosts[0], "15001") is takes


@pytest.mark.parametrize(
    ("match", "names"),
    [({}, ["a", "b", "c"]), ({"name": "b"}, ["b"]), ({"action": "ROUTE"}, ["a"]), ({"action": "REDIRECT"}, ["b"])],
)
def test_routes(match: dict[str, Any], names: list[str]) -> None:
    actions: list[dict[str, Any]] = [
        {"route": {"cluster": "a"}},
        {"redirect": {}},
        {"direct_response": {"status": 200}},
    ]
    routes = [{"name": name, **action} for name, action in zip("abc", actions, strict=True)]
    found = read(ROUTES, {"virtual_hosts": [{"routes": routes}]}).virtual_hosts[0].routes
    wanted = named_route(patch("HTTP_ROUTE", "REMOVE", routeConfiguration={"vhost": {"route": match}}))
    assert wanted is not None
    assert [each.name for each in found if is_route(wanted, each)] == names


@pytest.mark.parametrize(
    ("name", "match", "takes"),
    [
        ("outbound|80|v1|web.example", {}, True),
        ("outbound|80|v1|web.example", {"service": "web.example", "portNumber": 80, "subset": "v1"}, True),
        ("outbound|80|v1|web.example", {"subset": "v2"}, False),
        ("outbound|80|v1|web.example", {"portNumber": 81}, False),
        ("outbound|80|v1|web.example", {"service": "web"}, False),
        ("outbound|80|v1|web.example", {"name": "outbound|80|v1|web.example", "service": "other"}, True),
        ("outbound|80|v1|web.example", {"name": "outbound|80||web.example"}, False),
        ("inbound|8080||", {"service": "web.example", "portNumber": 8080}, True),
        ("inbound|8080||", {"service": "shop.example"}, False),
        ("PassthroughCluster", {}, True),
        ("PassthroughCluster", {"portNumber": 80}, False),
    ],
)
def test_clusters(name: str, match: dict[str, Any], takes: bool) -> None:
    said = patch("CLUSTER", "REMOVE", cluster=match)
    assert takes_cluster(said, name, {"inbound|8080||": "web.example"}) is takes
