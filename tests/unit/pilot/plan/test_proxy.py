"""The three parts of what a proxy is told."""

from __future__ import annotations

import attrs
import pytest

from galley.kinds.destination_rule import OutlierDetection, Subset, TrafficPolicy
from galley.kinds.virtual_service import HTTPMatchRequest, HTTPRoute
from pilot import ir
from pilot.model.proxy import Inbound, OutboundView, ProxyView, Upstream
from pilot.model.service import Locality, Port, Protocol, ServiceKey
from pilot.plan.proxy import plan_endpoints, plan_inbound, plan_outbound, plan_upstreams, reduce_view
from tests.unit.pilot.plan.world import (
    HTTP,
    TCP,
    destination_rule,
    endpoint,
    index,
    service,
    to,
    virtual_service,
)

VIEW = OutboundView()
LABELS = (("app", "shop"), ("pod-hash", "a1b2"))


def test_labels_that_no_rule_asks_for_are_not_seen() -> None:
    view = ProxyView(OutboundView(labels=LABELS))
    assert reduce_view(index(), view) == ProxyView()
    asking = HTTPRoute(match=(HTTPMatchRequest(source_labels=(("app", "x"),)),), route=(to(),))
    found = reduce_view(index(virtual_service("web.example", http=(asking,))), view)
    assert found.outbound.labels == (("app", "shop"),)


def test_a_place_that_no_rule_asks_for_is_not_seen() -> None:
    view = ProxyView(OutboundView(locality=Locality("eu", "eu-1")))
    assert reduce_view(index(), view) == ProxyView()
    detecting = destination_rule(traffic_policy=TrafficPolicy(outlier_detection=OutlierDetection()))
    assert reduce_view(index(detecting), view) == view


def test_a_client_is_told_of_the_near_first_by_clusters_and_by_endpoints_alone() -> None:
    near, far = endpoint("10.0.0.1", locality=Locality("eu")), endpoint("10.0.0.2", locality=Locality("us"))
    detecting = destination_rule(traffic_policy=TrafficPolicy(outlier_detection=OutlierDetection()))
    web = service(endpoints=[near, far])
    world, view = index(web, detecting), OutboundView(locality=Locality("us"))
    (assignment,) = plan_endpoints(world, view, web.key)
    assert [(each.region, each.priority) for each in assignment.localities] == [("us", 0), ("eu", 1)]
    assert plan_outbound(world, view).endpoints == (assignment,)


def test_outbound_holds_every_service_with_its_load_assignments() -> None:
    found = plan_outbound(index(service("a.example"), service("b.example", TCP)), VIEW)
    assert [each.name for each in found.clusters] == ["outbound|80||a.example", "outbound|5432||b.example"]
    assert [each.cluster for each in found.endpoints] == [each.name for each in found.clusters]
    assert [each.name for each in found.listeners] == ["virtualOutbound"]
    assert [each.name for each in found.routes] == ["15001"]


def test_a_service_with_a_named_endpoint_has_its_endpoints_inside_its_clusters() -> None:
    named = service(endpoints=[endpoint("web-1.internal"), endpoint("10.0.0.2")])
    found = plan_outbound(index(named, destination_rule(subsets=(Subset("v1", (("version", "v1"),)),))), VIEW)
    assert [each.discovery for each in found.clusters] == [ir.Discovery.STRICT_DNS] * 2
    assert [each.endpoints.cluster for each in found.clusters if each.endpoints] == [e.name for e in found.clusters]
    assert found.endpoints == ()


def test_the_endpoints_of_one_service_are_those_of_the_whole_plan() -> None:
    web = service(endpoints=[endpoint()])
    world = index(web, service("other.example"), destination_rule(subsets=(Subset("v1"),)))
    of_web = tuple(each for each in plan_outbound(world, VIEW).endpoints if "web.example" in each.cluster)
    assert plan_endpoints(world, VIEW, web.key) == of_web


def test_a_service_that_is_not_there_has_no_endpoints() -> None:
    assert plan_endpoints(index(), VIEW, ServiceKey("default", "absent.example")) == ()


def test_upstreams_bring_the_routes_of_those_that_may_carry_http() -> None:
    world = index(service("web.example"), service("db.example", TCP), service("raw.example", Port("raw", 7)))
    upstreams = (
        Upstream("web", 80, 9001),
        Upstream("web.example", 80, 9002),
        Upstream("db", 5432, 9003),
        Upstream("raw", 7, 9004),
        Upstream("absent", 80, 9005),
        Upstream("web", 81, 9006),
    )
    found = plan_upstreams(world, VIEW, upstreams)
    assert len(found.listeners) == 6
    assert [each.name for each in found.routes] == ["web.example:80", "raw.example:7"]


@pytest.mark.parametrize(
    ("inbound", "http"),
    [
        (Inbound(80), ir.UpstreamHttp.SAME),
        (Inbound(80, protocol=Protocol.TCP, service="web"), ir.UpstreamHttp.NONE),
        (Inbound(80, service="web"), ir.UpstreamHttp.HTTP1),
        (Inbound(80, service="mixed"), ir.UpstreamHttp.SAME),
        (Inbound(80, service="absent"), ir.UpstreamHttp.SAME),
    ],
)
def test_inbound_is_spoken_to_as_said_else_as_all_ports_of_the_service_are(
    inbound: Inbound, http: ir.UpstreamHttp
) -> None:
    world = index(service("web.example"), service("mixed.example", HTTP, TCP))
    assert [each.http for each in plan_inbound(world, "default", (inbound,)).clusters] == [http]


def test_two_inbound_listeners_for_one_port_share_its_cluster() -> None:
    one = Inbound(80, listen=20000)
    found = plan_inbound(index(), "default", (one, attrs.evolve(one, listen=20001)))
    assert [each.name for each in found.clusters] == ["inbound|80||"]
    assert [each.name for each in found.listeners] == ["virtualInbound_20000", "virtualInbound_20001"]
