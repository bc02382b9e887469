"""Quotas shared by replicas through a real Redis: windows, deduplication, prefetch, and Redis going away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from redis.exceptions import RedisError

from mixer.dispatch import Dispatcher
from mixer.result import QuotaArgs
from tests.servers.redis import Redis
from tests.unit.mixer.configuration import handler as configured
from tests.unit.mixer.configuration import instance as declared
from tests.unit.mixer.configuration import rule, sound
from tests.unit.mixer.handlers.opened import instance, opened_now

pytestmark = pytest.mark.integration


@asynccontextmanager
async def _replicas(redis: Redis, count: int = 1, /, **quota: Any) -> AsyncIterator[list[Any]]:
    quota = {"name": "requests", "maxAmount": 10, "validDuration": "1s", **quota}
    params = {"redisServerUrl": redis.url, "quotas": [quota], "timeout": "200ms"}
    handlers = [opened_now("redisquota", params) for _ in range(count)]
    try:
        yield handlers
    finally:
        for each in handlers:
            await each.close()


async def _take(handler: Any, amount: int = 1, dedup: str = "", best: bool = False, **dimensions: Any) -> int:
    asked = instance("quota", "requests", dimensions=dimensions)
    return int((await handler.quota(asked, QuotaArgs(amount, best, dedup))).granted)


@pytest.mark.parametrize("algorithm", ["FIXED_WINDOW", "ROLLING_WINDOW"])
async def test_replicas_grant_together_what_one_may(redis: Redis, algorithm: str) -> None:
    async with _replicas(redis, 3, rateLimitAlgorithm=algorithm, validDuration="60s") as handlers:
        asked = [_take(handlers[number % 3], 1 + number % 2) for number in range(60)]
        granted = sum(await asyncio.gather(*asked))
        assert 9 <= granted <= 10
        assert [await _take(each, 3) for each in handlers] == [0, 0, 0]


@pytest.mark.parametrize("algorithm", ["FIXED_WINDOW", "ROLLING_WINDOW"])
async def test_what_was_taken_comes_back_after_the_window_and_no_earlier(redis: Redis, algorithm: str) -> None:
    async with _replicas(redis, 2, rateLimitAlgorithm=algorithm, validDuration="0.5s") as handlers:
        assert await _take(handlers[0], 10) == 10
        start = time.monotonic()
        while not await _take(handlers[1], 10):
            assert time.monotonic() - start < 5
            await asyncio.sleep(0.005)
        assert time.monotonic() - start > 0.45


async def _hammered(handlers: list[Any], seconds: float) -> list[tuple[float, float]]:
    """When each amount that was granted was asked for, and when it was had; replicas are asked in turn."""
    granted: list[tuple[float, float]] = []
    asked = 0
    end = time.monotonic() + seconds
    while (before := time.monotonic()) < end:
        asked += 1
        if await _take(handlers[asked % len(handlers)]):
            granted.append((before, time.monotonic()))
        await asyncio.sleep(0.001)
    return granted


def _windows_hold(granted: list[tuple[float, float]], most: int, seconds: float) -> bool:
    return all(had - asked > seconds for (asked, _), (_, had) in zip(granted, granted[most:], strict=False))


async def test_a_rolling_window_never_holds_more_than_its_maximum(redis: Redis) -> None:
    async with _replicas(redis, 2, rateLimitAlgorithm="ROLLING_WINDOW", validDuration="0.3s") as handlers:
        granted = await _hammered(handlers, 1.5)
        assert len(granted) >= 30
        assert _windows_hold(granted, 10, 0.3)


async def test_best_effort_overrides_and_dimensions(redis: Redis) -> None:
    override = {"dimensions": {"destination": "ratings"}, "maxAmount": 1}
    async with _replicas(redis, validDuration="60s", overrides=[override]) as (handler,):
        assert [await _take(handler, 7), await _take(handler, 7), await _take(handler, 7, best=True)] == [7, 0, 3]
        assert [await _take(handler, destination="ratings") for _ in range(2)] == [1, 0]
        assert await _take(handler, 10, destination="details") == 10


async def test_a_repetition_takes_nothing_whichever_replica_it_comes_to(redis: Redis) -> None:
    async with _replicas(redis, 2, validDuration="60s") as (one, other):
        assert [await _take(one, 6, "id"), await _take(other, 6, "id"), await _take(one, 4, "new")] == [6, 6, 4]
        assert [await _take(other, 6, "id"), await _take(other, 1, "newer")] == [6, 0]


async def test_amounts_at_the_ends_of_their_range_do_not_wrap(redis: Redis) -> None:
    async with _replicas(redis, maxAmount=2**53, validDuration="60s") as (handler,):
        assert await _take(handler, 2**63 - 1) == 0
        assert await _take(handler, 2**53 - 1) == 2**53 - 1
        assert [await _take(handler), await _take(handler)] == [1, 0]


async def test_prefetched_amounts_are_handed_out_without_asking_and_never_over_grant_by_more(redis: Redis) -> None:
    async with _replicas(redis, 2, maxAmount=100, prefetch=10, validDuration="60s") as handlers:
        granted = [await _take(handlers[number % 2]) for number in range(300)]
        assert 80 <= sum(granted) <= 100
        calls = str(redis.command("INFO", "commandstats"))
        asked = int(calls.partition("cmdstat_evalsha:calls=")[2].partition(",")[0])
        assert asked < 60


async def test_prefetching_replicas_grant_at_most_what_each_may_hold_more_in_any_window(redis: Redis) -> None:
    quota = {"maxAmount": 20, "prefetch": 3, "rateLimitAlgorithm": "ROLLING_WINDOW", "validDuration": "0.3s"}
    async with _replicas(redis, 2, **quota) as handlers:
        granted = await _hammered(handlers, 2.0)
        assert len(granted) > 60
        assert _windows_hold(granted, 20 + 2 * 3, 0.3)


async def _until(holds: Callable[[], Any], seconds: float) -> float:
    start = time.monotonic()
    while not await holds():
        assert time.monotonic() - start < seconds
        await asyncio.sleep(0.02)
    return time.monotonic() - start


@pytest.mark.parametrize(("away", "granted"), [("GRANT", 40), ("DENY", 0), ("LOCAL", 10)])
async def test_while_redis_is_away_the_quota_does_what_it_was_told(redis: Redis, away: str, granted: int) -> None:
    async with _replicas(redis, whenAway=away, validDuration="60s") as (handler,):
        assert await _take(handler, 4) == 4
        redis.stop()
        start = time.monotonic()
        assert sum([await _take(handler) for _ in range(40)]) == granted
        assert time.monotonic() - start < 2
        redis.start()

        async def counted_by_redis() -> bool:
            await _take(handler)
            return redis.command("DBSIZE") != 0

        assert await _until(counted_by_redis, 5) < 5


async def test_without_a_word_the_failure_policy_of_the_rule_decides(redis: Redis) -> None:
    async with _replicas(redis) as (handler,):
        redis.stop()
        with pytest.raises((RedisError, OSError)):
            await _take(handler)


async def test_a_redis_that_hangs_costs_no_more_than_its_deadline(redis: Redis) -> None:
    async with _replicas(redis, whenAway="LOCAL", localMaxAmount=3, validDuration="60s") as (handler,):
        assert await _take(handler) == 1
        redis.process.pause()
        try:
            start = time.monotonic()
            assert sum(await asyncio.gather(*(_take(handler) for _ in range(20)))) == 3
            assert time.monotonic() - start < 1.5
        finally:
            redis.process.resume()


async def test_a_key_of_another_type_spoils_one_window_only(redis: Redis) -> None:
    async with _replicas(redis, whenAway="DENY", validDuration="60s") as (handler,):
        assert await _take(handler, source="a") == 1
        key = _only_key(redis)
        redis.command("DEL", key)
        redis.command("SET", key, "nonsense")
        assert [await _take(handler, source="a"), await _take(handler, source="b")] == [0, 1]
        redis.command("DEL", key)
        assert await _take(handler, source="a") == 1


async def test_a_flushed_redis_is_given_its_script_again(redis: Redis) -> None:
    async with _replicas(redis) as (handler,):
        assert await _take(handler) == 1
        redis.command("SCRIPT", "FLUSH")
        assert await _take(handler) == 1


async def test_rules_fail_as_they_say_and_redis_is_used_again_within_five_seconds(redis: Redis) -> None:
    """Through dispatch: circuit, deadline and failure policy of the rule, with another rule's quota beside it."""
    quota = {"name": "hits", "maxAmount": 1000, "validDuration": "60s"}
    shared = {"redisServerUrl": redis.url, "quotas": [quota]}
    local = {"quotas": [{**quota, "name": "others"}]}
    dispatcher = Dispatcher()
    dispatcher.install(
        sound(
            configured("shared", "redisquota", shared),
            configured("local", "memquota", local),
            declared("hits", "quota"),
            declared("others", "quota"),
            rule("closed", "", "shared", ("hits",)),
            rule("beside", "", "local", ("others",)),
        )
    )
    bag = {"destination.namespace": "default"}
    both = {"hits": QuotaArgs(1), "others": QuotaArgs(1)}

    async def granted() -> tuple[int, int]:
        found = (await dispatcher.check(bag, both)).quotas
        return found["hits"].granted, found["others"].granted

    assert await granted() == (1, 1)
    redis.stop()
    assert [await granted() for _ in range(10)] == [(0, 1)] * 10
    redis.start()

    async def used_again() -> bool:
        return await granted() == (1, 1)

    assert await _until(used_again, 5) < 5
    await dispatcher.close()


def _only_key(redis: Redis) -> str:
    key = redis.command("RANDOMKEY")
    assert isinstance(key, str)
    return key
