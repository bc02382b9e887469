"""`redisquota`: quotas that replicas of Mixer share by a Redis server; exact, as its script counts for all of them.

What a quota comes to while Redis is away, slow or loading is the quota's `whenAway`. After a failure nothing is asked
of Redis for a moment, so that callers are answered at once; then the next request tries again.
"""

from __future__ import annotations

import asyncio
import datetime
import enum
import logging
from collections.abc import Callable, Iterator, Mapping
from urllib.parse import urlsplit

import attrs
from redis.exceptions import RedisError, ResponseError

from galley.finding import Finding
from galley.schema import Int32, Int64
from mixer.handler import HandlerType, Instance, Surroundings
from mixer.handlers import memquota
from mixer.quota import Algorithm, Limit, Quota, RollingWindow, quota_key
from mixer.result import QuotaArgs, QuotaResult
from mixer.shared_windows import MOST, Ask, SharedWindows, Taken, WindowKey, full_url

log = logging.getLogger(__name__)

PAUSE = 1.0
"""Seconds without a question to Redis after it failed."""
_SECOND = datetime.timedelta(seconds=1)
_MOST_REMEMBERED = 100_000
"""Windows of which an exhaustion or prefetched amounts are remembered."""


class WhenAway(enum.Enum):
    """What is granted while Redis gives no answer. RULE: what the rule's failPolicy says."""

    RULE = "RULE"
    GRANT = "GRANT"
    DENY = "DENY"
    LOCAL = "LOCAL"


@attrs.frozen
class QuotaParams(memquota.QuotaParams):
    """Istio's with its default of fixed windows, and of ours: `prefetch`, `when_away`, `local_max_amount`."""

    rate_limit_algorithm: Algorithm = Algorithm.FIXED_WINDOW
    bucket_duration: datetime.timedelta | None = None
    prefetch: Int32 = 0
    when_away: WhenAway = WhenAway.RULE
    local_max_amount: Int64 | None = None


@attrs.frozen
class Params:
    """Istio's; `timeout` (of each call of Redis) and `min_deduplication_duration` are ours."""

    quotas: tuple[QuotaParams, ...] = ()
    redis_server_url: str = ""
    connection_pool_size: Int32 = 10
    timeout: datetime.timedelta = datetime.timedelta(milliseconds=250)
    min_deduplication_duration: datetime.timedelta = _SECOND


@attrs.define
class _Pot:
    """What is known of a window without asking: amounts fetched ahead until `ends`, nothing free until `free_at`."""

    amount: int = 0
    fetching: bool = False
    ends: float = 0.0
    free_at: float = 0.0


class RedisquotaHandler:
    """`windows` is asked where neither a pot nor a known exhaustion answers."""

    def __init__(self, params: Params, windows: SharedWindows, surroundings: Surroundings) -> None:
        self._params = {each.name: each for each in params.quotas}
        self._quotas: Mapping[str, Quota] = {each.name: memquota.quota_of(each) for each in params.quotas}
        self._windows = windows
        self._name = surroundings.name
        self._monotonic: Callable[[], float] = surroundings.monotonic
        self._local = memquota.MemquotaHandler(_local(params), surroundings.monotonic)
        self._pots: dict[tuple[str, ...], _Pot] = {}
        self._away_until = float("-inf")
        self._away = ""

    async def quota(self, instance: Instance, args: QuotaArgs) -> QuotaResult:
        name = next((each for each in memquota.instance_names(instance) if each in self._params), None)
        if name is None:
            return QuotaResult(args.amount)
        dimensions = instance.fields.get("dimensions", {})
        key, limit = quota_key(name, dimensions), self._quotas[name].limit_for(dimensions)
        now = self._monotonic()
        known = None if args.deduplication_id else self._known(key, args.amount, now)
        if known is not None:
            return known
        if now < self._away_until:
            return self._unanswered(name, instance, args, ConnectionError(f"Redis is away: {self._away}"))
        try:
            taken = await self._take(name, key, limit, args)
        except (RedisError, OSError) as error:
            self._failed(error)
            return self._unanswered(name, instance, args, error)
        self._answered()
        if taken.free_in > 0:
            self._pot(key).free_at = self._monotonic() + taken.free_in
        return QuotaResult(taken.granted, _seconds(taken.left))

    def _known(self, key: tuple[str, ...], amount: int, now: float) -> QuotaResult | None:
        """The answer that needs no question: from what was fetched ahead, or because all is gone for a while."""
        pot = self._pots.get(key)
        if pot is None:
            return None
        if now < pot.ends and pot.amount >= amount:
            pot.amount -= amount
            return QuotaResult(amount, _seconds(pot.ends - now))
        return QuotaResult(0, _seconds(pot.free_at - now)) if now < pot.free_at else None

    async def _take(self, name: str, key: tuple[str, ...], limit: Limit, args: QuotaArgs) -> Taken:
        """One question; where the quota prefetches and nothing is left of that, more is fetched by the same."""
        quota = self._params[name]
        window = WindowKey("\n".join((self._name, *key)), limit, quota.rate_limit_algorithm, _slots(quota, limit))
        ask = Ask(args.amount, args.best_effort, args.deduplication_id)
        pot, now = self._pots.get(key), self._monotonic()
        holds = pot is not None and (pot.fetching or (pot.amount and now < pot.ends))
        if not quota.prefetch or args.deduplication_id or holds:
            return await self._windows.take(window, ask)
        return await self._with_prefetch(window, ask, Ask(quota.prefetch, best_effort=True), self._pot(key))

    async def _with_prefetch(self, window: WindowKey, ask: Ask, ahead: Ask, pot: _Pot) -> Taken:
        """Both asks are one question; what was left of the pot is forgotten, which grants less rather than more."""
        pot.amount, pot.fetching, pot.ends = 0, True, self._monotonic() + window.limit.duration
        try:
            taken, more = await asyncio.gather(self._windows.take(window, ask), self._windows.take(window, ahead))
        finally:
            pot.fetching = False
        pot.amount = more.granted
        return taken

    def _pot(self, key: tuple[str, ...]) -> _Pot:
        pot = self._pots.get(key)
        if pot is None:
            if len(self._pots) >= _MOST_REMEMBERED:
                del self._pots[next(iter(self._pots))]
            pot = self._pots[key] = _Pot()
        return pot

    def _unanswered(self, name: str, instance: Instance, args: QuotaArgs, error: Exception) -> QuotaResult:
        match self._params[name].when_away:
            case WhenAway.GRANT:
                return QuotaResult(args.amount, _SECOND)
            case WhenAway.DENY:
                return QuotaResult(0, _SECOND)
            case WhenAway.LOCAL:
                return self._local.quota(instance, args)
            case WhenAway.RULE:
                raise error

    def _failed(self, error: Exception) -> None:
        """A window that holds something else is one window's trouble; all else is Redis'."""
        if isinstance(error, ResponseError) and "WRONGTYPE" in str(error):
            log.warning("handler %s: a key of a quota holds something else: %s", self._name, error)
            return
        if not self._away:
            log.warning("handler %s: Redis gives no answer: %s", self._name, error or type(error).__name__)
        self._away = str(error) or type(error).__name__
        self._away_until = self._monotonic() + PAUSE

    def _answered(self) -> None:
        if self._away:
            log.info("handler %s: Redis answers again", self._name)
            self._away = ""

    async def close(self) -> None:
        await self._windows.close()


def _seconds(number: float) -> datetime.timedelta:
    return datetime.timedelta(seconds=number)


def _slots(quota: QuotaParams, limit: Limit) -> int:
    """As fine as the operator's buckets, and never coarser than a hundredth: coarse buckets grant too little."""
    if quota.bucket_duration is None:
        return RollingWindow.SLOTS
    return min(max(RollingWindow.SLOTS, round(limit.duration / quota.bucket_duration.total_seconds())), 1000)


def _local(params: Params) -> memquota.Params:
    """What a replica grants by itself."""
    quotas = tuple(
        each if each.local_max_amount is None else attrs.evolve(each, max_amount=each.local_max_amount, overrides=())
        for each in params.quotas
    )
    return memquota.Params(quotas, params.min_deduplication_duration)


def _check(params: Params) -> Iterator[Finding]:
    yield from memquota.check_quotas(params.quotas)
    nothing = datetime.timedelta()
    if not params.redis_server_url:
        yield Finding(("redisServerUrl",), "is missing", "write redis-1:6379 or redis://:PASSWORD@redis-1:6379/0")
    elif urlsplit(full_url(params.redis_server_url)).scheme not in ("redis", "rediss", "unix"):
        yield Finding(("redisServerUrl",), "is no address of a Redis", "write redis://, rediss:// or unix://")
    if not 1 <= params.connection_pool_size <= 1000:
        yield Finding(("connectionPoolSize",), "must be from 1 to 1000")
    if params.timeout <= nothing:
        yield Finding(("timeout",), "must be longer than nothing", "250ms is the default")
    if params.min_deduplication_duration <= nothing:
        yield Finding(("minDeduplicationDuration",), "must be longer than nothing", "1s is the default")
    for index, quota in enumerate(params.quotas):
        yield from _check_quota(quota, ("quotas", index))


def _check_quota(quota: QuotaParams, path: tuple[str | int, ...]) -> Iterator[Finding]:
    nothing = datetime.timedelta()
    if quota.valid_duration == nothing:
        yield Finding((*path, "validDuration"), "is missing", "say within which time maxAmount holds, such as 1s")
    for number, override in enumerate(quota.overrides):
        if override.valid_duration == nothing:
            yield Finding((*path, "overrides", number, "validDuration"), "must be longer than nothing")
    if quota.bucket_duration is not None and not nothing < quota.bucket_duration <= (quota.valid_duration or nothing):
        yield Finding((*path, "bucketDuration"), "must be longer than nothing and at most validDuration")
    if quota.max_amount > MOST or any(each.max_amount > MOST for each in quota.overrides):
        yield Finding((*path, "maxAmount"), f"must be at most {MOST}", "Redis counts no further exactly")
    if quota.prefetch < 0 or quota.prefetch > quota.max_amount:
        yield Finding((*path, "prefetch"), "must be from 0 to maxAmount")
    if quota.local_max_amount is not None and quota.local_max_amount < 0:
        yield Finding((*path, "localMaxAmount"), "must not be negative")


def _open(params: Params, surroundings: Surroundings) -> RedisquotaHandler:
    windows = SharedWindows(
        params.redis_server_url,
        params.connection_pool_size,
        params.timeout.total_seconds(),
        params.min_deduplication_duration.total_seconds(),
    )
    return RedisquotaHandler(params, windows, surroundings)


REDISQUOTA = HandlerType("redisquota", frozenset({"quota"}), Params, _open, _check)
