"""statsd lines as a UDP socket receives them."""

from __future__ import annotations

import datetime
from typing import Any

from tests.unit.mixer.handlers.far_ends import Datagrams, statsd, until
from tests.unit.mixer.handlers.opened import instance, opened_now


def _opened(far: Datagrams, **params: Any) -> Any:
    metrics = {
        "requests.metric.default": {"type": "COUNTER"},
        "took": {"type": "DISTRIBUTION", "nameTemplate": "{{.service}}.took"},
        "load": {"type": "GAUGE"},
    }
    return opened_now("statsd", {"address": f"127.0.0.1:{far.port}", "metrics": metrics, **params})


async def test_each_kind_of_metric_has_its_line() -> None:
    async with statsd() as far:
        handler = _opened(far, prefix="mesh")
        handler.report(
            [
                instance("metric", "requests", value=1),
                instance("metric", "took", value=datetime.timedelta(seconds=1.5), dimensions={"service": "web"}),
                instance("metric", "load", value=0.25),
                instance("metric", "unknown", value=9),
            ]
        )
        await handler.close()
        await until(lambda: len(far.lines) == 3)
        assert far.lines == ["mesh.requests:1|c", "mesh.web.took:1500|ms", "mesh.load:0.25|g"]


async def test_a_clients_text_adds_no_metric_of_its_own() -> None:
    async with statsd() as far:
        handler = _opened(far)
        handler.report([instance("metric", "took", value=1, dimensions={"service": "a:1|c\nstolen"})])
        await handler.close()
        await until(lambda: far.lines)
        assert far.lines == ["a_1_c_stolen.took:1|ms"]


async def test_datagrams_hold_no_more_than_flush_bytes() -> None:
    async with statsd() as far:
        handler = _opened(far, flushBytes=30)
        handler.report([instance("metric", "requests", value=1)] * 5)
        await handler.close()
        await until(lambda: len(far.lines) == 5)
        assert [len(each) for each in far.received] == [25, 25, 12]


async def test_of_a_sample_the_rate_is_told() -> None:
    async with statsd() as far:
        handler = _opened(far, samplingRate=0.5)
        handler.report([instance("metric", "requests", value=1)] * 1000)
        await handler.close()
        await until(lambda: len(far.lines) > 300)
        assert set(far.lines) == {"requests:1|c|@0.5"}
        assert len(far.lines) < 700
