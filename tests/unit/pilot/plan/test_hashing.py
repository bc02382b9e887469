"""What is hashed of requests and connections, by the rules of where they go."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from galley.kinds.destination_rule import (
    Attribute,
    ConsistentHashLB,
    HTTPCookie,
    LoadBalancerSettings,
    Subset,
    TrafficPolicy,
)
from galley.kinds.selector import WorkloadSelector
from pilot import ir
from pilot.model.proxy import OutboundView
from pilot.plan.hashing import hashes_source_ip, with_hash_policies
from tests.unit.pilot.plan.world import client, destination_rule, service

WEB = service("web.example")
USER = ir.HashPolicy(ir.HashOf.HEADER, "x-user")


def hashing(**key: Any) -> TrafficPolicy:
    return TrafficPolicy(load_balancer=LoadBalancerSettings(consistent_hash=ConsistentHashLB(**key)))


def route(*clusters: str) -> ir.Route:
    split = tuple(ir.WeightedCluster(each, 1) for each in clusters)
    return ir.Route("r", ir.RouteMatch(), ir.Forward(split))


def hashed(*parts: Any, clusters: tuple[str, ...] = ("outbound|80||web.example",), **view: Any) -> Any:
    """The hash policies of a route to the clusters."""
    asker = client(WEB, *parts, view=OutboundView(**view))
    (found,) = with_hash_policies(asker, (route(*clusters),))
    assert isinstance(found.action, ir.Forward)
    return found.action.hash_policies


@pytest.mark.parametrize(
    ("key", "found"),
    [
        ({"http_header_name": "x-user"}, USER),
        ({"http_query_parameter_name": "user"}, ir.HashPolicy(ir.HashOf.QUERY_PARAMETER, "user")),
        ({"use_source_ip": True}, ir.HashPolicy(ir.HashOf.SOURCE_IP)),
        (
            {"http_cookie": HTTPCookie("seat", "/", timedelta(0), (Attribute("SameSite", "Lax"),))},
            ir.HashPolicy(ir.HashOf.COOKIE, "seat", "/", timedelta(0), (("SameSite", "Lax"),)),
        ),
    ],
)
def test_each_kind_of_key_has_its_policy(key: dict[str, Any], found: ir.HashPolicy) -> None:
    assert hashed(destination_rule(traffic_policy=hashing(**key))) == (found,)


def test_nothing_is_hashed_where_no_rule_asks_for_it() -> None:
    assert hashed() == ()
    assert hashed(destination_rule(traffic_policy=TrafficPolicy())) == ()
    assert hashed(destination_rule(traffic_policy=hashing(use_source_ip=False))) == ()
    for stranger in ("outbound|80||elsewhere.example", "PassthroughCluster", "inbound|80||"):
        rule = destination_rule(traffic_policy=hashing(http_header_name="x-user"))
        assert hashed(rule, clusters=(stranger,)) == ()


def test_a_split_hashes_what_each_destination_asks_for_once() -> None:
    subsets = (
        Subset("v1", traffic_policy=hashing(http_header_name="x-session")),
        Subset("v2"),
        Subset("v3", traffic_policy=hashing(http_header_name="x-user")),
    )
    rule = destination_rule(traffic_policy=hashing(http_header_name="x-user"), subsets=subsets)
    clusters = tuple(f"outbound|80|{name}|web.example" for name in ("v1", "v2", "v3"))
    assert hashed(rule, clusters=clusters) == (ir.HashPolicy(ir.HashOf.HEADER, "x-session"), USER)


def test_the_rule_is_the_one_in_force_for_the_client() -> None:
    mine = destination_rule(
        workload_selector=WorkloadSelector((("app", "shop"),)), traffic_policy=hashing(http_header_name="x-user")
    )
    assert hashed(mine, labels=(("app", "shop"),)) == (USER,)
    assert hashed(mine, labels=(("app", "cart"),)) == ()


def test_other_actions_stay_as_they_are() -> None:
    answer = ir.Route("r", ir.RouteMatch(), ir.DirectResponse(204))
    assert with_hash_policies(client(WEB), (answer,)) == (answer,)


def test_connections_go_by_their_source_only() -> None:
    web = (ir.WeightedCluster("outbound|80||web.example", 1),)
    by_source = client(WEB, destination_rule(traffic_policy=hashing(use_source_ip=True)))
    by_header = client(WEB, destination_rule(traffic_policy=hashing(http_header_name="x-user")))
    assert hashes_source_ip(by_source, web)
    assert not hashes_source_ip(by_header, web)
