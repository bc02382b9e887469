"""Who is near, and who gets which share."""

from __future__ import annotations

from typing import Any

import pytest

from galley.kinds.destination_rule import (
    Distribute,
    Failover,
    LoadBalancerSettings,
    LocalityLoadBalancerSetting,
    OutlierDetection,
    PortTrafficPolicy,
    Subset,
    TrafficPolicy,
)
from galley.kinds.selector import WorkloadSelector
from pilot import ir
from pilot.model.proxy import OutboundView
from pilot.model.service import Labels, Locality
from pilot.plan.locality import (
    asks_for_locality,
    by_locality,
    client_labels,
    distributed,
    matches,
    rank,
    shares,
    without_gaps,
)
from pilot.plan.policy import Policy
from tests.unit.pilot.plan.world import destination_rule, endpoint

OUTLIER = OutlierDetection(consecutive_5xx_errors=3)
PLACES = ("eu/eu-1/a", "eu/eu-1/b", "eu/eu-2/a", "us/us-1/a", "asia/asia-1/a")


def policy(outlier: OutlierDetection | None = OUTLIER, **setting: Any) -> Policy:
    balancer = LoadBalancerSettings(locality_lb_setting=LocalityLoadBalancerSetting(**setting)) if setting else None
    return Policy(load_balancer=balancer, outlier_detection=outlier)


def ranks(rule: Policy, place: str = "eu/eu-1/a") -> list[int]:
    """How a client there ranks an endpoint in each of the places."""
    ranked = rank(rule, OutboundView(locality=Locality.parse(place)))
    return [ranked(endpoint(locality=Locality.parse(each))) for each in PLACES]


@pytest.mark.parametrize(
    ("pattern", "fits"),
    [
        ("eu", True),
        ("eu/*", True),
        ("*", True),
        ("eu/eu-1", True),
        ("eu/eu-1/*", True),
        ("eu/eu-1/a", True),
        ("eu/eu-1/b", False),
        ("eu/eu-2/*", False),
        ("us", False),
    ],
)
def test_a_pattern_is_about_all_places_inside(pattern: str, fits: bool) -> None:
    assert matches(Locality("eu", "eu-1", "a"), pattern) is fits


def test_sub_zone_zone_and_region_come_in_this_order_wherever_outliers_are_detected() -> None:
    assert ranks(policy()) == [0, 1, 2, 3, 3]
    assert ranks(policy(), "us/us-2") == [3, 3, 3, 2, 3]


def test_the_region_to_fail_over_to_comes_before_the_others() -> None:
    assert ranks(policy(failover=(Failover("eu", "asia"),))) == [0, 1, 2, 4, 3]
    assert ranks(policy(failover=(Failover("us", "asia"),))) == [0, 1, 2, 3, 3]


@pytest.mark.parametrize(
    "rule",
    [
        policy(outlier=None),
        policy(outlier=None, failover=(Failover("eu", "asia"),)),
        policy(enabled=False),
        policy(distribute=(Distribute("us", (("us", 100),)),)),
    ],
)
def test_all_are_equal_without_outlier_detection_switched_off_or_where_shares_are_said(rule: Policy) -> None:
    assert ranks(rule) == [0] * len(PLACES)


def test_a_client_that_is_nowhere_is_near_to_nothing() -> None:
    assert ranks(policy(), "") == [0] * len(PLACES)


@pytest.mark.parametrize(
    ("priority", "labels", "found"),
    [
        (("rack", "row"), (("rack", "r1"), ("row", "x")), 0),
        (("rack", "row"), (("rack", "r1"), ("row", "y")), 1),
        (("rack", "row"), (("rack", "r2"), ("row", "x")), 2),
        (("rack",), (), 1),
        (("missing-at-both",), (), 0),
        (("rack=r9",), (("rack", "r9"),), 0),
        (("rack=r9",), (("rack", "r1"),), 1),
        (("topology.kubernetes.io/region", "topology.kubernetes.io/zone"), (), 1),
        (("topology.kubernetes.io/region", "topology.istio.io/subzone"), (), 0),
        (("topology.kubernetes.io/zone",), (("topology.kubernetes.io/zone", "eu-1"),), 0),
    ],
)
def test_labels_are_compared_in_order_up_to_the_first_that_differs(
    priority: tuple[str, ...], labels: Labels, found: int
) -> None:
    view = OutboundView(labels=(("rack", "r1"), ("row", "x")), locality=Locality("eu", "eu-1", "a"))
    ranked = rank(policy(failover_priority=priority), view)
    assert ranked(endpoint(labels=labels, locality=Locality("eu", "eu-2", "a"))) == found


def test_a_network_is_compared_as_a_label() -> None:
    ranked = rank(policy(failover_priority=("topology.istio.io/network",)), OutboundView())
    assert (ranked(endpoint()), ranked(endpoint(network="far"))) == (0, 1)


def test_regions_decide_among_those_whose_labels_are_equally_near() -> None:
    rule = policy(failover_priority=("rack",), failover=(Failover("eu", "asia"),))
    ranked = rank(rule, OutboundView(labels=(("rack", "r1"),), locality=Locality("eu", "eu-1", "a")))
    mine: Labels = (("rack", "r1"),)
    order = [
        endpoint(labels=mine, locality=Locality("eu", "eu-1", "a")),
        endpoint(labels=mine, locality=Locality("asia")),
        endpoint(labels=mine, locality=Locality("us")),
        endpoint(locality=Locality("eu", "eu-1", "a")),
        endpoint(locality=Locality("us")),
    ]
    assert [ranked(each) for each in order] == [0, 3, 4, 5, 9]


def test_priorities_count_up_without_gaps() -> None:
    assert without_gaps((7, 3, 3, 0)) == {0: 0, 3: 1, 7: 2}


def test_endpoints_stand_by_priority_and_place() -> None:
    far, near, also_near = (Locality.parse(each) for each in ("us", "eu/eu-1", "eu/eu-1"))
    members = [
        (endpoint(f"10.0.0.{number}", locality=where), ir.LbEndpoint(f"10.0.0.{number}", 80))
        for number, where in enumerate((far, near, also_near))
    ]
    found = by_locality(members, rank(policy(), OutboundView(locality=near)))
    assert [(each.region, each.priority, len(each.endpoints)) for each in found] == [("eu", 0, 2), ("us", 1, 1)]


def test_the_first_entry_about_the_client_gives_the_shares() -> None:
    rule = policy(
        distribute=(
            Distribute("us", (("us", 100),)),
            Distribute("eu/*", (("eu", 90), ("us", 10))),
            Distribute("*", (("asia", 100),)),
        )
    )
    assert shares(rule, Locality("eu", "eu-1")) == {"eu": 90, "us": 10}
    assert shares(rule, Locality("asia")) == {"asia": 100}
    assert shares(rule, Locality()) is None
    assert shares(policy(), Locality("eu")) is None


def at(place: str, *weights: int) -> ir.LocalityEndpoints:
    where = Locality.parse(place)
    members = tuple(ir.LbEndpoint(f"10.0.0.{number}", 80, weight) for number, weight in enumerate(weights))
    return ir.LocalityEndpoints(where.region, where.zone, where.subzone, members)


def test_a_share_is_split_by_what_the_endpoints_can_take() -> None:
    found = distributed([at("eu/eu-1", 1, 1), at("eu/eu-2", 2, 6), at("us", 1), at("asia", 1)], {"eu": 80, "us/*": 20})
    assert {each.zone or each.region: each.weight for each in found} == {"eu-1": 16, "eu-2": 64, "us": 20}


def test_shares_that_do_not_come_out_even_are_still_right() -> None:
    found = distributed([at("eu/1", 1), at("eu/2", 1), at("eu/3", 1), at("us", 1)], {"eu": 50, "us": 50})
    weights = [each.weight or 0 for each in found]
    assert weights[0] == weights[1] == weights[2]
    assert sum(weights[:3]) / sum(weights) == pytest.approx(0.5, abs=1e-5)


def test_a_place_counts_for_the_first_pattern_only() -> None:
    found = distributed([at("eu/eu-1", 1), at("eu/eu-2", 1)], {"eu/eu-1": 10, "eu/eu-2": 90})
    assert [each.weight for each in found] == [10, 90]


@pytest.mark.parametrize(
    ("traffic", "asks"),
    [
        (None, False),
        (TrafficPolicy(), False),
        (TrafficPolicy(outlier_detection=OUTLIER), True),
        (TrafficPolicy(port_level_settings=(PortTrafficPolicy(outlier_detection=OUTLIER),)), True),
        (TrafficPolicy(load_balancer=policy(enabled=True).load_balancer), True),
        (TrafficPolicy(load_balancer=policy(enabled=False).load_balancer, outlier_detection=OUTLIER), False),
    ],
)
def test_places_matter_only_where_a_rule_says_so(traffic: TrafficPolicy | None, asks: bool) -> None:
    assert asks_for_locality(destination_rule(traffic_policy=traffic)) is asks
    assert asks_for_locality(destination_rule(subsets=(Subset("v1", traffic_policy=traffic),))) is asks


def test_labels_matter_that_selectors_and_priorities_name() -> None:
    priority = TrafficPolicy(load_balancer=policy(failover_priority=("rack=r1", "row")).load_balancer)
    rules = (
        destination_rule(workload_selector=WorkloadSelector((("app", "shop"),)), traffic_policy=priority),
        destination_rule(traffic_policy=TrafficPolicy(outlier_detection=OUTLIER)),
    )
    assert set(client_labels(rules)) == {"app", "rack", "row"}
