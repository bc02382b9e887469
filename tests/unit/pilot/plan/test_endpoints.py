"""Which endpoints a cluster has."""

from __future__ import annotations

import pytest

from galley.kinds.destination_rule import Subset
from pilot import ir
from pilot.model.proxy import OutboundView
from pilot.model.service import Endpoint, Health, Locality, Port, Service
from pilot.plan.clusters import outbound_clusters
from pilot.plan.endpoints import is_address, load_assignments, needs_dns
from tests.unit.pilot.plan.world import HTTP, destination_rule, endpoint, service

VIEW = OutboundView()


def members(of: Service) -> list[ir.LbEndpoint]:
    """All endpoints of the service's first cluster."""
    return [each for locality in load_assignments(of, (), VIEW)[0].localities for each in locality.endpoints]


def test_there_is_one_assignment_for_each_cluster_and_in_the_same_order() -> None:
    web = service("web.example", HTTP, Port("admin", 9000), endpoints=[endpoint()])
    rules = (destination_rule(subsets=(Subset("v1", (("version", "v1"),)), Subset("v2"))),)
    clusters = [each.name for each in outbound_clusters(web, rules, VIEW)]
    assert [each.cluster for each in load_assignments(web, rules, VIEW)] == clusters
    assert len(set(clusters)) == 6


def test_a_cluster_without_endpoints_is_known_all_the_same() -> None:
    assert load_assignments(service(), (), VIEW) == (ir.LoadAssignment("outbound|80||web.example"),)


def test_a_subset_has_the_endpoints_that_carry_its_labels() -> None:
    old, new = endpoint("10.0.0.1", labels=(("version", "v1"),)), endpoint("10.0.0.2", labels=(("version", "v2"),))
    rule = destination_rule(subsets=(Subset("v2", (("version", "v2"),)),))
    whole, subset = load_assignments(service(endpoints=[old, new]), (rule,), VIEW)
    assert [each.address for each in whole.localities[0].endpoints] == ["10.0.0.1", "10.0.0.2"]
    assert [each.address for each in subset.localities[0].endpoints] == ["10.0.0.2"]


def test_an_endpoint_that_does_not_serve_the_port_is_left_out() -> None:
    web = service("web.example", HTTP, endpoints=[endpoint(name="admin"), endpoint("10.0.0.2")])
    assert [each.address for each in members(web)] == ["10.0.0.2"]


def test_an_address_that_two_platforms_tell_of_is_there_once() -> None:
    one, same = endpoint(platform="consul"), endpoint(platform="nomad")
    assert len(members(service(endpoints=[one, same]))) == 1


@pytest.mark.parametrize("order", [1, -1])
def test_of_two_opinions_on_one_address_the_healthier_counts(order: int) -> None:
    both = [endpoint(health=Health.UNHEALTHY), endpoint(health=Health.DRAINING)]
    (found,) = members(service(endpoints=both[::order]))
    assert found.health == "DRAINING"


def test_one_address_with_two_ports_is_two_endpoints() -> None:
    both = [endpoint(port=8080), endpoint(port=8081)]
    assert [each.port for each in members(service(endpoints=both))] == [8080, 8081]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (endpoint(), ("HEALTHY", 1)),
        (endpoint(weight=7), ("HEALTHY", 7)),
        (endpoint(weight=0), ("DRAINING", 1)),
        (endpoint(weight=0, health=Health.UNHEALTHY), ("UNHEALTHY", 1)),
        (endpoint(health=Health.UNHEALTHY), ("UNHEALTHY", 1)),
        (endpoint(weight=2**40), ("HEALTHY", 2**32 - 1)),
    ],
)
def test_health_and_weight_are_such_that_envoy_takes_them(given: Endpoint, expected: tuple[str, int]) -> None:
    (found,) = members(service(endpoints=[given]))
    assert (found.health, found.weight) == expected


def test_the_outcome_does_not_depend_on_the_order_of_the_endpoints() -> None:
    some = [endpoint(f"10.0.0.{n}", locality=Locality("eu", f"eu-{n % 2}")) for n in range(6)]
    found, reversed_ = (load_assignments(service(endpoints=each), (), VIEW) for each in (some, some[::-1]))
    assert found == reversed_


def test_endpoints_of_one_locality_stand_together() -> None:
    near, far = Locality("eu", "eu-1", "a"), Locality("us")
    some = [
        endpoint("10.0.0.1", locality=near),
        endpoint("10.0.0.2", locality=far),
        endpoint("10.0.0.3", locality=near),
    ]
    (assignment,) = load_assignments(service(endpoints=some), (), VIEW)
    assert [(each.region, each.zone, each.subzone, len(each.endpoints)) for each in assignment.localities] == [
        ("eu", "eu-1", "a", 2),
        ("us", "", "", 1),
    ]


@pytest.mark.parametrize("text", ["10.0.0.1", "::1"])
def test_addresses_are_known_as_such(text: str) -> None:
    assert is_address(text)
    assert not needs_dns(service(endpoints=[endpoint(text)]))


@pytest.mark.parametrize("text", ["web.internal", "localhost", "", "10.0.0"])
def test_any_other_endpoint_is_a_name_to_resolve(text: str) -> None:
    assert not is_address(text)
    assert needs_dns(service(endpoints=[endpoint(), endpoint(text)]))
