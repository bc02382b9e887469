"""Log entries as a forward input receives them."""

from __future__ import annotations

import datetime
from typing import Any

import msgpack
import pytest

from tests.unit.mixer.handlers.far_ends import Forward, fluentd, until
from tests.unit.mixer.handlers.opened import instance, opened_now

NOON = datetime.datetime(2019, 4, 1, 12, 0, 0, 250_000, tzinfo=datetime.UTC)


def _opened(far: Forward, **params: Any) -> Any:
    return opened_now("fluentd", {"address": f"127.0.0.1:{far.port}", "pushIntervalDuration": "0.02s", **params})


async def test_an_entry_has_tag_time_severity_and_variables() -> None:
    async with fluentd() as far:
        handler = _opened(far)
        variables = {"code": 200, "took": datetime.timedelta(milliseconds=5), "ip": b"\x0a\0\0\x01", "user": "ada"}
        handler.report([instance("logentry", "newlog", timestamp=NOON, severity="info", variables=variables)])
        await until(lambda: far.entries)
        await handler.close()
        tag, time, record = far.entries[0]
        assert tag == "newlog"
        assert time == msgpack.ExtType(0, int(NOON.timestamp()).to_bytes(4, "big") + (250_000_000).to_bytes(4, "big"))
        assert record == {"code": 200, "took": "0.005s", "ip": "10.0.0.1", "user": "ada", "severity": "info"}


async def test_entries_go_together_and_durations_as_milliseconds_if_wanted() -> None:
    async with fluentd() as far:
        handler = _opened(far, integerDuration=True)
        took = {"took": datetime.timedelta(milliseconds=5)}
        handler.report([instance("logentry", "a", variables=took), instance("logentry", "b")] * 50)
        await handler.close()
        await until(lambda: len(far.entries) == 100)
        assert [(tag, len(entries)) for tag, entries, _ in far.messages] == [("a", 50), ("b", 50)]
        assert far.entries[0][2]["took"] == 5


async def test_a_batch_of_many_bytes_is_divided() -> None:
    async with fluentd() as far:
        handler = _opened(far, maxBatchSizeBytes=1000)
        handler.report([instance("logentry", "a", variables={"text": "x" * 300})] * 10)
        await handler.close()
        await until(lambda: len(far.entries) == 10)
        assert [len(entries) for _, entries, _ in far.messages] == [3, 3, 3, 1]


@pytest.mark.parametrize("ack", [False, True])
async def test_what_a_broken_connection_lost_is_sent_again(ack: bool) -> None:
    async with fluentd(hangs_up=1) as far:
        handler = _opened(far, requireAck=ack)
        handler.report([instance("logentry", "a")])
        await until(lambda: not far.hangs_up)
        handler.report([instance("logentry", "b")])
        await until(lambda: {tag for tag, _, _ in far.entries} >= ({"a", "b"} if ack else {"b"}))
        await handler.close()


async def test_without_a_server_reports_are_not_held_up_and_the_buffer_is_bounded() -> None:
    handler = opened_now("fluentd", {"address": "127.0.0.1:1", "instanceBufferSize": 10})
    for _ in range(1000):
        handler.report([instance("logentry", "a")])
    await handler.close()
