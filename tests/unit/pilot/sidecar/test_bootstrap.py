from __future__ import annotations

from typing import Any

import pytest
from envoy_data_plane.envoy.config.bootstrap import v3 as library
from envoy_data_plane.envoy.extensions.filters.http.router import v3 as router
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager import v3 as manager
from envoy_data_plane.envoy.extensions.resource_monitors.downstream_connections import v3 as connections
from envoy_data_plane.envoy.extensions.upstreams.http import v3 as upstreams
from google.protobuf import json_format

from pilot.envoy import codec
from pilot.model.proxy import Inbound, OutboundView, Proxy, ProxyView, Upstream, parse_proxy
from pilot.model.service import Locality, Protocol
from pilot.sidecar.bootstrap import bootstrap
from pilot.sidecar.settings import SettingsError, SidecarSettings, XdsAddress, XdsMode

FULL = SidecarSettings(
    service="web",
    namespace="shop",
    instance="web-7",
    address="10.0.0.9",
    port=8080,
    protocol=Protocol.GRPC,
    inbound_port=16006,
    outbound_port=16001,
    upstreams=(Upstream("db.service.consul", 5432, 5432),),
    labels=(("app", "web"), ("version", "v1")),
    locality=Locality("eu", "eu-1", "rack7"),
)
CLIENT = SidecarSettings(service="cron")


def cluster(document: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(each for each in document["static_resources"]["clusters"] if each["name"] == name)
    return found


@pytest.mark.parametrize("settings", [FULL, CLIENT], ids=["full", "client"])
def test_it_is_a_bootstrap_by_the_api(settings: SidecarSettings) -> None:
    message = codec.message(library.Bootstrap)
    for inside in (
        manager.HttpConnectionManager,
        router.Router,
        upstreams.HttpProtocolOptions,
        connections.DownstreamConnectionsConfig,
    ):
        codec.message(inside)
    document = bootstrap(settings)
    parsed = json_format.ParseDict(document, message(), descriptor_pool=message.DESCRIPTOR.file.pool)
    assert codec.to_json(parsed)["node"]["id"] == document["node"]["id"]
    assert parsed.dynamic_resources.ads_config.set_node_on_first_message_only


def test_the_control_plane_reads_in_the_node_what_the_operator_said() -> None:
    node = bootstrap(FULL)["node"]
    assert node["id"] == "sidecar~10.0.0.9~web-7.shop~service.consul"
    assert node["cluster"] == "web.shop"
    assert node["locality"] == {"region": "eu", "zone": "eu-1", "sub_zone": "rack7"}
    assert parse_proxy(node["id"], node["metadata"]) == Proxy(
        id=node["id"],
        kind="sidecar",
        address="10.0.0.9",
        name="web-7",
        view=ProxyView(
            outbound=OutboundView(namespace="shop", labels=(("app", "web"), ("version", "v1")), port=16001),
            upstreams=(Upstream("db.service.consul", 5432, 5432),),
            inbound=(Inbound(8080, listen=16006, protocol=Protocol.GRPC, service="web"),),
        ),
    )


@pytest.mark.parametrize(("address", "everywhere"), [("10.0.0.9", "0.0.0.0"), ("2001:db8::9", "::")])
def test_it_listens_on_all_addresses_of_the_family_that_peers_use(address: str, everywhere: str) -> None:
    document = bootstrap(SidecarSettings("web", address=address, port=8080))
    assert document["node"]["metadata"]["INBOUND"][0]["address"] == everywhere
    for listener in document["static_resources"]["listeners"]:
        assert listener["address"]["socket_address"]["address"] == everywhere


def test_a_gateway_is_a_router_that_says_what_selectors_see() -> None:
    settings = SidecarSettings(service="edge", gateway=True, address="10.0.0.9", labels=(("istio", "ingressgateway"),))
    found = bootstrap(settings)["node"]
    assert found["id"] == "router~10.0.0.9~edge.default~service.consul"
    assert set(found["metadata"]) == {"NAME", "NAMESPACE", "LABELS"}
    proxy = parse_proxy(found["id"], found["metadata"])
    assert proxy.view == ProxyView(OutboundView(labels=(("istio", "ingressgateway"),), edge=True), router=True)


def test_a_client_takes_nothing_in() -> None:
    node = bootstrap(CLIENT)["node"]
    assert parse_proxy(node["id"], node["metadata"]).view.inbound == ()
    assert "locality" not in node


@pytest.mark.parametrize(("mode", "api"), [(XdsMode.DELTA, "DELTA_GRPC"), (XdsMode.SOTW, "GRPC")])
def test_the_mode_of_asking(mode: XdsMode, api: str) -> None:
    found = bootstrap(SidecarSettings("web", xds_mode=mode))["dynamic_resources"]
    assert found["ads_config"]["api_type"] == api
    assert found["cds_config"]["initial_fetch_timeout"] == "0s"


@pytest.mark.parametrize(
    ("address", "discovery", "where"),
    [
        (XdsAddress("10.0.0.1", 15010), "STATIC", {"socket_address": {"address": "10.0.0.1", "port_value": 15010}}),
        (XdsAddress("pilot.a", 1), "STRICT_DNS", {"socket_address": {"address": "pilot.a", "port_value": 1}}),
        (XdsAddress("", 0, "/run/xds"), "STATIC", {"pipe": {"path": "/run/xds"}}),
    ],
    ids=["address", "name", "socket"],
)
def test_where_the_control_plane_is(address: XdsAddress, discovery: str, where: dict[str, Any]) -> None:
    found = cluster(bootstrap(SidecarSettings("web", xds_addr=address)), "xds-grpc")
    assert found["type"] == discovery
    assert found["load_assignment"]["endpoints"] == [{"lb_endpoints": [{"endpoint": {"address": where}}]}]


@pytest.mark.parametrize(
    ("ports", "listeners"),
    [
        ({}, ["health", "metrics"]),
        ({"health_port": 0}, ["metrics"]),
        ({"metrics_port": 0}, ["health"]),
        ({"health_port": 0, "metrics_port": 0, "admin_port": 0}, []),
    ],
)
def test_listeners_of_the_proxys_own_can_be_left_out(ports: dict[str, int], listeners: list[str]) -> None:
    found = bootstrap(SidecarSettings("web", **ports))["static_resources"]  # type: ignore[arg-type]
    assert [each["name"] for each in found["listeners"]] == listeners
    assert ("admin" in [each["name"] for each in found["clusters"]]) is bool(listeners)


def test_a_listener_that_leads_to_an_unknown_admin_port_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"^--admin-port: --health-port 15021 leads to .*: give --admin-port a"):
        bootstrap(SidecarSettings("web", admin_port=0))
