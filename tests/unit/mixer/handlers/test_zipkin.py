"""Spans as Zipkin's API receives them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.mixer.handlers.far_ends import http_peer
from tests.unit.mixer.handlers.opened import instance, opened_now
from tests.unit.mixer.handlers.test_opentelemetry import NANOSECONDS, SPAN

PATH = "/api/v2/spans"


async def _told(*instances: Any, status: int = 202, **params: Any) -> list[Any]:
    async with http_peer(status) as far:
        handler = opened_now("zipkin", {"url": far.url + PATH, **params})
        handler.report(instances)
        await handler.close()
        assert set(far.paths) <= {PATH}
        return [span for body in far.bodies for span in json.loads(body)]


async def test_a_span_has_zipkins_fields() -> None:
    span = {**SPAN, "destinationName": "Books", "destinationIp": b"\x0a\0\0\x02"}
    assert await _told(instance("tracespan", "span", **span)) == [
        {
            "traceId": SPAN["traceId"],
            "id": SPAN["spanId"],
            "parentId": SPAN["parentSpanId"],
            "name": "/books",
            "kind": "SERVER",
            "timestamp": NANOSECONDS // 1000,
            "duration": 20_000,
            "localEndpoint": {"serviceName": "books", "ipv4": "10.0.0.2"},
            "remoteEndpoint": {"serviceName": "web"},
            "tags": {"user": "ada", "retries": "2", "http.status_code": "503", "error": "503"},
        }
    ]


@pytest.mark.parametrize("wrong", [{}, {"traceId": "zz", "spanId": "1"}, {"traceId": "0", "spanId": "1"}])
async def test_a_request_without_a_trace_is_left_out(wrong: dict[str, str]) -> None:
    assert await _told(instance("tracespan", "span", **wrong)) == []


async def test_a_trace_is_sampled_whole() -> None:
    spans = [
        instance("tracespan", "span", **{**SPAN, "traceId": f"{number * 0x9E3779B97F4A7C15 % 2**64:016x}"})
        for number in range(1, 201)
        for _ in "ab"
    ]
    told = [each["traceId"] for each in await _told(*spans, sampleProbability=0.5)]
    assert 120 < len(told) < 280
    assert all(told.count(each) == 2 for each in told)


async def test_what_zipkin_refuses_is_not_sent_again() -> None:
    assert len(await _told(instance("tracespan", "span", **SPAN), status=400)) == 1
