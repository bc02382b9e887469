"""The life of an Envoy in virtual time: each test reads as what happened, when, and what was done about it."""

from __future__ import annotations

import pytest

from pilot.sidecar.supervision import NOTHING, Action, Limits, Phase, Step, Supervision

LIMITS = Limits(drain=5, notice=2, kill=3, first_pause=0.5, longest_pause=10, good_life=60)


@pytest.fixture
def running() -> Supervision:
    """An Envoy started at 0."""
    supervision = Supervision(LIMITS)
    assert supervision.begin(0).action is Action.START
    return supervision


def die_and_restart(supervision: Supervision, now: float) -> float:
    """It dies now; the moment of its next start."""
    assert supervision.ended(now, "was ended by SIGKILL").action is None
    assert supervision.deadline is not None
    assert supervision.tick(supervision.deadline).action is Action.START
    return now if supervision.deadline is None else supervision.deadline


def pause_after_death(supervision: Supervision, now: float) -> float:
    supervision.ended(now, "was ended by SIGKILL")
    assert supervision.deadline is not None
    return supervision.deadline - now


def test_one_that_runs_needs_nothing(running: Supervision) -> None:
    assert running.deadline is None
    assert running.tick(1000) is NOTHING


def test_one_that_dies_is_started_again_after_a_pause(running: Supervision) -> None:
    step = running.ended(3, "was ended by SIGKILL")
    assert step == Step(message="Envoy was ended by SIGKILL after 3.0 s; starting it again in 0.5 s")
    assert running.deadline == 3.5
    assert running.tick(3.4) is NOTHING
    assert running.tick(3.5) == Step(Action.START)
    assert running.phase is Phase.RUNNING


def test_the_pause_doubles_up_to_its_limit(running: Supervision) -> None:
    pauses, now = [], 0.0
    for _ in range(7):
        pauses.append(pause_after_death(running, now))
        now += pauses[-1]
        running.tick(now)
    assert pauses == [0.5, 1, 2, 4, 8, 10, 10]


@pytest.mark.parametrize(("life", "pause"), [(59.9, 2.0), (60.0, 0.5)])
def test_a_good_life_makes_the_pause_short_again(running: Supervision, life: float, pause: float) -> None:
    die_and_restart(running, 0)
    die_and_restart(running, 0.5)
    assert pause_after_death(running, 1.5 + life) == pause


def test_told_to_stop_in_a_pause_there_is_nothing_to_drain(running: Supervision) -> None:
    running.ended(1, "ended with exit status 1")
    assert running.stop(1.1) is NOTHING
    assert (running.phase, running.status, running.deadline) == (Phase.OVER, 0, None)


def test_a_clean_drain(running: Supervision) -> None:
    assert running.stop(10).action is Action.DRAIN
    assert running.active(10.5, 3) is NOTHING
    assert running.active(12.5, 0) == Step(Action.TERMINATE, "drained in 2.5 s")
    assert running.ended(12.6, "ended with exit status 0").message == "Envoy ended with exit status 0; done"
    assert (running.phase, running.status, running.deadline) == (Phase.OVER, 0, None)


def test_peers_get_time_to_notice_though_nothing_is_open(running: Supervision) -> None:
    running.stop(10)
    assert running.active(11.9, 0) is NOTHING
    assert running.active(12.0, 0).action is Action.TERMINATE


def test_what_does_not_end_in_time_is_ended(running: Supervision) -> None:
    running.stop(10)
    assert running.active(14.9, 1) is NOTHING
    assert running.deadline == 15
    assert running.tick(15) == Step(Action.TERMINATE, "drain time is over: ending Envoy")
    running.ended(15.1, "ended with exit status 0")
    assert running.status == 0


def test_a_drain_of_no_time_does_not_wait_for_notice() -> None:
    supervision = Supervision(Limits(drain=0))
    supervision.begin(0)
    assert supervision.stop(1).action is Action.DRAIN
    assert supervision.tick(1).action is Action.TERMINATE


def test_an_envoy_that_ignores_sigterm_is_killed(running: Supervision) -> None:
    running.stop(10)
    running.tick(15)
    assert running.tick(17.9) is NOTHING
    assert running.tick(18).action is Action.KILL
    assert running.tick(100) is NOTHING
    running.ended(18.1, "was ended by SIGKILL")
    assert (running.phase, running.status) == (Phase.OVER, 1)


def test_a_second_signal_does_not_wait_and_a_third_kills(running: Supervision) -> None:
    running.stop(10)
    assert running.stop(10.1).action is Action.TERMINATE
    assert running.stop(10.2).action is Action.KILL
    running.ended(10.3, "was ended by SIGKILL")
    assert running.status == 1


def test_one_that_dies_while_it_drains_is_not_started_again(running: Supervision) -> None:
    running.stop(10)
    step = running.ended(11, "was ended by SIGSEGV")
    assert step == Step(message="Envoy was ended by SIGSEGV while it was draining: what was open is cut")
    assert (running.phase, running.status) == (Phase.OVER, 1)


def test_late_news_of_what_is_open_changes_nothing(running: Supervision) -> None:
    assert running.active(5, 0) is NOTHING
    running.stop(10)
    running.tick(15)
    assert running.active(15.1, 0) is NOTHING
    assert running.phase is Phase.ENDING
