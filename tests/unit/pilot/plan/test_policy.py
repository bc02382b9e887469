"""Istio's inheritance of traffic policies."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from galley.kinds.destination_rule import (
    ClientTLSSettings,
    ConnectionPoolSettings,
    LoadBalancerSettings,
    OutlierDetection,
    PortTrafficPolicy,
    ProxyProtocol,
    RetryBudget,
    SimpleLB,
    Subset,
    TCPSettings,
    TLSmode,
    TrafficPolicy,
    TunnelSettings,
)
from galley.kinds.virtual_service import PortSelector
from pilot.plan.policy import Policy, policy, subset_of, subsets
from tests.unit.pilot.plan.world import destination_rule

RANDOM = LoadBalancerSettings(simple=SimpleLB.RANDOM)
IN_TURN = LoadBalancerSettings(simple=SimpleLB.ROUND_ROBIN)
POOL = ConnectionPoolSettings(tcp=TCPSettings(max_connections=1))
OUTLIER = OutlierDetection(consecutive_5xx_errors=3)
GENERAL = TrafficPolicy(load_balancer=RANDOM, connection_pool=POOL, outlier_detection=OUTLIER)


def at_port(number: int, **blocks: Any) -> PortTrafficPolicy:
    return attrs.evolve(PortTrafficPolicy(port=PortSelector(number)), **blocks)


def test_without_rules_everything_is_default() -> None:
    assert policy((), 80) == Policy()


def test_a_rule_holds_for_every_port_and_subset() -> None:
    rules = (destination_rule(traffic_policy=GENERAL),)
    assert policy(rules, 80) == policy(rules, 81, Subset("v1")) == Policy(RANDOM, POOL, OUTLIER)


def test_a_subset_replaces_the_blocks_it_has_and_inherits_the_others() -> None:
    subset = Subset("v1", traffic_policy=TrafficPolicy(load_balancer=IN_TURN))
    assert policy((destination_rule(traffic_policy=GENERAL),), 80, subset) == Policy(IN_TURN, POOL, OUTLIER)


def test_settings_of_a_port_replace_all_blocks() -> None:
    general = attrs.evolve(GENERAL, port_level_settings=(at_port(80, load_balancer=IN_TURN),))
    rules = (destination_rule(traffic_policy=general),)
    assert policy(rules, 80) == Policy(IN_TURN)
    assert policy(rules, 81) == Policy(RANDOM, POOL, OUTLIER)


def test_settings_of_a_port_in_a_subset_replace_all_blocks() -> None:
    own = TrafficPolicy(connection_pool=POOL, port_level_settings=(at_port(80, load_balancer=IN_TURN),))
    rules = (destination_rule(traffic_policy=GENERAL),)
    assert policy(rules, 80, Subset("v1", traffic_policy=own)) == Policy(IN_TURN)


def test_a_subsets_own_blocks_go_over_the_rules_settings_of_a_port() -> None:
    general = TrafficPolicy(port_level_settings=(at_port(80, load_balancer=IN_TURN, outlier_detection=OUTLIER),))
    subset = Subset("v1", traffic_policy=TrafficPolicy(load_balancer=RANDOM))
    assert policy((destination_rule(traffic_policy=general),), 80, subset) == Policy(RANDOM, None, OUTLIER)


def test_of_several_rules_the_first_with_a_policy_decides() -> None:
    silent, first, second = (
        destination_rule(name="a"),
        destination_rule(name="b", traffic_policy=TrafficPolicy(load_balancer=RANDOM)),
        destination_rule(name="c", traffic_policy=TrafficPolicy(load_balancer=IN_TURN, connection_pool=POOL)),
    )
    assert policy((silent, first, second), 80) == Policy(RANDOM)


def test_several_rules_add_their_subsets_and_the_first_of_a_name_holds() -> None:
    v1, v2, again = Subset("v1"), Subset("v2"), Subset("v1", labels=(("version", "other"),))
    first, second = destination_rule(name="a", subsets=(v1,)), destination_rule(name="b", subsets=(again, v2))
    assert subsets((first, second)) == ((v1, first), (v2, second))


@pytest.mark.parametrize("settings", [PortTrafficPolicy(load_balancer=IN_TURN), at_port(8080, load_balancer=IN_TURN)])
def test_settings_of_no_port_or_another_do_not_count(settings: PortTrafficPolicy) -> None:
    rules = (destination_rule(traffic_policy=TrafficPolicy(port_level_settings=(settings,))),)
    assert policy(rules, 80) == Policy()


def test_a_port_keeps_what_only_its_level_can_say() -> None:
    tunnel, version, budget = TunnelSettings(target_host="a", target_port=1), ProxyProtocol(), RetryBudget(1.0)
    general = TrafficPolicy(
        tls=ClientTLSSettings(TLSmode.SIMPLE),
        tunnel=tunnel,
        proxy_protocol=version,
        retry_budget=budget,
        port_level_settings=(at_port(80, load_balancer=IN_TURN),),
    )
    rules = (destination_rule(traffic_policy=general),)
    kept = Policy(tunnel=tunnel, proxy_protocol=version, retry_budget=budget)
    assert policy(rules, 80) == attrs.evolve(kept, load_balancer=IN_TURN)
    assert policy(rules, 81) == attrs.evolve(kept, tls=ClientTLSSettings(TLSmode.SIMPLE))


def test_a_subset_is_found_by_its_name() -> None:
    rules = (destination_rule(subsets=(Subset("v1"), Subset("v2"))),)
    assert subset_of(rules, "v2") is rules[0].spec.subsets[1]
    assert subset_of(rules, "v3") is None
    assert subset_of(rules, "") is None
