"""Whether a step went as configured."""

from __future__ import annotations

import pytest

from mesh_adapter.demo.verdict import Measured, Step, shares, tolerance

NINETY_TEN = {"v1": 90.0, "v2": 10.0}


def step(**counts: int) -> Step:
    return Step(1, "split", NINETY_TEN, Measured(counts))


def test_three_standard_deviations_of_the_binomial() -> None:
    # sqrt(0.1 * 0.9 / 2500) is 0.6 percent.
    assert tolerance(2500, 10) == pytest.approx(1.8)


@pytest.mark.parametrize(("v2", "ok"), [(250, True), (295, True), (296, False), (205, True), (204, False)])
def test_a_share_may_be_off_by_that_much(v2: int, ok: bool) -> None:
    assert step(v1=2500 - v2, v2=v2).ok is ok


def test_a_problem_says_what_was_seen_and_what_was_meant() -> None:
    assert step(v1=1250, v2=1250).problems[0] == "v1: 50.0 % of the requests, not 90 % (± 1.8)"


def test_nothing_means_nothing() -> None:
    gone = Step(3, "loss", {"a": 100.0, "b": 0.0}, Measured({"a": 999, "b": 1}))
    assert gone.problems == (
        "a: 99.9 % of the requests, not 100 % (± 0.0)",
        "b: 0.1 % of the requests, not 0 % (± 0.0)",
    )
    assert Step(3, "loss", {"a": 100.0, "b": 0.0}, Measured({"a": 1000})).ok


def test_a_version_that_nobody_configured_is_a_problem() -> None:
    found = step(v1=2250, v2=245, v3=5)
    assert [problem.split(":")[0] for problem in found.problems] == ["v3"]
    assert list(found.seen) == ["v1", "v2", "v3"]


def test_errors_attempts_and_silence_are_problems() -> None:
    good = {"v1": 2250, "v2": 250}
    assert Step(1, "", NINETY_TEN, Measured(good, {"lost": 2})).problems == ("2 x lost",)
    assert not Step(1, "", NINETY_TEN, Measured(good, attempts=1)).ok
    assert Step(1, "", NINETY_TEN).problems == ("no request was answered",)


def test_only_shares_are_a_matter_of_chance() -> None:
    assert step(v1=1250, v2=1250).may_be_chance
    assert not Step(1, "", NINETY_TEN, Measured({"v1": 1}, {"lost": 1})).may_be_chance
    assert not Step(1, "", NINETY_TEN, Measured({"v1": 1}, attempts=1)).may_be_chance
    assert not Step(1, "", NINETY_TEN).may_be_chance


def test_weights_are_shares_of_their_sum() -> None:
    assert shares({"v1": 1, "v2": 3}) == {"v1": 25.0, "v2": 75.0}
    assert shares({"v1": 0}) == {"v1": 0.0}
    assert shares({}) == {}


def test_the_json_of_a_step() -> None:
    said = step(v1=2250, v2=250).as_json()
    assert said["configured"] == NINETY_TEN
    assert said["seen"] == NINETY_TEN
    assert (said["requests"], said["errors"], said["ok"], said["problems"]) == (2500, 0, True, [])
