"""How often a server is asked (B4, B9, B17)."""

from __future__ import annotations

from adapters.pace import LONGEST_PAUSE, Allowance, pause_after_failure


def test_pauses_double_up_to_a_limit_and_chance_takes_up_to_half() -> None:
    assert pause_after_failure(1, 0) < pause_after_failure(2, 0) < pause_after_failure(3, 0)
    assert pause_after_failure(3, 1) == pause_after_failure(3, 0) / 2
    assert pause_after_failure(10_000, 0) == LONGEST_PAUSE


def test_what_the_server_asks_for_is_the_least_but_not_for_ever() -> None:
    assert pause_after_failure(1, 0, retry_after=30) == 30
    assert pause_after_failure(1, 0, retry_after=86_400) == 10 * LONGEST_PAUSE


def test_single_changes_are_fetched_at_once_and_lasting_churn_is_slowed_down() -> None:
    allowance, now, pauses = Allowance.full(rate=4, burst=60), 0.0, []
    for _ in range(200):
        allowance, pause = allowance.spend(now)
        now += pause + 0.01
        pauses.append(pause)
    assert pauses[:50] == [0.0] * 50
    assert 0.2 < pauses[-1] <= 0.25
    assert allowance.spend(now + 60)[1] == 0
