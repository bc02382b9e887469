"""Sets, their differences, and the consistency of a state."""

from __future__ import annotations

import gc
import weakref

import pytest

from pilot.xds import cache
from pilot.xds.cache import Diff, Encodings, contents, diff, problems, references, resource_set, union
from pilot.xds.protocol import Response
from pilot.xds.resource import CDS, EDS, LDS, ResourceSet
from tests.unit.pilot.xds.conversation import assignment, cluster, listener, route, state


def endpoints(**versions: object) -> ResourceSet:
    return resource_set(EDS, [assignment(name, version) for name, version in versions.items()])


def test_the_version_of_a_set_follows_its_content_not_its_order() -> None:
    assert endpoints(a=1, b=2).version == endpoints(b=2, a=1).version
    assert len({endpoints(a=1).version, endpoints(a=2).version, endpoints(b=1).version, endpoints().version}) == 4


def test_two_resources_of_one_name_are_refused_with_their_origins() -> None:
    twice = [cluster("a", 1, "Service default/a"), cluster("a", 2, "ServiceEntry default/a")]
    with pytest.raises(ValueError, match=r"CDS.*'a'.*Service default/a.*ServiceEntry default/a"):
        resource_set(CDS, twice)


def test_a_difference_lists_new_changed_and_gone_names() -> None:
    assert diff(endpoints(a=1, b=1, c=1), endpoints(a=1, b=2, d=1)) == Diff(("b", "d"), ("c",))
    assert diff(endpoints(a=1), endpoints(a=1)) == Diff()


def test_a_difference_is_made_once_a_pair_and_dies_with_it() -> None:
    old, new = endpoints(a=1), endpoints(a=2)
    first = diff(old, new)
    assert diff(old, new) is first
    gone = weakref.ref(new)
    del new
    gc.collect()
    assert gone() is None


def test_a_union_is_the_new_set_with_what_only_the_old_one_has() -> None:
    old, new = endpoints(a=1, b=1), endpoints(a=2)
    both = union(old, new)
    assert {name: each.version for name, each in both.resources.items()} == {"a": "2", "b": "1"}
    assert union(old, new) is both
    assert union(endpoints(a=1), new) is new


def test_the_content_of_a_set_is_one_tuple_by_name() -> None:
    some = endpoints(b=1, a=1)
    assert [each.name for each in contents(some)] == ["a", "b"]
    assert contents(some) is contents(some)


def test_references_are_the_names_that_a_set_needs() -> None:
    assert references(resource_set(LDS, [listener("l", 1, ["r", "s"]), listener("m", 1, ["r"])])) == {"r", "s"}


def test_a_consistent_state_has_no_problems() -> None:
    assert problems(state(cluster("a"), assignment("a"), listener("l", 1, ["r"]), route("r"))) == ()


def test_cluster_with_missing_endpoint_is_inconsistent() -> None:
    assert problems(state(cluster("a"))) == ("CDS a needs EDS a, which is not planned",)


def test_listener_with_missing_route_is_inconsistent() -> None:
    assert problems(state(listener("l", 1, ["r"]))) == ("LDS l needs RDS r, which is not planned",)


def test_a_resource_under_another_name_or_type_is_inconsistent() -> None:
    strange = ResourceSet(EDS, "1", {"a": assignment("b"), "c": route("c")})
    found = problems({EDS: strange, CDS: strange})
    assert len([each for each in found if "sent twice" in each]) == 2
    assert len([each for each in found if "RouteConfiguration" in each]) == 2
    assert len([each for each in found if "holds" in each]) == 1


def test_the_same_response_is_encoded_once_and_old_ones_are_forgotten() -> None:
    made: list[Response] = []

    def encode(response: Response) -> bytes:
        made.append(response)
        return b"x" * 40

    some = contents(endpoints(a=1))
    encodings = Encodings(limit=100)
    first = encodings.get(Response(EDS, "1", "1", some), encode)
    assert encodings.get(Response(EDS, "1", "1", some), encode) is first
    for nonce in ("2", "3", "1"):
        encodings.get(Response(EDS, "1", nonce, some), encode)
    assert [each.nonce for each in made] == ["1", "2", "3", "1"]


def test_a_response_larger_than_the_limit_is_not_kept() -> None:
    encodings = Encodings(limit=1)
    big = Response(EDS, "1", "1", ())
    assert encodings.get(big, lambda _: b"xx") is not encodings.get(big, lambda _: bytes([120, 120]))


def test_the_empty_sets_are_of_every_type() -> None:
    assert all(each.type_url == type_url and not each.resources for type_url, each in cache.EMPTY.items())
