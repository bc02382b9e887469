"""What a cluster is, by the service's ports and its destination rules."""

from __future__ import annotations

from datetime import timedelta

import pytest

from galley.kinds.destination_rule import (
    ConnectionKeepalive,
    ConnectionPoolSettings,
    Distribute,
    H2UpgradePolicy,
    HTTPSettings,
    LoadBalancerSettings,
    LocalityLoadBalancerSetting,
    OutlierDetection,
    RetryBudget,
    SimpleLB,
    Subset,
    TcpKeepalive,
    TCPSettings,
    TrafficPolicy,
)
from pilot import ir
from pilot.model.agent import Feature
from pilot.model.proxy import Inbound, OutboundView
from pilot.model.service import Locality, Port, Protocol
from pilot.plan.clusters import UNLIMITED, inbound_cluster, outbound_clusters, resolved_by_proxy, upstream_http
from tests.unit.pilot.plan.world import HTTP, destination_rule, service

VIEW = OutboundView()


def planned(policy: TrafficPolicy) -> ir.Cluster:
    """The one cluster of a service with that policy."""
    (found,) = outbound_clusters(service(), (destination_rule(traffic_policy=policy),), VIEW)
    return found


def ejecting(settings: OutlierDetection) -> ir.OutlierDetection:
    found = planned(TrafficPolicy(outlier_detection=settings)).outlier_detection
    assert found is not None
    return found


def test_without_rules_a_cluster_is_as_istio_has_it() -> None:
    assert outbound_clusters(service(), (), VIEW) == (
        ir.Cluster(
            name="outbound|80||web.example",
            discovery=ir.Discovery.EDS,
            connect_timeout=timedelta(seconds=10),
            load_balancer=ir.LoadBalancer.LEAST_REQUEST,
            http=ir.UpstreamHttp.HTTP1,
            circuit_breakers=ir.CircuitBreakers(UNLIMITED, UNLIMITED, UNLIMITED, UNLIMITED),
            healthy_panic_threshold=0,
        ),
    )


def test_each_port_has_a_cluster_and_one_for_each_subset() -> None:
    web = service("web.example", HTTP, Port("grpc", 9000, Protocol.GRPC))
    found = outbound_clusters(web, (destination_rule(subsets=(Subset("v1"),)),), VIEW)
    assert [each.name for each in found] == [
        "outbound|80||web.example",
        "outbound|80|v1|web.example",
        "outbound|9000||web.example",
        "outbound|9000|v1|web.example",
    ]


def test_a_port_number_that_is_told_twice_makes_one_cluster() -> None:
    twice = service("web.example", HTTP, Port("again", 80, Protocol.TCP))
    assert [each.http for each in outbound_clusters(twice, (), VIEW)] == [ir.UpstreamHttp.HTTP1]


def test_a_cluster_says_which_rule_made_it() -> None:
    rules = (destination_rule(name="a"), destination_rule(name="b", subsets=(Subset("v1"),)))
    assert [each.origin for each in outbound_clusters(service(), rules, VIEW)] == [
        "DestinationRule default/a",
        "DestinationRule default/b",
    ]


@pytest.mark.parametrize(
    ("protocol", "http"),
    [
        (Protocol.HTTP, ir.UpstreamHttp.HTTP1),
        (Protocol.HTTP2, ir.UpstreamHttp.HTTP2),
        (Protocol.GRPC, ir.UpstreamHttp.HTTP2),
        (Protocol.UNSPECIFIED, ir.UpstreamHttp.SAME),
        (Protocol.TCP, ir.UpstreamHttp.NONE),
        (Protocol.TLS, ir.UpstreamHttp.NONE),
        (Protocol.HTTPS, ir.UpstreamHttp.NONE),
    ],
)
def test_a_port_is_spoken_to_in_its_protocol(protocol: Protocol, http: ir.UpstreamHttp) -> None:
    assert upstream_http(protocol) is http


@pytest.mark.parametrize(
    ("simple", "found"),
    [
        (SimpleLB.UNSPECIFIED, ir.LoadBalancer.LEAST_REQUEST),
        (SimpleLB.LEAST_CONN, ir.LoadBalancer.LEAST_REQUEST),
        (SimpleLB.LEAST_REQUEST, ir.LoadBalancer.LEAST_REQUEST),
        (SimpleLB.RANDOM, ir.LoadBalancer.RANDOM),
        (SimpleLB.ROUND_ROBIN, ir.LoadBalancer.ROUND_ROBIN),
        (None, ir.LoadBalancer.LEAST_REQUEST),
    ],
)
def test_load_balancers_have_envoys_names(simple: SimpleLB | None, found: ir.LoadBalancer) -> None:
    assert planned(TrafficPolicy(load_balancer=LoadBalancerSettings(simple=simple))).load_balancer is found


def test_a_limit_of_zero_is_none() -> None:
    pool = ConnectionPoolSettings(TCPSettings(max_connections=0), HTTPSettings(max_retries=3))
    limits = planned(TrafficPolicy(connection_pool=pool)).circuit_breakers
    assert limits == ir.CircuitBreakers(UNLIMITED, UNLIMITED, UNLIMITED, 3)


def test_a_keepalive_leaves_out_what_is_not_said() -> None:
    pool = ConnectionPoolSettings(TCPSettings(tcp_keepalive=TcpKeepalive(time=timedelta(seconds=60))))
    assert planned(TrafficPolicy(connection_pool=pool)).keepalive == ir.TcpKeepalive(time=timedelta(seconds=60))


def test_outlier_detection_without_counters_leaves_them_to_envoy() -> None:
    assert ejecting(OutlierDetection()) == ir.OutlierDetection()


def test_the_older_count_of_errors_counts_gateway_errors_only() -> None:
    assert ejecting(OutlierDetection(consecutive_errors=3)) == ir.OutlierDetection(
        consecutive_5xx=0, consecutive_gateway_failure=3
    )


def test_the_older_count_of_errors_gives_way_to_the_newer_ones() -> None:
    newer = OutlierDetection(consecutive_errors=3, consecutive_5xx_errors=7)
    assert ejecting(newer) == ir.OutlierDetection(consecutive_5xx=7)


def test_failures_of_local_origin_count_where_they_are_told_apart() -> None:
    split = OutlierDetection(split_external_local_origin_errors=True, consecutive_local_origin_failures=4)
    assert ejecting(split).consecutive_local_origin_failure == 4
    together = OutlierDetection(consecutive_local_origin_failures=4)
    assert ejecting(together).consecutive_local_origin_failure is None


def test_each_status_that_counts_as_an_error_is_there_once() -> None:
    assert ejecting(OutlierDetection(outlier_detection_http_error_codes=(503, 429, 503))).error_codes == (429, 503)


@pytest.mark.parametrize(
    ("settings", "http"),
    [
        (HTTPSettings(), ir.UpstreamHttp.HTTP1),
        (HTTPSettings(h2_upgrade_policy=H2UpgradePolicy.DO_NOT_UPGRADE), ir.UpstreamHttp.HTTP1),
        (HTTPSettings(h2_upgrade_policy=H2UpgradePolicy.UPGRADE), ir.UpstreamHttp.HTTP2),
        (HTTPSettings(use_client_protocol=True), ir.UpstreamHttp.SAME),
    ],
)
def test_a_rule_may_change_the_protocol_of_the_port(settings: HTTPSettings, http: ir.UpstreamHttp) -> None:
    assert planned(TrafficPolicy(connection_pool=ConnectionPoolSettings(http=settings))).http is http


def test_http_idles_as_tcp_does_where_it_says_nothing() -> None:
    tcp, own = TCPSettings(idle_timeout=timedelta(seconds=5)), HTTPSettings(idle_timeout=timedelta(0))
    assert planned(TrafficPolicy(connection_pool=ConnectionPoolSettings(tcp))).idle_timeout == timedelta(seconds=5)
    assert planned(TrafficPolicy(connection_pool=ConnectionPoolSettings(tcp, own))).idle_timeout == timedelta(0)


def test_http2_settings_come_whole_or_not_at_all() -> None:
    every, within = timedelta(seconds=10), timedelta(seconds=1)
    whole = HTTPSettings(max_concurrent_streams=7, http2_keep_alive=ConnectionKeepalive(every, within))
    found = planned(TrafficPolicy(connection_pool=ConnectionPoolSettings(http=whole)))
    assert (found.max_concurrent_streams, found.http2_keepalive) == (7, ir.Http2Keepalive(every, within))
    half = HTTPSettings(http2_keep_alive=ConnectionKeepalive(every))
    assert planned(TrafficPolicy(connection_pool=ConnectionPoolSettings(http=half))).http2_keepalive is None


def test_a_retry_budget_leaves_to_envoy_what_it_does_not_say() -> None:
    assert planned(TrafficPolicy(retry_budget=RetryBudget())).circuit_breakers.retry_budget == ir.RetryBudget()
    said = planned(TrafficPolicy(retry_budget=RetryBudget(5.0, 2, timedelta(seconds=1))))
    assert said.circuit_breakers.retry_budget == ir.RetryBudget(5.0, 2, timedelta(seconds=1))


def test_the_interval_of_a_retry_budget_is_withheld_from_an_envoy_that_does_not_know_it() -> None:
    rule = destination_rule(traffic_policy=TrafficPolicy(retry_budget=RetryBudget(5.0, 2, timedelta(seconds=1))))
    view = OutboundView(withheld=frozenset({Feature.RETRY_BUDGET_INTERVAL}))
    (found,) = outbound_clusters(service(), [rule], view)
    assert found.circuit_breakers.retry_budget == ir.RetryBudget(5.0, 2)


def test_weights_of_localities_count_only_for_clients_that_they_are_about() -> None:
    setting = LocalityLoadBalancerSetting(distribute=(Distribute("eu/*", (("us", 100),)),))
    policy = TrafficPolicy(load_balancer=LoadBalancerSettings(locality_lb_setting=setting))
    rules = (destination_rule(traffic_policy=policy),)
    weighted = {
        place: outbound_clusters(service(), rules, OutboundView(locality=Locality.parse(place)))[0].locality_weighted
        for place in ("eu/eu-1", "us", "")
    }
    assert weighted == {"eu/eu-1": True, "us": False, "": False}


def test_panic_is_off_until_outlier_detection_asks_for_it() -> None:
    policy = TrafficPolicy(outlier_detection=OutlierDetection(min_health_percent=40))
    assert planned(policy).healthy_panic_threshold == 40
    assert planned(TrafficPolicy()).healthy_panic_threshold == 0


def test_a_cluster_of_names_is_resolved_by_the_proxy_and_else_the_same() -> None:
    (cluster,) = outbound_clusters(service(), (), VIEW)
    assignment = ir.LoadAssignment(cluster.name)
    found = resolved_by_proxy(cluster, assignment)
    assert (found.discovery, found.endpoints) == (ir.Discovery.STRICT_DNS, assignment)
    assert found.circuit_breakers == cluster.circuit_breakers


def test_inbound_traffic_goes_to_the_workload_on_the_loopback_interface() -> None:
    found = inbound_cluster(Inbound(8080), Protocol.HTTP)
    assert (found.name, found.discovery, found.http) == ("inbound|8080||", ir.Discovery.STATIC, ir.UpstreamHttp.HTTP1)
    assert found.endpoints is not None
    assert found.endpoints.localities[0].endpoints == (ir.LbEndpoint("127.0.0.1", 8080),)
