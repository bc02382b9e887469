"""Quotas in memory: windows, overrides, best effort, deduplication."""

from __future__ import annotations

from typing import Any

from mixer.result import QuotaArgs
from tests.unit.mixer.handlers.opened import Clock, instance, opened


def _handler(clock: Clock, **quota: Any) -> Any:
    return opened(
        "memquota", {"quotas": [{"name": "requests", "maxAmount": 10, "validDuration": "1s", **quota}]}, clock
    )


def _take(handler: Any, amount: int = 1, dedup: str = "", best: bool = False, **dimensions: Any) -> int:
    asked = instance("quota", "requests", dimensions=dimensions)
    return int(handler.quota(asked, QuotaArgs(amount, best, dedup)).granted)


def test_ten_a_second_are_ten_in_any_second() -> None:
    clock = Clock()
    handler = _handler(clock)
    granted = []
    for step in range(3000):  # a request each millisecond, three seconds long
        clock.now = 1_000_000 + step / 1000
        granted += [clock.now] * _take(handler)
    assert 28 <= len(granted) <= 30
    assert all(later - earlier >= 1.0 for earlier, later in zip(granted, granted[10:], strict=False))


def test_a_fixed_window_begins_anew() -> None:
    clock = Clock()
    handler = _handler(clock, rateLimitAlgorithm="FIXED_WINDOW")
    clock.now += 0.0
    assert _take(handler, 10) == 10
    clock.now += 0.99
    assert _take(handler) == 0
    clock.now += 0.02
    assert _take(handler, 10) == 10


def test_best_effort_takes_what_there_is_and_others_all_or_nothing() -> None:
    handler = _handler(Clock())
    assert [_take(handler, 7), _take(handler, 7), _take(handler, 7, best=True), _take(handler)] == [7, 0, 3, 0]


def test_dimensions_have_counters_of_their_own_and_overrides_limits_of_their_own() -> None:
    handler = _handler(Clock(), overrides=[{"dimensions": {"destination": "ratings"}, "maxAmount": 1}])
    assert _take(handler, 10, destination="reviews", source="a") == 10
    assert _take(handler, 10, source="b", destination="reviews") == 10
    assert _take(handler, 1, source="a", destination="reviews") == 0
    assert [_take(handler, 1, destination="ratings") for _ in range(2)] == [1, 0]


def test_a_repetition_takes_nothing_and_is_answered_as_before() -> None:
    clock = Clock()
    handler = _handler(clock)
    assert [_take(handler, 6, "id"), _take(handler, 6, "id"), _take(handler, 4)] == [6, 6, 4]
    assert [_take(handler, 1, "none"), _take(handler, 1, "none")] == [0, 0]
    clock.now += 1.5
    assert [_take(handler, 6, "id"), _take(handler, 4), _take(handler, 1)] == [6, 4, 0]


def test_without_a_duration_an_amount_is_given_out_once() -> None:
    clock = Clock()
    handler = _handler(clock, validDuration="0s")
    assert _take(handler, 10) == 10
    clock.now += 1e6
    assert _take(handler) == 0


def test_a_quota_that_is_not_configured_is_granted() -> None:
    handler = _handler(Clock())
    assert handler.quota(instance("quota", "other"), QuotaArgs(1000)).granted == 1000


def test_a_quota_is_known_by_the_names_of_istios_samples() -> None:
    params = {"quotas": [{"name": "requests.quota.default", "maxAmount": 1, "validDuration": "1s"}]}
    handler = opened("memquota", params)
    assert [_take(handler), _take(handler)] == [1, 0]


def test_the_largest_amount_does_not_wrap() -> None:
    handler = _handler(Clock(), maxAmount=2**63 - 1)
    assert [_take(handler, 2**63 - 1), _take(handler, 2**63 - 1), _take(handler, 1)] == [2**63 - 1, 0, 0]
