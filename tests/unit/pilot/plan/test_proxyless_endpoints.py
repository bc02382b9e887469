"""gRPC takes turns within a locality, so weights are told between localities."""

from __future__ import annotations

from pilot import ir
from pilot.plan.endpoints import MAX_WEIGHT
from pilot.plan.proxyless_endpoints import balanced, only_endpoint

PLACE = ("eu", "eu-1", "rack")


def endpoint(number: int, weight: int = 1, health: str = "HEALTHY") -> ir.LbEndpoint:
    return ir.LbEndpoint(f"10.0.0.{number}", 80, weight, health)


def locality(*endpoints: ir.LbEndpoint, zone: str = "eu-1", **more: int) -> ir.LocalityEndpoints:
    return ir.LocalityEndpoints("eu", zone, "rack", endpoints, **more)


def assignment(*localities: ir.LocalityEndpoints) -> ir.LoadAssignment:
    return ir.LoadAssignment("web", localities)


def told(value: ir.LoadAssignment) -> list[tuple[str, int, int | None, int]]:
    """Name, priority, weight and number of endpoints of each locality."""
    return [(each.subzone, each.priority, each.weight, len(each.endpoints)) for each in value.localities]


def test_a_locality_weighs_what_its_endpoints_do_together() -> None:
    found = balanced(assignment(locality(endpoint(1), endpoint(2)), locality(endpoint(3), zone="b")), hashing=False)
    assert told(found) == [("rack", 0, 2, 2), ("rack", 0, 1, 1)]


def test_endpoints_that_differ_in_weight_are_localities_of_their_own() -> None:
    found = balanced(assignment(locality(endpoint(1), endpoint(2, 3), endpoint(3, 3))), hashing=False)
    assert told(found) == [("rack~1", 0, 1, 1), ("rack~3", 0, 6, 2)]
    assert {each.weight for part in found.localities for each in part.endpoints} == {1}


def test_shares_of_localities_hold_whatever_their_endpoints_weigh() -> None:
    found = balanced(
        assignment(locality(endpoint(1), endpoint(2, 3), weight=80), locality(endpoint(3), zone="b", weight=20)),
        hashing=False,
    )
    weights = [each.weight or 0 for each in found.localities]
    assert [weight / sum(weights) for weight in weights] == [0.2, 0.6, 0.2]


def test_what_can_not_be_called_is_left_out_and_priorities_close_up() -> None:
    ill, leaving = endpoint(1, health="UNHEALTHY"), endpoint(2, health="DRAINING")
    file = ir.LbEndpoint("unix:///run/web.sock", 0)
    found = balanced(
        assignment(locality(ill, leaving, file), locality(endpoint(3), priority=1), locality(endpoint(4), priority=3)),
        hashing=False,
    )
    assert told(found) == [("rack", 0, 1, 1), ("rack", 1, 1, 1)]
    assert told(balanced(assignment(locality(ill)), hashing=False)) == []


def test_a_ring_has_one_locality_a_priority_and_weighs_endpoints() -> None:
    found = balanced(
        assignment(locality(endpoint(1, 2)), locality(endpoint(2, 5), zone="b"), locality(endpoint(3), priority=1)),
        hashing=True,
    )
    assert told(found) == [("", 0, 1, 2), ("", 1, 1, 1)]
    assert [each.weight for each in found.localities[0].endpoints] == [2, 5]


def test_weights_stay_within_what_grpc_takes() -> None:
    heavy = [endpoint(number, MAX_WEIGHT) for number in range(3)]
    found = balanced(assignment(locality(*heavy, endpoint(9))), hashing=False)
    weights = [each.weight or 0 for each in found.localities]
    assert sum(weights) <= MAX_WEIGHT
    assert weights[0] == 1


def test_only_a_single_endpoint_can_be_looked_up() -> None:
    ill = endpoint(2, health="UNHEALTHY")
    expected = ir.LoadAssignment("web", (ir.LocalityEndpoints(*PLACE, endpoints=(endpoint(1),)),))
    assert only_endpoint(assignment(locality(endpoint(1, 7), ill))) == expected
    assert only_endpoint(assignment(locality(endpoint(1), endpoint(2)))) is None
    assert only_endpoint(assignment(locality(ill))) is None
