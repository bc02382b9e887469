"""A sudden loss is held, in the words of docs/reference/consul.md (B10, B15)."""

from __future__ import annotations

from adapters.hold import Hold, is_suspect
from adapters.instance import Instance
from pilot.model.service import Endpoint


def instance(identity: str, address: str = "", port: int = 80) -> Instance:
    return Instance(Endpoint(address or f"10.0.0.{identity}", (), identity), port)


def test_what_is_suspect() -> None:
    assert is_suspect(before=1, lost=1, after=0, armed=False)
    assert is_suspect(before=10, lost=6, after=4, armed=True)
    assert not is_suspect(before=10, lost=6, after=4, armed=False)
    assert not is_suspect(before=10, lost=5, after=5, armed=True)
    assert not is_suspect(before=0, lost=0, after=0, armed=True)


def test_a_loss_counts_after_three_answers_over_the_patience() -> None:
    hold = Hold(patience=10)
    hold.begin({"web": [instance("1")]}, now=0)
    assert hold.answered(4) == frozenset()
    assert hold.answered(5) == frozenset()
    assert "1 instances of 1 services" in hold.reason()
    assert hold.answered(10) == {"web"}
    assert not hold.active
    assert hold.reason() == ""


def test_time_alone_is_not_enough() -> None:
    hold = Hold(patience=10)
    hold.begin({"web": [instance("1")]}, now=0)
    assert hold.answered(100) == frozenset()
    assert hold.answered(101) == {"web"}


def test_an_error_in_between_starts_the_count_again() -> None:
    hold = Hold(patience=10)
    hold.begin({"web": [instance("1")]}, now=0)
    hold.answered(9)
    hold.interrupted()
    assert hold.answered(20) == frozenset()
    assert hold.answered(25) == frozenset()
    assert hold.answered(29) == frozenset()
    assert hold.answered(30) == {"web"}


def test_what_returns_is_let_go_and_the_rest_stays() -> None:
    hold = Hold(patience=10)
    hold.begin({"web": [instance("1"), instance("2")], "db": [instance("3")]}, now=0)
    hold.returned("web", (instance("1"),))
    assert {name: list(kept) for name, kept in hold.held.items()} == {"web": ["2"], "db": ["3"]}
    hold.returned("web", (instance("1"), instance("new", address="10.0.0.2")))
    assert list(hold.held) == ["db"]


def test_answers_are_asked_for_often_enough_for_the_patience() -> None:
    assert Hold(patience=3).next_question(now=1) == 2
    assert Hold(patience=3600).next_question(now=0) == 60
