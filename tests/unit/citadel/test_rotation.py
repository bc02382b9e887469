"""The state machine of roots, step by step, and when leaves are renewed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citadel import rotation
from citadel.rotation import MARGIN, RotationError, State, Step

T0 = datetime(2026, 1, 1, tzinfo=UTC)
SPREAD = timedelta(hours=1)
STABLE = State(active="1", since=T0)


def spreading() -> State:
    return rotation.begin(STABLE, "2", T0)


def draining() -> State:
    return rotation.advance(spreading(), T0 + SPREAD, T0 + SPREAD)


def test_nothing_is_due_while_stable() -> None:
    assert rotation.due(STABLE, SPREAD, T0) is None
    assert rotation.advance(STABLE, None, T0 + timedelta(days=999)) == STABLE


def test_a_new_root_is_trusted_before_it_signs() -> None:
    assert spreading() == State(active="1", other="2", step=Step.SPREADING, since=T0)
    assert spreading().trusted == ("1", "2")


def test_it_signs_once_it_has_spread_and_not_before() -> None:
    at = rotation.due(spreading(), SPREAD, T0)
    assert at == T0 + SPREAD
    assert rotation.advance(spreading(), at, at - timedelta(microseconds=1)) == spreading()
    assert rotation.advance(spreading(), at, at) == State(active="2", other="1", step=Step.DRAINING, since=at)


def test_the_old_root_stays_until_the_last_leaf_is_over() -> None:
    last_leaf = T0 + timedelta(hours=25)
    at = rotation.due(draining(), SPREAD, last_leaf)
    assert at == last_leaf + MARGIN
    assert rotation.advance(draining(), at, last_leaf) == draining()
    assert rotation.advance(draining(), at, at) == State(active="2", since=at)


def test_a_root_that_signed_nothing_lately_goes_after_the_margin() -> None:
    assert rotation.due(draining(), SPREAD, T0 - timedelta(days=9)) == T0 + SPREAD + MARGIN


def test_a_second_rotation_waits_for_the_first() -> None:
    with pytest.raises(RotationError, match="spreading since 2026-01-01 00:00:00"):
        rotation.begin(spreading(), "3", T0)


def test_a_clock_set_back_makes_no_step() -> None:
    at = rotation.due(draining(), SPREAD, T0)
    assert rotation.advance(draining(), at, T0 - timedelta(days=1)) == draining()


@given(st.lists(st.timedeltas(min_value=timedelta(), max_value=timedelta(hours=3)), max_size=20))
def test_whoever_signed_a_live_leaf_is_trusted(waits: list[timedelta]) -> None:
    """A leaf of 1 h is signed at each look; at every later look its root is among the trusted."""
    state, now, leaves = rotation.begin(STABLE, "2", T0), T0, []
    for wait in waits:
        leaves.append((state.active, now + timedelta(hours=1)))
        now += wait
        last = max((end for name, end in leaves if name == state.other), default=T0)
        state = rotation.advance(state, rotation.due(state, SPREAD, last), now)
        assert {name for name, end in leaves if end > now} <= set(state.trusted)


@pytest.mark.parametrize(("draw", "percent"), [(0.0, 40), (0.5, 50), (1.0, 60)])
def test_a_leaf_is_renewed_at_a_jittered_fraction_of_what_is_left(draw: float, percent: int) -> None:
    assert rotation.renewal(T0, T0 + timedelta(seconds=100), draw) == T0 + timedelta(seconds=percent)


@pytest.mark.parametrize(
    ("percent", "level"),
    [(-5, 0), (0, 0), (49, 0), (50, 50), (69, 50), (70, 70), (90, 90), (99, 90), (100, 100), (300, 100)],
)
def test_alarms_at_half_seven_and_nine_tenths_of_a_life(percent: int, level: int) -> None:
    assert rotation.alarm(T0, T0 + timedelta(days=100), T0 + timedelta(days=percent)) == level
