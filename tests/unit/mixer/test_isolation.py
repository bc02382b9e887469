"""When a handler is not asked."""

from __future__ import annotations

from mixer.isolation import FAILURES, MOST_CALLS, PAUSE, Guard


def _broken(now: float = 0.0) -> Guard:
    guard = Guard()
    for _ in range(FAILURES):
        assert not guard.enter(now)
        guard.failed(now)
    return guard


def test_after_failures_in_a_row_the_circuit_opens_and_one_call_tries() -> None:
    guard = _broken()
    assert "circuit is open" in guard.enter(PAUSE - 0.1)
    assert not guard.enter(PAUSE)
    assert "one call tries it" in guard.enter(PAUSE)
    guard.succeeded()
    assert (guard.open, guard.enter(PAUSE)) == (False, "")


def test_a_trial_that_fails_opens_it_again_and_one_that_is_abandoned_says_nothing() -> None:
    guard = _broken()
    assert not guard.enter(PAUSE)
    guard.failed(PAUSE)
    assert guard.enter(PAUSE + 1)
    assert not guard.enter(2 * PAUSE)
    guard.abandoned()
    assert not guard.enter(2 * PAUSE)


def test_a_success_ends_the_row() -> None:
    guard = Guard()
    for number in range(3 * FAILURES):
        assert not guard.enter(0.0)
        guard.succeeded() if number % FAILURES == 0 else guard.failed(0.0)
    assert not guard.open


def test_no_more_calls_wait_than_are_bounded() -> None:
    guard = Guard()
    for _ in range(MOST_CALLS):
        assert not guard.enter(0.0)
    assert "calls wait" in guard.enter(0.0)
    guard.succeeded()
    assert not guard.enter(0.0)
