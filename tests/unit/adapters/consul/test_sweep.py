"""When a sweep over everything is due."""

from __future__ import annotations

import math

from adapters.consul.sweep import GRACE, LATE, REQUESTS_A_SECOND, REQUESTS_AT_ONCE, SHORTEST_PAUSE, Sweeps


def test_an_unexplained_move_is_swept_after_its_grace() -> None:
    sweeps = Sweeps()
    sweeps.moved(10, 11, now=0)
    assert not sweeps.is_due(GRACE / 2)
    assert sweeps.next_due() == GRACE
    assert sweeps.is_due(GRACE)


def test_a_move_explained_in_full_is_swept_late_only() -> None:
    sweeps = Sweeps()
    sweeps.explained(11)
    sweeps.moved(10, 12, now=0)
    sweeps.explained(12)
    assert not sweeps.is_due(GRACE)
    assert sweeps.next_due() == GRACE + LATE
    assert sweeps.is_due(GRACE + LATE)


def test_one_index_without_an_explanation_is_enough() -> None:
    sweeps = Sweeps()
    sweeps.moved(10, 13, now=0)
    sweeps.explained(11, 13)
    assert sweeps.is_due(GRACE)


def test_an_explanation_of_old_does_not_explain_a_new_move() -> None:
    sweeps = Sweeps()
    sweeps.explained(11)
    sweeps.moved(10, 11, now=0)
    assert not sweeps.is_due(GRACE)
    sweeps.explained(11)
    sweeps.moved(11, 12, now=1)
    assert sweeps.is_due(1 + GRACE)


def test_a_long_span_is_not_worth_explaining() -> None:
    sweeps = Sweeps()
    sweeps.explained(*range(1, 1000))
    sweeps.moved(0, 900, now=0)
    assert sweeps.is_due(GRACE)


def test_many_moves_are_one_sweep_and_moves_during_it_are_another() -> None:
    sweeps = Sweeps()
    for index in range(10, 20):
        sweeps.moved(index, index + 1, now=0)
    assert sweeps.is_due(1)
    sweeps.started(1, requests=50)
    assert not sweeps.is_due(1)
    sweeps.moved(20, 21, now=1.1)
    assert not sweeps.is_due(1.5)
    sweeps.ended(2, complete=True)
    assert not sweeps.is_due(2)
    assert sweeps.is_due(2 + SHORTEST_PAUSE)


def test_single_sweeps_pause_shortly_and_lasting_churn_is_slowed_down() -> None:
    sweeps, now, swept, cost = Sweeps(), 0.0, 0, 1000
    pauses = []
    for index in range(40):
        sweeps.moved(index, index + 1, now)
        due = now
        while not sweeps.is_due(due):
            due += 0.05
        pauses.append(due - now)
        sweeps.started(due, cost)
        now = due + 0.01
        swept += cost
        sweeps.ended(now, complete=True)
    assert max(pauses[:9]) < SHORTEST_PAUSE + GRACE + 0.1
    assert swept < REQUESTS_AT_ONCE + now * REQUESTS_A_SECOND + cost


def test_an_incomplete_sweep_is_done_again() -> None:
    sweeps = Sweeps()
    sweeps.started(0, requests=50)
    sweeps.ended(0.1, complete=False)
    assert sweeps.is_due(10)


def test_nothing_is_due_without_a_reason() -> None:
    sweeps = Sweeps()
    assert not sweeps.is_due(1e9)
    assert sweeps.next_due() == math.inf
    sweeps.moved(10, 11, now=0)
    sweeps.reset()
    assert not sweeps.is_due(1e9)
