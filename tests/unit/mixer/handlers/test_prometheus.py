"""Metrics as Prometheus reads them."""

from __future__ import annotations

from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from mixer.handlers import prometheus
from tests.unit.mixer.handlers.opened import Clock, instance, instance_type, opened

COUNT = {"name": "requests_total", "instanceName": "one.metric.default", "kind": "COUNTER", "labelNames": ["app", "ip"]}
ONE = (instance_type("metric"),)


def _text(registry: CollectorRegistry) -> list[str]:
    return [line for line in generate_latest(registry).decode().splitlines() if not line.startswith("#")]


def _open(registry: CollectorRegistry, *metrics: dict[str, Any], clock: Clock | None = None, **more: Any) -> Any:
    return opened("prometheus", {"metrics": list(metrics), **more}, clock, registry, ONE)


def test_a_counter_counts_by_its_labels() -> None:
    registry = CollectorRegistry()
    handler = _open(registry, COUNT, {**COUNT, "name": "calls", "labelNames": []})
    handler.report([instance("metric", value=2, dimensions={"app": "a", "ip": b"\x0a\0\0\1", "other": 1})])
    handler.report([instance("metric", value=1, dimensions={"app": "a", "ip": b"\x0a\0\0\1"})] * 2)
    assert _text(registry) == ['istio_requests_total{app="a",ip="10.0.0.1"} 4.0', "istio_calls 4.0"]


def test_a_distribution_has_its_buckets() -> None:
    import datetime

    registry = CollectorRegistry()
    buckets = {"explicitBuckets": {"bounds": [0.1, 1]}}
    handler = _open(
        registry, {**COUNT, "name": "seconds", "kind": "DISTRIBUTION", "buckets": buckets, "labelNames": []}
    )
    for each in (50, 100, 500, 5000):
        handler.report([instance("metric", value=datetime.timedelta(milliseconds=each))])
    assert _text(registry) == [
        'istio_seconds_bucket{le="0.1"} 2.0',
        'istio_seconds_bucket{le="1.0"} 3.0',
        'istio_seconds_bucket{le="+Inf"} 4.0',
        "istio_seconds_count 4.0",
        "istio_seconds_sum 5.65",
    ]


async def test_counters_go_on_when_rules_change_and_end_with_their_definition() -> None:
    registry = CollectorRegistry()
    before = _open(registry, {**COUNT, "labelNames": []})
    before.report([instance("metric", value=1)])
    after = _open(registry, {**COUNT, "labelNames": [], "description": "other words"})
    await before.close()
    after.report([instance("metric", value=1)])
    assert _text(registry) == ["istio_requests_total 2.0"]
    await after.close()
    assert _text(registry) == []


def test_labels_that_clients_choose_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prometheus, "MOST_SERIES", 3)
    registry = CollectorRegistry()
    handler = _open(registry, {**COUNT, "labelNames": ["app"]})
    handler.report([instance("metric", value=1, dimensions={"app": f"a{number}"}) for number in range(50)])
    assert _text(registry)[-1] == 'istio_requests_total{app="_overflow"} 47.0'
    assert len(_text(registry)) == 4


def test_series_expire() -> None:
    clock = Clock()
    registry = CollectorRegistry()
    policy = {"metricsExpiryDuration": "10s"}
    handler = _open(registry, {**COUNT, "labelNames": []}, clock=clock, metricsExpirationPolicy=policy)
    handler.report([instance("metric", value=1)])
    clock.now += 9
    assert _text(registry)
    clock.now += 2
    assert not _text(registry)


def test_without_a_registry_it_says_so() -> None:
    with pytest.raises(TypeError, match="no Prometheus registry"):
        opened("prometheus", {"metrics": [COUNT]})
