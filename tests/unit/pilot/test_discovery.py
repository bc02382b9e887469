"""What connected proxies are told, and who is woken when it changes."""

from __future__ import annotations

import logging
from typing import Any

import attrs
import pytest

from galley.config import ConfigObject
from galley.kinds.destination_rule import OutlierDetection, TrafficPolicy
from galley.kinds.envoy_filter import ApplyTo, EnvoyConfigObjectPatch, EnvoyFilter, Operation, Patch
from galley.schema import Struct
from pilot import ir
from pilot.discovery import Discovery, Subscription, agent_of
from pilot.model.proxy import NodeError
from pilot.model.service import Locality
from pilot.plan import proxy as planning
from pilot.xds.protocol import Node, NodeLocality
from pilot.xds.resource import CDS, EDS, LDS, ORDER, RDS, SDS
from tests.unit.pilot.plan.world import destination_rule, endpoint, service, snapshot

WEB = service("web.example", endpoints=[endpoint("10.0.0.1")])
MOVED = service("web.example", endpoints=[endpoint("10.0.0.2")])


def node(name: str = "web-1.default", **metadata: Any) -> Node:
    return Node(f"sidecar~10.0.0.1~{name}~example", metadata=metadata)


class Stream:
    """A subscriber that counts how often it is woken."""

    def __init__(self, discovery: Discovery, who: Node) -> None:
        self.woken = 0
        self.subscription: Subscription = discovery.connect(who)
        self.subscription.on_change(self._wake)

    def _wake(self) -> None:
        self.woken += 1

    def names(self, type_url: str) -> list[str]:
        found = self.subscription.resources()
        assert found is not None
        return sorted(found[type_url].resources)


@pytest.fixture
def discovery() -> Discovery:
    return Discovery()


def test_proxies_wait_before_the_first_snapshot_and_are_woken_by_it(discovery: Discovery) -> None:
    stream = Stream(discovery, node())
    before = discovery.ready
    assert stream.subscription.resources() is None
    discovery.publish(snapshot(WEB))
    assert (before, discovery.ready) == (False, True)
    assert stream.woken == 1
    assert stream.names(EDS) == ["outbound|80||web.example"]


def test_an_empty_first_snapshot_wakes_too(discovery: Discovery) -> None:
    """The proxy that waits must hear that there is nothing."""
    stream = Stream(discovery, node())
    discovery.publish(snapshot())
    assert stream.woken == 1
    assert stream.names(CDS) == []


def test_equal_views_are_one_and_get_the_same_object(discovery: Discovery) -> None:
    discovery.publish(snapshot(WEB))
    one, other = Stream(discovery, node("a.default")), Stream(discovery, node("b.default"))
    assert discovery.views == 1
    assert one.subscription.resources() is other.subscription.resources()
    assert (one.subscription.proxy.name, other.subscription.proxy.name) == ("a", "b")


def test_a_change_wakes_only_the_views_that_it_concerns(discovery: Discovery) -> None:
    local = service("web", namespace="far", endpoints=[endpoint("10.0.0.9")])
    rule = destination_rule("web", namespace="far")
    discovery.publish(snapshot(WEB))
    plain = Stream(discovery, node())
    inbound = Stream(discovery, node(INBOUND=[{"port": 8080, "service": "web.example"}]))
    assert discovery.views == 2
    discovery.publish(snapshot(WEB, local, rule))
    assert (plain.woken, inbound.woken) == (1, 1)
    discovery.publish(snapshot(WEB, local, rule))
    assert (plain.woken, inbound.woken) == (1, 1)


def test_an_endpoint_that_moves_changes_one_type(discovery: Discovery) -> None:
    before = snapshot(WEB)
    discovery.publish(before)
    stream = Stream(discovery, node())
    old = stream.subscription.resources()
    discovery.publish(type(before)(snapshot(MOVED).catalog, before.config))
    new = stream.subscription.resources()
    assert old is not None
    assert new is not None
    assert {type_url for type_url in ORDER if old[type_url] is new[type_url]} == {SDS, CDS, LDS, RDS}
    assert stream.woken == 1


def test_a_closed_subscription_is_woken_no_more(discovery: Discovery) -> None:
    one, other = Stream(discovery, node()), Stream(discovery, node())
    one.subscription.close()
    discovery.publish(snapshot(WEB))
    assert (one.woken, other.woken) == (0, 1)


def test_the_last_stream_of_a_view_takes_it_along(discovery: Discovery) -> None:
    discovery.publish(snapshot(WEB))
    streams = [Stream(discovery, node()), Stream(discovery, node())]
    streams[0].subscription.close()
    assert discovery.views == 1
    streams[1].subscription.close()
    assert discovery.views == 0
    discovery.publish(snapshot(MOVED))
    assert Stream(discovery, node()).names(EDS) == ["outbound|80||web.example"]


def test_a_node_that_does_not_parse_is_refused_and_leaves_nothing(discovery: Discovery) -> None:
    with pytest.raises(NodeError, match=r"'sidecar~web'.*TYPE~IP~NAME\.NAMESPACE~DOMAIN"):
        discovery.connect(Node("sidecar~web"))
    assert discovery.views == 0


def test_resources_for_a_proxy_that_asks_or_not(discovery: Discovery) -> None:
    assert discovery.resources_for(node().id, {}) is None
    discovery.publish(snapshot(WEB))
    found = discovery.resources_for(node().id, {})
    assert found is not None
    assert list(found[EDS].resources) == ["outbound|80||web.example"]
    assert discovery.encoded > 0


def test_an_inconsistent_plan_is_not_served_and_the_last_one_stays(
    discovery: Discovery, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A bug of planning, made here by a planner that forgets the load assignments."""
    discovery.publish(snapshot(WEB))
    stream = Stream(discovery, node())
    before = stream.subscription.resources()
    with monkeypatch.context() as broken:
        broken.setattr("pilot.generate.plan_outbound", _without_endpoints)
        discovery.publish(snapshot(WEB, service("api.example", endpoints=[endpoint("10.0.0.5")])))
    assert stream.subscription.resources() is before
    assert stream.woken == 0
    (problem,) = discovery.problems.values()
    assert "web.example" in problem
    (record,) = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert "proxies keep what they have" in record.getMessage()
    discovery.publish(snapshot(WEB, service("api.example", endpoints=[endpoint("10.0.0.5")])))
    assert discovery.problems == {}
    assert stream.woken == 1
    assert "outbound|80||api.example" in stream.names(CDS)


def _without_endpoints(*arguments: Any) -> ir.Plan:
    return attrs.evolve(planning.plan_outbound(*arguments), endpoints=())


def test_proxies_in_different_places_are_told_differently_where_places_matter(discovery: Discovery) -> None:
    near, far = (endpoint(f"10.0.0.{number}", locality=Locality(where)) for number, where in ((1, "eu"), (2, "us")))
    detecting = destination_rule(traffic_policy=TrafficPolicy(outlier_detection=OutlierDetection()))
    discovery.publish(snapshot(service("web.example", endpoints=[near, far]), detecting))
    eu, us = (discovery.connect(attrs.evolve(node(), locality=NodeLocality(where))) for where in ("eu", "us"))
    told = [each.resources() for each in (eu, us)]
    assert told[0] is not None
    assert told[1] is not None
    assert told[0][EDS] is not told[1][EDS]
    assert told[0][CDS] is told[1][CDS] or told[0][CDS].version == told[1][CDS].version
    assert discovery.resources_for(node().id, {}, NodeLocality("us")) == told[1]


def test_an_envoy_that_is_too_old_is_refused_when_it_connects(discovery: Discovery) -> None:
    with pytest.raises(NodeError, match="the oldest that is served is"):
        discovery.connect(attrs.evolve(node(), user_agent_name="envoy", user_agent_version="1.30.0"))


def test_a_grpc_client_is_told_its_targets_whoever_asks_for_it(discovery: Discovery) -> None:
    caller = Node("caller", user_agent_name="gRPC C-core linux Python", user_agent_version="1.85.3")
    discovery.publish(snapshot(WEB))
    stream = Stream(discovery, caller)
    assert stream.names(LDS) == ["web.example:80"]
    assert discovery.resources_for("caller", {}, agent=agent_of(caller)) == stream.subscription.resources()


def test_an_envoy_filter_that_would_break_a_connected_proxy_is_told_with_its_place(discovery: Discovery) -> None:
    value = Struct.of({"virtual_hosts": [{"name": "a", "domains": ["WEB.example"]}]})
    patch = EnvoyConfigObjectPatch(ApplyTo.ROUTE_CONFIGURATION, patch=Patch(Operation.MERGE, value))
    spec = EnvoyFilter(config_patches=(patch,))
    discovery.publish(snapshot(WEB, ConfigObject("EnvoyFilter", "default", "broken", spec, "a.yaml:3")))
    assert discovery.left_out() == ()
    stream = Stream(discovery, node())
    (problem,) = discovery.left_out()
    assert (problem.where, problem.object) == ("a.yaml:3", "EnvoyFilter default/broken")
    assert "is left out of route configuration 15001: domain 'WEB.example' is in" in problem.message
    stream.subscription.close()
    assert discovery.left_out() == ()
