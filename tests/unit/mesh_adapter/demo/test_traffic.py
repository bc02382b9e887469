"""The client's pipe, read."""

from __future__ import annotations

import asyncio
import json

from mesh_adapter.demo.traffic import Traffic


def lines(*moments: float) -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    for sent in moments:
        said = {"sent": sent, "host": "web.demo", "ms": 1.0, "status": 200, "answer": "{}", "error": ""}
        reader.feed_data(json.dumps(said).encode() + b"\n")
    reader.feed_data(b'{"half')
    reader.feed_eof()
    return reader


async def test_only_what_was_sent_since_counts() -> None:
    traffic = Traffic(rate=100)
    await traffic.read(lines(1.0, 2.0, 3.0))
    assert [each.sent for each in traffic.since(2.0)] == [2.0, 3.0]
    assert len(await traffic.collect(2, 2.0)) == 2


async def test_no_more_is_kept_than_some_seconds_worth() -> None:
    traffic = Traffic(rate=1)
    await traffic.read(lines(*map(float, range(500))))
    assert len(traffic.since(0.0)) == 90
