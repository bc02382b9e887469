"""Whose checks are read when, and what that may cost."""

from __future__ import annotations

from adapters.nomad.checks import AFTER_FAILURE, AT_ONCE, UNDER_WAY, Checks


def run(checks: Checks, start: float, seconds: float) -> list[tuple[float, str]]:
    """Whom a server that answers at once is asked about, and when."""
    asked: list[tuple[float, str]] = []
    now = start
    while now <= start + seconds:
        for alloc in checks.due(now):
            asked.append((now, alloc))
            checks.answered(alloc, now)
        now = max(checks.next_due(), now + 0.001)
    return asked


def test_each_is_asked_at_once_and_then_every_interval() -> None:
    checks = Checks(interval=2.0, rate=50.0)
    checks.want("a", 10.0)
    checks.want("b", 10.0)
    before = checks.all_seen
    asked = run(checks, 10.0, 7.9)
    assert (before, checks.all_seen) == (False, True)
    assert [round(at - 10) for at, alloc in asked if alloc == "a"] == [0, 2, 4, 6]
    assert len(asked) == 8


def test_beyond_the_rate_all_wait_their_turn() -> None:
    checks = Checks(interval=2.0, rate=50.0)
    names = [f"a{number}" for number in range(1000)]
    for name in names:
        checks.want(name, 0.0)
    asked = run(checks, 0.0, 400.0)
    late = [alloc for at, alloc in asked if at > 200.0]
    assert len(asked) <= AT_ONCE + 400 * 50 + 1
    assert len(late) / 200 < 51
    counts = [late.count(name) for name in names]
    assert max(counts) - min(counts) <= 1


def test_no_more_are_under_way_than_can_be_answered_soon() -> None:
    checks = Checks(interval=2.0, rate=50.0)
    for number in range(100):
        checks.want(f"a{number}", 0.0)
    first = checks.due(0.0)
    assert len(first) == UNDER_WAY
    assert checks.due(1.0) == ()
    checks.answered(first[0], 1.0)
    assert len(checks.due(1.0)) == 1


def test_a_node_that_does_not_answer_is_left_alone_for_a_while() -> None:
    checks = Checks(interval=2.0, rate=50.0)
    checks.want("a", 0.0)
    assert checks.due(0.0) == ("a",)
    checks.failed("a", 1.0)
    assert checks.all_seen
    assert checks.due(AFTER_FAILURE) == ()
    assert checks.due(1.0 + AFTER_FAILURE) == ("a",)


def test_one_that_has_none_any_more_is_dropped_and_may_return() -> None:
    checks = Checks(interval=2.0, rate=50.0)
    checks.want("a", 0.0)
    checks.drop("a")
    assert checks.due(5.0) == ()
    assert checks.all_seen
    checks.want("a", 5.0)
    checks.want("a", 6.0)
    assert checks.due(6.0) == ("a",)
    checks.drop("a")
    checks.answered("a", 7.0)
    assert checks.due(100.0) == ()
