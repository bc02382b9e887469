"""A gRPC client may name every HTTP port in its scope, and is given no cluster that it can't reach as it should."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from galley.kinds import destination_rule as kind
from pilot import ir
from pilot.model.proxy import OutboundView
from pilot.model.scope import HostPattern, Scope
from pilot.model.service import Port, Protocol
from pilot.plan.proxyless import plan_proxyless, plan_proxyless_endpoints
from tests.unit.pilot.plan.world import TCP, destination_rule, endpoint, index, service

VIEW = OutboundView()
GRPC = Port("grpc", 9000, Protocol.GRPC)
WEB = service(endpoints=[endpoint()])
NAME = "outbound|80||web.example"


def cluster(**blocks: Any) -> ir.Cluster | None:
    """The only cluster under this traffic policy; None where it is left out."""
    rule = destination_rule(traffic_policy=kind.TrafficPolicy(**blocks))
    found = plan_proxyless(index(WEB, rule), VIEW)
    assert [each.cluster for each in found.endpoints] == [each.name for each in found.clusters]
    return found.clusters[0] if found.clusters else None


def test_there_is_a_listener_and_a_route_for_each_target() -> None:
    found = plan_proxyless(index(service("a", GRPC, TCP), service("b")), VIEW)
    assert [each.name for each in found.api_listeners] == [each.name for each in found.routes] == ["a:9000", "b:80"]
    assert {"outbound|9000||a", "outbound|80||b"} <= {each.name for each in found.clusters}


def test_a_listener_asks_for_its_routes_and_has_no_filter_that_grpc_does_not_know() -> None:
    (listener,) = plan_proxyless(index(WEB), VIEW).api_listeners
    http = ir.HttpConnectionManager("web.example:80", "web.example:80", upgrades=(), routes_may_fault=True)
    assert listener == ir.ApiListener("web.example:80", http)


def test_what_is_out_of_scope_can_not_be_named() -> None:
    scope = Scope(hosts=(HostPattern("*", "b"),))
    found = plan_proxyless(index(service("a"), service("b")), OutboundView(scope=scope))
    assert [each.name for each in found.api_listeners] == ["b:80"]
    assert [each.name for each in found.clusters] == ["outbound|80||b"]


@pytest.mark.parametrize("simple", list(kind.SimpleLB))
def test_all_simple_balancers_take_turns(simple: kind.SimpleLB) -> None:
    if simple is not kind.SimpleLB.PASSTHROUGH:
        found = cluster(load_balancer=kind.LoadBalancerSettings(simple=simple))
        assert found
        assert found.load_balancer is ir.LoadBalancer.ROUND_ROBIN


@pytest.mark.parametrize("table", [None, kind.MagLev(table_size=101)])
def test_both_hashes_become_a_ring(table: kind.MagLev | None) -> None:
    hashing = kind.ConsistentHashLB(http_header_name="x-user", maglev=table)
    found = cluster(load_balancer=kind.LoadBalancerSettings(consistent_hash=hashing))
    assert found
    assert (found.load_balancer, found.maglev_table_size) == (ir.LoadBalancer.RING_HASH, None)


def test_of_a_pool_only_the_calls_under_way_are_kept() -> None:
    pool = kind.ConnectionPoolSettings(
        tcp=kind.TCPSettings(connect_timeout=timedelta(seconds=1)), http=kind.HTTPSettings(http2_max_requests=7)
    )
    found = cluster(connection_pool=pool, outlier_detection=kind.OutlierDetection(consecutive_5xx_errors=1))
    assert found == ir.Cluster(
        name=NAME,
        discovery=ir.Discovery.EDS,
        load_balancer=ir.LoadBalancer.ROUND_ROBIN,
        circuit_breakers=ir.CircuitBreakers(max_requests=7),
        origin="DestinationRule default/rule",
    )


def test_a_cluster_that_would_be_reached_without_what_a_rule_asks_for_is_left_out() -> None:
    assert cluster(tls=kind.ClientTLSSettings(mode=kind.TLSmode.SIMPLE)) is None
    assert cluster(tls=kind.ClientTLSSettings(mode=kind.TLSmode.DISABLE)) is not None
    assert cluster(proxy_protocol=kind.ProxyProtocol()) is None


def test_a_single_name_is_looked_up_by_the_client_and_several_can_not_be() -> None:
    one = plan_proxyless(index(service(endpoints=[endpoint("web.internal")])), VIEW)
    two = plan_proxyless(index(service(endpoints=[endpoint("a.internal"), endpoint("b.internal")])), VIEW)
    assert [each.discovery for each in one.clusters] == [ir.Discovery.LOGICAL_DNS]
    assert (one.endpoints, two.clusters) == ((), ())


def test_a_change_of_endpoints_is_what_the_whole_plan_says_of_the_service() -> None:
    world = index(WEB, service("api.example", endpoints=[endpoint("10.0.0.9")]))
    found = plan_proxyless_endpoints(world, VIEW, WEB.key)
    assert found == tuple(each for each in plan_proxyless(world, VIEW).endpoints if each.cluster == NAME)
    named = service(endpoints=[endpoint("web.internal")])
    assert plan_proxyless_endpoints(index(named), VIEW, named.key) == ()
    assert plan_proxyless_endpoints(index(), VIEW, WEB.key) == ()
