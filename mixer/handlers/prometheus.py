"""`prometheus`: metrics as series in the registry that the composition root lends (shown on /metrics).

Series are kept by the registry, not by a configuration: a metric whose definition stays goes on counting when rules
change. The number of series of a metric is bounded, since clients choose labels: what comes beyond is counted under
`_overflow`.
"""

from __future__ import annotations

import bisect
import datetime
import enum
import itertools
import re
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any

import attrs
from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
    UnknownMetricFamily,
)
from prometheus_client.registry import Collector

from galley.finding import Finding
from galley.schema import Int32, OneOf
from mixer.handler import HandlerType, Instance, InstanceType, Surroundings
from mixer.quota import dimension_text

MOST_SERIES = 10_000
OVERFLOW = "_overflow"
_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_UNSAFE = re.compile(r"[^a-zA-Z0-9_]")
_DEFAULT_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Kind(enum.Enum):
    """What a metric is."""

    UNSPECIFIED = "UNSPECIFIED"
    GAUGE = "GAUGE"
    COUNTER = "COUNTER"
    DISTRIBUTION = "DISTRIBUTION"


@attrs.frozen
class LinearBuckets:
    """Bounds at offset, offset + width, …"""

    num_finite_buckets: Int32 = 0
    width: float = 0.0
    offset: float = 0.0


@attrs.frozen
class ExponentialBuckets:
    """Bounds at scale, scale · factor, …"""

    num_finite_buckets: Int32 = 0
    growth_factor: float = 0.0
    scale: float = 0.0


@attrs.frozen
class ExplicitBuckets:
    """Bounds as they are given."""

    bounds: tuple[float, ...] = ()


@attrs.frozen
class Buckets:
    """One of the three."""

    linear_buckets: Annotated[LinearBuckets | None, OneOf("definition")] = None
    exponential_buckets: Annotated[ExponentialBuckets | None, OneOf("definition")] = None
    explicit_buckets: Annotated[ExplicitBuckets | None, OneOf("definition")] = None


@attrs.frozen
class MetricInfo:
    """A metric, and the instance that it is fed by."""

    namespace: str = "istio"
    name: str = ""
    instance_name: str = ""
    description: str = ""
    kind: Kind = Kind.UNSPECIFIED
    buckets: Buckets | None = None
    label_names: tuple[str, ...] = ()

    @property
    def full_name(self) -> str:
        """`istio_requests_total`."""
        return f"{self.namespace}_{self.name}" if self.namespace else self.name


@attrs.frozen
class Expiration:
    """Series that nothing was told of for so long are dropped."""

    metrics_expiry_duration: datetime.timedelta | None = None
    expiry_check_interval_duration: datetime.timedelta | None = None


@attrs.frozen
class Params:
    """Istio's."""

    metrics: tuple[MetricInfo, ...] = ()
    metrics_expiration_policy: Expiration | None = None


@attrs.define(eq=False)
class _Series:
    """One combination of labels: a value, or the counts of a distribution's buckets."""

    touched: float
    value: float = 0.0
    counts: list[int] = attrs.field(factory=list)


class _Metric:
    """A metric with its series."""

    def __init__(self, info: MetricInfo) -> None:
        self.info = info
        self.labels = tuple(_UNSAFE.sub("_", each) for each in info.label_names)
        self.bounds = _bounds(info.buckets)
        self.expiry = 0.0
        self.owner: object = None
        self._dimensions = info.label_names
        self._series: dict[tuple[str, ...], _Series] = {}

    def record(self, instance: Instance, now: float) -> None:
        dimensions = instance.fields.get("dimensions", {})
        key = tuple([dimension_text(dimensions.get(each)) for each in self._dimensions])
        series = self._series.get(key) or self._made(key, now)
        series.touched = now
        value = _number(instance.fields.get("value", 0))
        match self.info.kind:
            case Kind.GAUGE:
                series.value = value
            case Kind.COUNTER:
                if value < 0:
                    raise ValueError(f"{self.info.full_name} cannot count down by {value}")
                series.value += value
            case _:
                series.value += value
                series.counts[bisect.bisect_left(self.bounds, value)] += 1

    def _made(self, key: tuple[str, ...], now: float) -> _Series:
        if len(self._series) >= MOST_SERIES:
            key = (OVERFLOW,) * len(self.labels)
            if key in self._series:
                return self._series[key]
        made = self._series[key] = _Series(now, counts=[0] * (len(self.bounds) + 1))
        return made

    def expire(self, now: float) -> None:
        if self.expiry:
            self._series = {key: each for key, each in self._series.items() if now - each.touched < self.expiry}

    def family(self) -> Metric:
        """All series, as the client library shows them."""
        info = self.info
        text = info.description or info.name
        if info.kind is Kind.DISTRIBUTION:
            histogram = HistogramMetricFamily(info.full_name, text, labels=self.labels)
            for key, series in self._series.items():
                histogram.add_metric(key, self._buckets(series), sum_value=series.value)
            return histogram
        family: Any = GaugeMetricFamily
        if info.kind is Kind.COUNTER:  # the library would show `istio_count` as `istio_count_total`
            family = CounterMetricFamily if info.full_name.endswith("_total") else UnknownMetricFamily
        made: Metric = family(info.full_name, text, labels=self.labels)
        for key, series in self._series.items():
            made.add_metric(key, series.value)  # type: ignore[attr-defined]  # each family has it
        return made

    def _buckets(self, series: _Series) -> list[tuple[str, float]]:
        total, shown = 0, []
        for bound, count in zip((*(str(each) for each in self.bounds), "+Inf"), series.counts, strict=True):
            total += count
            shown.append((bound, float(total)))
        return shown


class Exposition(Collector):
    """All metrics that prometheus handlers of one registry define, by name."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._metrics: dict[str, _Metric] = {}
        self._monotonic = monotonic

    def describe(self) -> Iterator[Metric]:
        """Nothing to check at registration: names come and go."""
        return iter(())

    def define(self, info: MetricInfo, owner: object, expiry: float) -> _Metric:
        """The metric with this definition; the one there is, if that is the same."""
        known = self._metrics.get(info.full_name)
        definition = attrs.evolve(info, description="", instance_name="")
        if known is None or attrs.evolve(known.info, description="", instance_name="") != definition:
            known = self._metrics[info.full_name] = _Metric(info)
        known.owner, known.expiry = owner, expiry
        return known

    def release(self, owner: object) -> None:
        """Drops what the owner defined and nobody took over."""
        self._metrics = {name: each for name, each in self._metrics.items() if each.owner is not owner}

    def collect(self) -> Iterator[Metric]:
        for each in self._metrics.values():
            each.expire(self._monotonic())
            yield each.family()


_EXPOSITIONS: weakref.WeakKeyDictionary[CollectorRegistry, Exposition] = weakref.WeakKeyDictionary()


class PrometheusHandler:
    """Counts at once, in memory."""

    def __init__(self, params: Params, exposition: Exposition, surroundings: Surroundings) -> None:
        policy = params.metrics_expiration_policy
        expiry = policy.metrics_expiry_duration.total_seconds() if policy and policy.metrics_expiry_duration else 0.0
        self._exposition = exposition
        self._monotonic = surroundings.monotonic
        self._metrics: dict[tuple[str, str], list[_Metric]] = {}
        for info in params.metrics:
            metric = exposition.define(info, self, expiry)
            for each in surroundings.instances:
                if info.instance_name in _names(each):
                    self._metrics.setdefault((each.name, each.namespace), []).append(metric)

    def report(self, instances: Sequence[Instance]) -> None:
        now = self._monotonic()
        for each in instances:
            for metric in self._metrics.get((each.name, each.namespace), ()):
                metric.record(each, now)

    async def close(self) -> None:
        self._exposition.release(self)


def _names(instance: InstanceType) -> tuple[str, ...]:
    """What a metric may call its instance."""
    name, namespace = instance.name, instance.namespace
    kinds = ("metric", "instance")
    return (
        name,
        f"{name}.{namespace}",
        *(f"{name}.{kind}" for kind in kinds),
        *(f"{name}.{kind}.{namespace}" for kind in kinds),
    )


def _number(value: Any) -> float:
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    return float(value)


def _bounds(buckets: Buckets | None) -> tuple[float, ...]:
    if buckets is None:
        return _DEFAULT_BOUNDS
    if (linear := buckets.linear_buckets) is not None:
        return tuple(linear.offset + linear.width * number for number in range(linear.num_finite_buckets + 1))
    if (growing := buckets.exponential_buckets) is not None:
        return tuple(growing.scale * growing.growth_factor**number for number in range(growing.num_finite_buckets + 1))
    return buckets.explicit_buckets.bounds if buckets.explicit_buckets else _DEFAULT_BOUNDS


def _check(params: Params) -> Iterator[Finding]:
    seen: set[str] = set()
    for index, each in enumerate(params.metrics):
        here = ("metrics", index)
        if not _NAME.fullmatch(each.full_name) or not each.name:
            yield Finding((*here, "name"), f"{each.full_name!r} is no name of a metric", "use letters, digits and _")
        elif each.full_name in seen:
            yield Finding((*here, "name"), f"{each.full_name!r} is given twice", "keep one of the two")
        seen.add(each.full_name)
        if not each.instance_name:
            yield Finding((*here, "instanceName"), "is missing", "name the instance that feeds it")
        if each.kind is Kind.UNSPECIFIED:
            yield Finding((*here, "kind"), "is missing", "use one of GAUGE, COUNTER, DISTRIBUTION")
        if each.buckets is not None:
            yield from _check_buckets(each.buckets, (*here, "buckets"))


def _check_buckets(buckets: Buckets, path: tuple[str | int, ...]) -> Iterator[Finding]:
    for name, shaped in (
        ("linearBuckets", buckets.linear_buckets),
        ("exponentialBuckets", buckets.exponential_buckets),
    ):
        if shaped is not None and not 1 <= shaped.num_finite_buckets <= 200:
            yield Finding((*path, name, "numFiniteBuckets"), "must be from 1 to 200")
            return
    bounds = _bounds(buckets)
    if any(one >= other for one, other in itertools.pairwise(bounds)):
        yield Finding(path, "has bounds that do not grow", "each bucket must end above the one before")


def _open(params: Params, surroundings: Surroundings) -> PrometheusHandler:
    registry = surroundings.services.get("registry")
    if not isinstance(registry, CollectorRegistry):
        raise TypeError("no Prometheus registry is lent to handlers here")
    exposition = _EXPOSITIONS.get(registry)
    if exposition is None:
        exposition = _EXPOSITIONS[registry] = Exposition(surroundings.monotonic)
        registry.register(exposition)
    return PrometheusHandler(params, exposition, surroundings)


PROMETHEUS = HandlerType("prometheus", frozenset({"metric"}), Params, _open, _check)
