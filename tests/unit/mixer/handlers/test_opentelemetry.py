"""Metrics, logs and traces as a collector receives them, by gRPC and by HTTP."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from mixer.otlp import series
from tests.unit.mixer.handlers.far_ends import Collector, collector, until
from tests.unit.mixer.handlers.opened import instance, opened_now

NOON = datetime.datetime(2019, 4, 1, 12, 0, 0, tzinfo=datetime.UTC)
NANOSECONDS = int(NOON.timestamp()) * 10**9
METRICS = {
    "requests": {"kind": "COUNTER", "name": "mesh.requests", "unit": "{request}"},
    "took": {"kind": "DISTRIBUTION", "bounds": [0.1, 1]},
    "load": {"kind": "GAUGE"},
}
SPAN = {
    "traceId": "0af7651916cd43dd8448eb211c80319c",
    "spanId": "b7ad6b7169203331",
    "parentSpanId": "00f067aa0ba902b7",
    "spanName": "/books",
    "startTime": NOON,
    "endTime": NOON + datetime.timedelta(milliseconds=20),
    "httpStatusCode": 503,
    "spanTags": {"user": "ada", "retries": 2},
    "sourceName": "web",
}


def _opened(far: Collector, **params: Any) -> Any:
    params = {"endpoint": far.endpoint, "interval": "0.05s", "metrics": METRICS, **params}
    return opened_now("opentelemetry", params)


def _attributes(of: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in of.attributes}


both = pytest.mark.parametrize("protocol", ["grpc", "http"])


@both
async def test_a_span_keeps_its_ids_times_kind_and_status(protocol: str) -> None:
    async with collector(protocol) as far:
        handler = _opened(far, resource={"deployment.environment": "test"}, headers={"X-Tenant": "one"})
        handler.report([instance("tracespan", "span", **SPAN), instance("tracespan", "none", spanName="untraced")])
        await until(lambda: far.spans)
        await handler.close()
        (span,) = far.spans
        assert (span.trace_id.hex(), span.span_id.hex()) == (SPAN["traceId"], SPAN["spanId"])
        assert span.parent_span_id.hex() == SPAN["parentSpanId"]
        assert (span.start_time_unix_nano, span.end_time_unix_nano) == (NANOSECONDS, NANOSECONDS + 20_000_000)
        assert (span.name, span.kind, span.status.code) == ("/books", 2, 2)
        told = _attributes(span)
        assert told == {"user": "ada", "retries": 2, "source.name": "web", "http.response.status_code": 503}
        resource = _attributes(far.requests["traces"][0].resource_spans[0].resource)
        assert resource == {"service.name": "mesh-adapter-mixer", "deployment.environment": "test"}
        assert far.metadata[0]["x-tenant"] == "one"


@both
async def test_a_log_entry_has_severity_time_and_variables(protocol: str) -> None:
    async with collector(protocol) as far:
        handler = _opened(far)
        variables = {"code": 200, "ok": True, "took": datetime.timedelta(seconds=1), "from": b"\x0a\0\0\x01"}
        handler.report([instance("logentry", "accesslog", timestamp=NOON, severity="warning", variables=variables)])
        await handler.close()
        (record,) = far.records
        assert (record.time_unix_nano, record.severity_number, record.body.string_value) == (
            NANOSECONDS,
            13,
            "accesslog",
        )
        assert _attributes(record) == {"code": 200, "ok": True, "took": "1s", "from": "10.0.0.1"}


@both
async def test_metrics_are_told_cumulative(protocol: str) -> None:
    async with collector(protocol) as far:
        handler = _opened(far)
        for _ in range(3):
            handler.report([instance("metric", "requests", value=2, dimensions={"code": 200})])
        handler.report(
            [instance("metric", "took", value=datetime.timedelta(seconds=0.5)), instance("metric", "load", value=7)]
        )
        await until(lambda: far.metric("mesh.requests"))
        handler.report([instance("metric", "requests", value=1, dimensions={"code": 200})])
        await handler.close()
        requests = far.metric("mesh.requests")
        (point,) = requests.sum.data_points
        assert (point.as_double, requests.sum.is_monotonic, requests.unit) == (7.0, True, "{request}")
        assert _attributes(point) == {"code": "200"}
        (point,) = far.metric("took").histogram.data_points
        assert (point.count, point.sum, list(point.bucket_counts)) == (1, 0.5, [0, 1, 0])
        assert far.metric("load").gauge.data_points[0].as_double == 7


@both
async def test_what_a_collector_did_not_take_is_sent_again(protocol: str) -> None:
    async with collector(protocol, refuses=1) as far:
        handler = _opened(far)
        handler.report([instance("logentry", "accesslog")])
        await until(lambda: far.records)
        await handler.close()
        assert len(far.records) == 1


async def test_dimensions_that_clients_choose_make_a_bounded_number_of_points() -> None:
    info = series.MetricInfo(kind=series.Kind.COUNTER)
    counted = series.Series("requests", info, NOON)
    for number in range(series.MOST_POINTS + 500):
        counted.record(1, {"path": f"/{number}"})
    points = counted.metric(NOON).sum.data_points
    assert len(points) == series.MOST_POINTS + 1
    assert (points[-1].as_double, _attributes(points[-1])) == (500.0, {"otel.metric.overflow": "true"})


async def test_a_client_span_has_an_id_of_its_own_if_wanted() -> None:
    async with collector("http") as far:
        handler = _opened(far)
        handler.report([instance("tracespan", "s", **{**SPAN, "clientSpan": True, "rewriteClientSpanId": True})])
        await handler.close()
        assert far.spans[0].kind == 3
        assert far.spans[0].span_id.hex() != SPAN["spanId"]
