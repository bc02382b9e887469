"""What of a connection needs no network: the log of refusals."""

from __future__ import annotations

import logging

import pytest

from pilot.xds.access import StreamError
from pilot.xds.connection import DELTA, SOTW, Rejections, decode
from pilot.xds.protocol import Nacked, Node
from pilot.xds.resource import CDS, LDS
from tests.unit.pilot.xds.conversation import cluster


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records]


def test_a_refusal_is_news_once_per_proxy_type_and_error(caplog: pytest.LogCaptureFixture) -> None:
    rejections = Rejections()
    bad = Nacked(CDS, "7", "a is bad", (cluster("a", 1, "DestinationRule default/a"),))
    for proxy in ("one", "one", "two"):
        rejections.report(Node(proxy), bad)
    rejections.report(Node("one"), Nacked(LDS, "7", "a is bad", ()))
    rejections.report(Node("one"), Nacked(CDS, "8", "b is bad", ()))
    assert len(messages(caplog)) == 4
    assert messages(caplog)[0] == (
        "proxy one rejected CDS 7: a is bad; caused by a (DestinationRule default/a); "
        "it goes on with what it accepted before"
    )
    assert caplog.records[0].__dict__["objects"] == ("a (DestinationRule default/a)",)
    assert "an object the error does not name" in messages(caplog)[3]


def test_only_so_many_refusals_are_remembered(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    rejections = Rejections(limit=2)
    for error in ("first", "second", "third", "first"):
        rejections.report(Node("one"), Nacked(CDS, "1", error, ()))
    assert len(messages(caplog)) == 4


def test_bytes_that_are_no_request_are_refused_with_the_variant_expected() -> None:
    with pytest.raises(StreamError, match="sotw"):
        decode(SOTW, b"\xff\xff")
    with pytest.raises(StreamError, match="delta"):
        decode(DELTA, b"\xff\xff")
