"""`memquota`: quotas counted in this process; exact here, and not shared with other replicas (`redisquota` is)."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator, Sequence

import attrs

from galley.finding import Finding
from galley.schema import Int64
from mixer.handler import HandlerType, Instance, Surroundings
from mixer.quota import (
    Algorithm,
    Allotment,
    Deduplication,
    FixedWindow,
    Limit,
    Override,
    Quota,
    RollingWindow,
    Window,
    quota_key,
)
from mixer.result import VALID_DURATION, QuotaArgs, QuotaResult

MOST_COUNTERS = 100_000
"""Counters at the same time; more are refused rather than forgotten, since what is forgotten would be granted anew."""
_SWEEP = 10_000
_SECOND = datetime.timedelta(seconds=1)


@attrs.frozen
class OverrideParams:
    """Another limit for some dimensions."""

    dimensions: tuple[tuple[str, str], ...] = ()
    max_amount: Int64 = 0
    valid_duration: datetime.timedelta | None = None


@attrs.frozen
class QuotaParams:
    """One quota, by the name of its instance: NAME, or NAME.KIND.NAMESPACE as Istio's samples write it."""

    name: str = ""
    max_amount: Int64 = 0
    valid_duration: datetime.timedelta = datetime.timedelta()
    rate_limit_algorithm: Algorithm = Algorithm.ROLLING_WINDOW
    overrides: tuple[OverrideParams, ...] = ()


@attrs.frozen
class Params:
    """`rate_limit_algorithm` is ours: Istio's memquota rolls."""

    quotas: tuple[QuotaParams, ...] = ()
    min_deduplication_duration: datetime.timedelta = _SECOND


class MemquotaHandler:
    """Answers at once, from memory."""

    def __init__(self, params: Params, monotonic: Callable[[], float]) -> None:
        self._quotas = {each.name: quota_of(each) for each in params.quotas}
        self._kinds: dict[str, type[FixedWindow] | type[RollingWindow]] = {
            each.name: FixedWindow if each.rate_limit_algorithm is Algorithm.FIXED_WINDOW else RollingWindow
            for each in params.quotas
        }
        self._monotonic = monotonic
        self._windows: dict[tuple[str, ...], Window] = {}
        self._answered = Deduplication(params.min_deduplication_duration.total_seconds())
        self._until_sweep = _SWEEP

    def quota(self, instance: Instance, args: QuotaArgs) -> QuotaResult:
        name = next((each for each in instance_names(instance) if each in self._quotas), None)
        if name is None:
            return QuotaResult(args.amount)
        now = self._monotonic()
        dimensions = instance.fields.get("dimensions", {})
        key = quota_key(name, dimensions)
        limit = self._quotas[name].limit_for(dimensions)
        again = (*key, args.deduplication_id) if args.deduplication_id else None
        known = self._answered.known(again, now) if again else None
        if known is not None:
            return QuotaResult(min(known, args.amount), _until(self._windows.get(key), now))
        window = self._window(key, limit, name, now)
        granted = window.take(args.amount, args.best_effort, now) if window else 0
        if again:
            self._answered.remember(again, granted, now)
        return QuotaResult(granted, _until(window, now))

    def _window(self, key: tuple[str, ...], limit: Limit, name: str, now: float) -> Window | None:
        window = self._windows.get(key)
        if window is not None:
            return window
        self._until_sweep -= 1
        if self._until_sweep <= 0 or len(self._windows) >= MOST_COUNTERS:
            self._until_sweep = _SWEEP
            self._windows = {each: kept for each, kept in self._windows.items() if not kept.idle(now)}
            if len(self._windows) >= MOST_COUNTERS:
                return None
        made: Window = self._kinds[name](limit) if limit.duration else Allotment(limit)
        self._windows[key] = made
        return made

    async def close(self) -> None:
        return None


def instance_names(instance: Instance) -> Iterator[str]:
    """What parameters of a quota may call the instance."""
    yield instance.name
    for kind in ("quota", "instance"):
        yield f"{instance.name}.{kind}"
        yield f"{instance.name}.{kind}.{instance.namespace}"
    yield f"{instance.name}.{instance.namespace}"


def quota_of(params: QuotaParams) -> Quota:
    """The limits that parameters stand for."""
    own = Limit(params.max_amount, params.valid_duration.total_seconds())
    overrides = tuple(
        Override(
            each.dimensions,
            Limit(
                each.max_amount, own.duration if each.valid_duration is None else each.valid_duration.total_seconds()
            ),
        )
        for each in params.overrides
    )
    return Quota(own, overrides)


def _until(window: Window | None, now: float) -> datetime.timedelta:
    left = window.left(now) if window is not None else VALID_DURATION.total_seconds()
    return datetime.timedelta(seconds=left) if left != float("inf") else VALID_DURATION


def check_quotas(quotas: Sequence[QuotaParams]) -> Iterator[Finding]:
    """What a list of quotas must hold beyond its types."""
    seen: set[str] = set()
    for index, each in enumerate(quotas):
        here = ("quotas", index)
        if not each.name:
            yield Finding((*here, "name"), "is missing", "name the quota instance")
        elif each.name in seen:
            yield Finding((*here, "name"), f"{each.name!r} is given twice", "keep one of the two")
        seen.add(each.name)
        yield from _limit(each.max_amount, each.valid_duration, here)
        for number, override in enumerate(each.overrides):
            there = (*here, "overrides", number)
            if not override.dimensions:
                yield Finding((*there, "dimensions"), "is missing", "say for which values it holds")
            yield from _limit(override.max_amount, override.valid_duration, there)


def _limit(amount: int, duration: datetime.timedelta | None, path: tuple[str | int, ...]) -> Iterator[Finding]:
    if amount < 0:
        yield Finding((*path, "maxAmount"), f"must not be negative, it is {amount}")
    if duration is not None and duration < datetime.timedelta():
        yield Finding((*path, "validDuration"), "must not be negative")


def _check(params: Params) -> Iterator[Finding]:
    yield from check_quotas(params.quotas)
    if params.min_deduplication_duration <= datetime.timedelta():
        yield Finding(("minDeduplicationDuration",), "must be longer than nothing", "1s is the default")


def _open(params: Params, surroundings: Surroundings) -> MemquotaHandler:
    return MemquotaHandler(params, surroundings.monotonic)


MEMQUOTA = HandlerType("memquota", frozenset({"quota"}), Params, _open, _check)
