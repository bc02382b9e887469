"""Verdicts that are kept, for how long, and for whom."""

from __future__ import annotations

from mixer.attributes import Condition, Reference
from mixer.client.cache import CheckCache
from mixer.result import UNLIMITED

USER = Reference("request.headers", "user")
HOST = Reference("destination.service.host")


def kept(uses: int = UNLIMITED, condition: Condition = Condition.EXACT) -> CheckCache[str]:
    cache: CheckCache[str] = CheckCache()
    cache.put({"request.headers": {"user": "a"}}, "yes", {USER: condition}, until=10.0, uses=uses)
    return cache


def test_a_verdict_holds_for_whoever_agrees_in_what_it_rests_on() -> None:
    cache = kept()
    assert cache.get({"request.headers": {"user": "a", "other": "x"}, "request.path": "/"}, 1.0) == "yes"
    assert cache.get({"request.headers": {"user": "b"}}, 1.0) is None
    assert cache.get({}, 1.0) is None


def test_what_has_to_be_absent_must_be() -> None:
    cache: CheckCache[str] = CheckCache()
    cache.put({}, "no", {USER: Condition.ABSENCE}, until=10.0, uses=UNLIMITED)
    assert cache.get({}, 1.0) == "no"
    assert cache.get({"request.headers": {"user": "a"}}, 1.0) is None


def test_time_and_uses_come_to_an_end() -> None:
    assert kept().get({"request.headers": {"user": "a"}}, 10.0) is None
    cache = kept(uses=2)
    found = [cache.get({"request.headers": {"user": "a"}}, 1.0) for _ in range(3)]
    assert found == ["yes", "yes", None]
    assert len(cache) == 0


def test_what_rests_on_a_regular_expression_or_on_the_unsaid_is_not_kept() -> None:
    assert len(kept(condition=Condition.REGEX)) == 0
    cache: CheckCache[str] = CheckCache()
    cache.put({}, "yes", {HOST: Condition.EXACT}, until=10.0, uses=UNLIMITED)
    assert len(cache) == 0


def test_the_least_recently_used_goes_first() -> None:
    cache: CheckCache[int] = CheckCache(capacity=2)
    for number in range(3):
        cache.put({"request.path": str(number)}, number, {Reference("request.path"): Condition.EXACT}, until=9, uses=-1)
    assert [cache.get({"request.path": str(number)}, 1.0) for number in range(3)] == [None, 1, 2]
