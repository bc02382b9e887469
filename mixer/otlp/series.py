"""Metric instances summed up as OTLP's cumulative points (opentelemetry/proto/metrics/v1). Pure: time is an argument.

The number of points of a metric is bounded, since clients choose dimensions: what comes beyond is one point with the
attribute that OpenTelemetry has for it.
"""

from __future__ import annotations

import bisect
import datetime
import enum
from collections.abc import Mapping
from typing import Any

import attrs
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality, Metric
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from mixer.otlp.encode import SCOPE, key_values, nanoseconds
from mixer.quota import dimension_text

MOST_POINTS = 10_000
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_OVERFLOW = (("otel.metric.overflow", "true"),)
_CUMULATIVE = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE


class Kind(enum.Enum):
    """What a metric is."""

    UNSPECIFIED = "UNSPECIFIED"
    GAUGE = "GAUGE"
    COUNTER = "COUNTER"
    DISTRIBUTION = "DISTRIBUTION"


@attrs.frozen
class MetricInfo:
    """How an instance is told of. `name` is the instance's if not given; `bounds` are a distribution's."""

    name: str = ""
    description: str = ""
    unit: str = ""
    kind: Kind = Kind.UNSPECIFIED
    bounds: tuple[float, ...] = BOUNDS


@attrs.define(eq=False)
class _Point:
    value: float = 0.0
    counts: list[int] = attrs.field(factory=list)


class Series:
    """One metric with its points."""

    def __init__(self, name: str, info: MetricInfo, start: datetime.datetime) -> None:
        self._name = info.name or name
        self._info = info
        self._start = nanoseconds(start)
        self._points: dict[tuple[tuple[str, str], ...], _Point] = {}

    def record(self, value: Any, dimensions: Mapping[str, Any]) -> None:
        """Adds one value; durations count in seconds. Raises ValueError where a counter would count down."""
        number = value.total_seconds() if isinstance(value, datetime.timedelta) else float(value)
        if self._info.kind is Kind.COUNTER and number < 0:
            raise ValueError(f"{self._name} cannot count down by {number:g}")
        point = self._point(tuple([(name, dimension_text(each)) for name, each in dimensions.items()]))
        if self._info.kind is Kind.GAUGE:
            point.value = number
            return
        point.value += number
        if self._info.kind is Kind.DISTRIBUTION:
            point.counts[bisect.bisect_left(self._info.bounds, number)] += 1

    def _point(self, key: tuple[tuple[str, str], ...]) -> _Point:
        point = self._points.get(key)
        if point is None:
            key = key if len(self._points) < MOST_POINTS else _OVERFLOW
            point = self._points.setdefault(key, _Point(counts=[0] * (len(self._info.bounds) + 1)))
        return point

    def metric(self, now: datetime.datetime) -> Metric:
        """All points, as they stand."""
        metric = Metric(name=self._name, description=self._info.description, unit=self._info.unit)
        times = {"start_time_unix_nano": self._start, "time_unix_nano": nanoseconds(now)}
        if self._info.kind is Kind.DISTRIBUTION:
            metric.histogram.aggregation_temporality = _CUMULATIVE
            for key, point in self._points.items():
                metric.histogram.data_points.add(
                    attributes=key_values(dict(key)),
                    count=sum(point.counts),
                    sum=point.value,
                    bucket_counts=point.counts,
                    explicit_bounds=self._info.bounds,
                    **times,
                )
            return metric
        if self._info.kind is Kind.COUNTER:
            metric.sum.aggregation_temporality, metric.sum.is_monotonic = _CUMULATIVE, True
        points = metric.sum.data_points if self._info.kind is Kind.COUNTER else metric.gauge.data_points
        for key, point in self._points.items():
            points.add(attributes=key_values(dict(key)), as_double=point.value, **times)
        return metric


def metrics(series: Mapping[str, Series], source: Resource, now: datetime.datetime) -> ExportMetricsServiceRequest:
    """ExportMetricsServiceRequest."""
    request = ExportMetricsServiceRequest()
    made = request.resource_metrics.add(resource=source).scope_metrics.add(scope=SCOPE)
    made.metrics.extend(each.metric(now) for each in series.values())
    return request
