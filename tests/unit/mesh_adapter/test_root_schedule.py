"""New roots by the calendar: when, and by whom."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import click
import pytest

from citadel import rotation
from citadel.rotation import State, Step
from mesh_adapter.assembly import SetupError
from mesh_adapter.leadership import Alone, leadership
from mesh_adapter.root_schedule import RootSchedule, is_due

T0 = datetime(2026, 1, 1, tzinfo=UTC)
EVERY, SPREAD = timedelta(days=90), timedelta(hours=1)


class Roots:
    """An authority's rotation in memory."""

    def __init__(self) -> None:
        self.now = T0
        self.found = State("1", T0)
        self.fault = ""

    @contextlib.contextmanager
    def __call__(self) -> Iterator[Roots]:
        if self.fault:
            raise click.ClickException(self.fault)
        yield self

    def begin(self) -> State:
        self.found = rotation.begin(self.found, str(int(self.found.active) + 1), self.now)
        return self.found

    def advance(self) -> State:
        self.found = rotation.advance(self.found, self.due(), self.now)
        return self.found

    def state(self) -> State:
        return self.found

    def due(self) -> datetime | None:
        return rotation.due(self.found, SPREAD, self.now)


class Other(Alone):
    """Another replica leads."""

    def leads(self) -> bool:
        return False


def schedule(roots: Roots, leading: Alone) -> RootSchedule:
    return RootSchedule(roots, EVERY, leading, lambda: roots.now)


def test_a_root_is_replaced_when_it_was_the_only_one_for_long_enough() -> None:
    assert not is_due(State("1", T0), EVERY, T0 + EVERY - timedelta(seconds=1))
    assert is_due(State("1", T0), EVERY, T0 + EVERY)
    assert not is_due(State("1", T0, Step.DRAINING, "2"), EVERY, T0 + 9 * EVERY)


def test_the_leader_begins_and_takes_the_steps_that_are_due() -> None:
    roots = Roots()
    turns = schedule(roots, Alone())
    assert turns.turn().rotation.startswith("stable: 1 signs")
    roots.now += EVERY
    assert turns.turn().rotation.startswith("spreading: 1 signs, 2 is trusted too")
    roots.now += SPREAD
    assert turns.turn().rotation.startswith("draining: 2 signs")
    assert turns.turn().rotation.startswith("draining: 2 signs")


def test_who_does_not_lead_does_nothing() -> None:
    roots = Roots()
    roots.now += EVERY
    schedule(roots, Other()).turn()
    assert roots.found == State("1", T0)


def test_what_goes_wrong_is_said_and_what_was_known_stays() -> None:
    roots = Roots()
    turns = schedule(roots, Alone())
    turns.progress = turns.turn()
    roots.fault = "Vault is sealed"
    found = turns.turn()
    assert found.error == "Vault is sealed"
    assert found.rotation.startswith("stable")


@pytest.mark.parametrize("chosen", ["consul", "consul:", "consul:/", "etcd:mesh/leader"])
def test_an_election_that_cannot_be(chosen: str) -> None:
    with pytest.raises(SetupError, match="write consul:KEY"):
        leadership(chosen, {})
    assert leadership("", {}).leads()
