"""What a proxy says of itself is read, or refused by name."""

from __future__ import annotations

from typing import Any

import pytest

from pilot.model.agent import Agent
from pilot.model.proxy import Inbound, NodeError, OutboundView, ProxyView, Upstream, parse_proxy
from pilot.model.service import Locality, Protocol
from pilot.plan.index import Index
from pilot.plan.proxy import reduce_view
from tests.unit.pilot.plan.world import snapshot

ID = "sidecar~10.0.0.1~web-1.shop~shop.svc.cluster.local"


def test_an_id_of_istios_grammar_says_kind_address_name_and_namespace() -> None:
    proxy = parse_proxy(ID, {})
    assert (proxy.kind, proxy.address, proxy.name, proxy.namespace) == ("sidecar", "10.0.0.1", "web-1", "shop")
    assert proxy.view == ProxyView(OutboundView("shop"))


def test_a_name_may_have_dots_and_the_namespace_is_behind_the_last() -> None:
    proxy = parse_proxy("router~::1~web.v1.shop~domain", {})
    assert (proxy.kind, proxy.address, proxy.name, proxy.namespace) == ("router", "::1", "web.v1", "shop")


@pytest.mark.parametrize(("kind", "router"), [("sidecar", False), ("router", True), ("ingress", True)])
def test_a_router_is_known_by_its_type(kind: str, router: bool) -> None:
    assert parse_proxy(f"{kind}~10.0.0.1~edge.default~domain", {}).view.router is router


@pytest.mark.parametrize(
    ("metadata", "named"),
    [
        ({"INBOUND": [{"port": 8080}]}, "INBOUND"),
        ({"UPSTREAMS": [{"host": "db", "bindPort": 9191}]}, "UPSTREAMS"),
        ({"GENERATOR": "grpc"}, "GENERATOR"),
    ],
)
def test_a_router_has_no_workload_to_listen_for(metadata: dict[str, Any], named: str) -> None:
    with pytest.raises(NodeError, match=f"metadata {named} is for a client or server of the mesh, not for a router"):
        parse_proxy("router~10.0.0.1~edge.default~domain", metadata)


def test_a_plain_id_is_a_sidecar_of_the_default_namespace() -> None:
    proxy = parse_proxy("web-1", {})
    assert (proxy.kind, proxy.name, proxy.namespace) == ("sidecar", "web-1", "default")


def test_metadata_wins_over_the_id() -> None:
    proxy = parse_proxy(ID, {"NAMESPACE": "other", "NAME": "api"})
    assert (proxy.name, proxy.namespace) == ("api", "other")


@pytest.mark.parametrize(
    ("node_id", "named"),
    [
        ("", "node id is empty"),
        ("sidecar~10.0.0.1~web.shop", "has 3 parts"),
        ("sidecar~10.0.0.1~web.shop~domain~more", "has 5 parts"),
        ("waypoint~10.0.0.1~web.shop~domain", "'waypoint' is not one of sidecar, router, ingress"),
        ("sidecar~web~web.shop~domain", "'web' is not an IP address"),
        ("sidecar~10.0.0.1~web~domain", "'web' is not NAME.NAMESPACE"),
        ("sidecar~10.0.0.1~.shop~domain", "'.shop' is not NAME.NAMESPACE"),
        ("sidecar~10.0.0.1~web.~domain", "'web.' is not NAME.NAMESPACE"),
    ],
)
def test_an_id_that_is_not_of_the_grammar_is_refused_by_name(node_id: str, named: str) -> None:
    with pytest.raises(NodeError, match=named) as refusal:
        parse_proxy(node_id, {})
    assert node_id in str(refusal.value)


def test_metadata_says_what_is_listened_on_and_for_whom() -> None:
    metadata: dict[str, Any] = {
        "LABELS": {"version": "v1", "app": "web"},
        "OUTBOUND_ADDRESS": "127.0.0.9",
        "OUTBOUND_PORT": 15101.0,
        "UPSTREAMS": [{"host": "db", "port": 5432.0, "bindPort": "9191", "bindAddress": "127.0.0.2"}],
        "INBOUND": [{"port": 8080.0, "listen": 20000, "address": "::", "protocol": "grpc", "service": "web"}],
    }
    assert parse_proxy(ID, metadata).view == ProxyView(
        outbound=OutboundView("shop", (("app", "web"), ("version", "v1")), "127.0.0.9", 15101),
        upstreams=(Upstream("db", 5432, 9191, "127.0.0.2"),),
        inbound=(Inbound(8080, 20000, "::", Protocol.GRPC, "web"),),
    )


def test_what_metadata_leaves_out_has_a_default() -> None:
    view = parse_proxy(ID, {"UPSTREAMS": [{"host": "db", "bindPort": 9191}], "INBOUND": [{"port": 8080}]}).view
    assert view.upstreams == (Upstream("db", 80, 9191),)
    assert view.inbound == (Inbound(8080),)


@pytest.mark.parametrize(
    ("metadata", "named"),
    [
        ({"LABELS": "app=web"}, "LABELS is not a map of strings"),
        ({"UPSTREAMS": {"host": "db"}}, "UPSTREAMS is not a list of objects"),
        ({"UPSTREAMS": ["db"]}, "UPSTREAMS is not a list of objects"),
        ({"UPSTREAMS": [{"bindPort": 9191}]}, "UPSTREAMS has no host"),
        ({"UPSTREAMS": [{"host": "db"}]}, "bindPort is None"),
        ({"UPSTREAMS": [{"host": "db", "bindPort": 1, "bindAddress": "here"}]}, "bindAddress is 'here', not an IP"),
        ({"INBOUND": "8080"}, "INBOUND is not a list of objects"),
        ({"INBOUND": [{}]}, "port is None"),
        ({"INBOUND": [{"port": 0}]}, "port is 0"),
        ({"INBOUND": [{"port": 65536}]}, "port is 65536"),
        ({"INBOUND": [{"port": "http"}]}, "port is 'http'"),
        ({"INBOUND": [{"port": [80]}]}, r"port is \[80\]"),
        ({"INBOUND": [{"port": float("inf")}]}, "port is inf"),
        ({"INBOUND": [{"port": float("nan")}]}, "port is nan"),
        ({"INBOUND": [{"port": 80, "address": 7.0}]}, "address is 7.0, not an IP"),
        ({"OUTBOUND_ADDRESS": "localhost"}, "OUTBOUND_ADDRESS is 'localhost', not an IP"),
    ],
)
def test_metadata_that_is_misshapen_is_refused_by_name(metadata: dict[str, Any], named: str) -> None:
    with pytest.raises(NodeError, match=named) as refusal:
        parse_proxy(ID, metadata)
    assert ID in str(refusal.value)


@pytest.mark.parametrize(
    "metadata",
    [
        {"UPSTREAMS": [{"host": "a", "bindPort": 15001}]},
        {"UPSTREAMS": [{"host": "a", "bindPort": 9191}, {"host": "b", "bindPort": 9191}]},
        {"INBOUND": [{"port": 80}, {"port": 81}]},
    ],
)
def test_two_listeners_on_one_port_are_refused(metadata: dict[str, Any]) -> None:
    with pytest.raises(NodeError, match="to be listened on twice"):
        parse_proxy(ID, metadata)


def test_proxies_that_say_the_same_have_equal_views() -> None:
    one = parse_proxy(ID, {"LABELS": {"a": "1", "b": "2"}})
    other = parse_proxy("sidecar~10.0.0.2~web-2.shop~domain", {"LABELS": {"b": "2", "a": "1"}})
    assert one.view == other.view
    assert hash(one.view) == hash(other.view)


def test_a_place_is_what_the_node_says_else_what_its_metadata_say() -> None:
    said = Locality("eu", "eu-1", "rack7")
    assert parse_proxy("a", {"LOCALITY": "us/us-1"}, said).view.outbound.locality == said
    assert parse_proxy("a", {"LOCALITY": "us/us-1"}).view.outbound.locality == Locality("us", "us-1")
    assert parse_proxy("a", {}).view.outbound.locality == Locality()


def test_a_host_may_keep_its_authorities_elsewhere() -> None:
    assert parse_proxy("a", {}).view.outbound.system_ca == "/etc/ssl/certs/ca-certificates.crt"
    assert parse_proxy("a", {"SYSTEM_CA": "/etc/pki/ca.pem"}).view.outbound.system_ca == "/etc/pki/ca.pem"


@pytest.mark.parametrize(
    ("metadata", "agent"),
    [({"GENERATOR": "grpc"}, Agent()), ({}, Agent("gRPC Go", "1.80.0")), ({}, Agent("grpc-java"))],
)
def test_a_grpc_client_is_told_by_its_metadata_or_its_name(metadata: dict[str, Any], agent: Agent) -> None:
    assert parse_proxy("caller", metadata, agent=agent).view.proxyless
    assert not parse_proxy("caller", {}, agent=Agent("envoy", "1.40.0")).view.proxyless


@pytest.mark.parametrize(
    ("metadata", "named"),
    [
        ({"GENERATOR": "event"}, "GENERATOR is 'event': give 'grpc' or leave it out"),
        ({"GENERATOR": ["grpc"]}, "GENERATOR is"),
        ({"GENERATOR": "grpc", "INBOUND": [{"port": 80}]}, "a gRPC client has no listeners"),
        ({"GENERATOR": "grpc", "UPSTREAMS": [{"host": "a", "bindPort": 9191}]}, "a gRPC client has no listeners"),
    ],
)
def test_what_a_grpc_client_can_not_be_given_is_refused(metadata: dict[str, Any], named: str) -> None:
    with pytest.raises(NodeError, match=named):
        parse_proxy("caller", metadata)


def test_a_program_that_is_too_old_is_refused_by_name() -> None:
    with pytest.raises(NodeError, match=r"'web-1': Envoy 1\.37\.0 is too old: the oldest that is served is 1\.38"):
        parse_proxy("web-1", {}, agent=Agent("envoy", "1.37.0"))


def test_versions_that_are_told_the_same_have_equal_views() -> None:
    index = Index.of(snapshot())
    views = {
        version: reduce_view(index, parse_proxy("a", {}, agent=Agent("envoy", version)).view)
        for version in ("1.38.3", "1.39.1", "1.40.0")
    }
    assert views["1.39.1"] == views["1.40.0"] == reduce_view(index, parse_proxy("a", {}).view)
    assert views["1.38.3"].outbound.withheld
