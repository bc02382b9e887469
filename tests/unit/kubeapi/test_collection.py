"""What is believed of a listing and of a watch."""

from __future__ import annotations

from kubeapi.collection import Collection, held_reason
from kubeapi.resource import Broken, Key

A, B, C, D = (("ns", name) for name in "abcd")
FULL: dict[Key, int | Broken] = {A: 1, B: 2, C: 3, D: 4}


def loaded(patience: float = 10.0) -> Collection[int]:
    found: Collection[int] = Collection(patience)
    found.listed(FULL, 0.0)
    return found


def test_a_listing_tells_what_is_different() -> None:
    assert loaded().listed({A: 1, B: 5, C: 3}, 1.0) == {B, D}


def test_a_listing_without_most_is_held_until_another_says_the_same_after_a_while() -> None:
    found = loaded()
    assert found.listed({A: 1}, 1.0) == set()
    assert found.held == {B, C, D}
    assert found.confirm_at == 11.0
    assert found.listed({A: 1}, 5.0) == set()
    assert found.listed({A: 1}, 11.0) == {B, C, D}
    assert found.objects == {A: 1}
    assert found.held == frozenset()


def test_what_returns_is_believed_and_the_rest_stays_held() -> None:
    found = loaded()
    found.listed({}, 1.0)
    assert found.changed(A, 7)
    assert found.held == {B, C, D}
    assert found.changed(A, None)
    assert found.listed({B: 2, C: 3}, 2.0) == set()
    assert found.held == {D}
    assert found.listed({B: 2, C: 3}, 11.0) == {D}


def test_losing_more_while_something_is_held_begins_anew() -> None:
    found = loaded()
    found.listed({A: 1}, 1.0)
    found.listed({}, 9.0)
    assert found.held == {A, B, C, D}
    assert found.confirm_at == 19.0


def test_an_outage_begins_the_time_anew() -> None:
    found = loaded()
    found.listed({}, 1.0)
    found.interrupted(8.0)
    assert found.listed({}, 11.0) == set()
    assert found.listed({}, 18.0) == {A, B, C, D}


def test_new_names_in_the_place_of_old_ones_are_no_loss() -> None:
    """Pods of a rollout that took place while the server was away."""
    fresh: dict[Key, int | Broken] = {("ns", f"new-{n}"): n for n in range(4)}
    assert loaded().listed(fresh, 1.0) == {*FULL, *fresh}


def test_without_patience_everything_is_believed() -> None:
    assert loaded(0.0).listed({}, 1.0) == {A, B, C, D}


def test_a_watch_is_believed_object_by_object() -> None:
    found = loaded()
    assert [found.changed(each, None) for each in FULL] == [True] * 4
    assert not found.changed(A, None)
    assert found.objects == {}
    assert found.held == frozenset()


def test_an_object_that_breaks_keeps_its_last_good_state() -> None:
    found, broken = loaded(), Broken("what", "mend")
    assert found.changed(A, broken)
    assert not found.changed(A, broken)
    assert (found.objects[A], found.broken) == (1, {A: broken})
    assert found.changed(A, 1)
    assert found.broken == {}


def test_the_reason_names_what_is_held() -> None:
    assert held_reason([("pods", 0)], 300) == ""
    assert held_reason([("pods", 2), ("services", 1)], 300).startswith("suspect: 2 pods, 1 services are no longer")
