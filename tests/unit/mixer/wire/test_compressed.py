"""Bags through CompressedAttributes: what comes back, and what hostile messages get (security case 22)."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import pytest

from mixer.attributes import Bag
from mixer.wire import dictionary, messages
from mixer.wire.compressed import (
    MAX_ATTRIBUTES,
    UnknownWordError,
    WireError,
    Words,
    compressed,
    decode,
    reported,
    reports,
)

NOON = datetime.datetime(2026, 11, 25, 12, 0, 0, 250, tzinfo=datetime.UTC)
BAG: Bag = {
    "source.namespace": "default",
    "my.own": "words",
    "request.size": 2**62,
    "rate": 0.5,
    "connection.mtls": True,
    "source.ip": b"\x0a\x00\x00\x01",
    "request.time": NOON,
    "response.duration": datetime.timedelta(milliseconds=-1500),
    "request.headers": {":path": "/a", "x-mine": "1"},
    "source.labels": {},
}


def received(message: Any) -> dict[str, Any]:
    """As the other side has it: through bytes."""
    copy = type(message).FromString(message.SerializeToString())
    return dict(decode(copy, Words(copy.words)))


def test_what_goes_in_comes_out() -> None:
    assert received(compressed(BAG)) == BAG


def test_dates_before_1970_keep_their_fraction() -> None:
    early = datetime.datetime(1969, 12, 31, 23, 59, 59, 750_000, tzinfo=datetime.UTC)
    assert received(compressed({"request.time": early})) == {"request.time": early}


def test_global_words_go_by_index_and_others_by_the_own_list() -> None:
    message = compressed({"source.namespace": "default"})
    assert list(message.words) == ["default"]
    assert dict(message.strings) == {dictionary.INDEX["source.namespace"]: -1}


def test_a_caller_with_a_shorter_dictionary_gets_no_word_beyond_it() -> None:
    message = compressed({"destination.service.host": "web"}, shared=10)
    assert list(message.words) == ["destination.service.host", "web"]


def test_the_dictionary_stands_at_its_known_places() -> None:
    assert dictionary.GLOBAL[0] == "source.ip"
    assert dictionary.GLOBAL[94] == "'200'"
    assert dictionary.GLOBAL[115] == "gzip, deflate"
    assert dictionary.GLOBAL[220:] == ("outbound", "context.proxy_version")
    assert len(set(dictionary.GLOBAL)) == len(dictionary.GLOBAL)


HOSTILE: dict[str, tuple[Callable[[Any], Any], str]] = {
    "a global index beyond the end": (lambda message: message.strings.update({9999: 0}), "word 9999"),
    "an own index beyond the end": (lambda message: message.strings.update({-3: 0}), "word -3"),
    "a value beyond the end": (lambda message: message.strings.update({0: -9}), "word -9"),
    "one attribute by two indexes": (
        lambda message: (message.words.append("source.ip"), message.strings.update({0: 1, -1: 2})),
        "source.ip stands there twice",
    ),
    "one attribute with two types": (
        lambda message: (message.strings.update({0: 1}), message.int64s.update({0: 1})),
        "source.ip stands there twice",
    ),
    "a key of a map twice": (
        lambda message: (message.words.append("host"), message.string_maps[25].entries.update({-1: 1, 65: 2})),
        "stands there twice",
    ),
    "too many words": (lambda message: message.words.extend(["w"] * (MAX_ATTRIBUTES + 1)), "at most"),
    "too many entries": (
        lambda message: message.string_maps[25].entries.update(dict.fromkeys(range(MAX_ATTRIBUTES + 1), 0)),
        "at most",
    ),
    "a time that is no time": (lambda message: setattr(message.timestamps[24], "seconds", 2**60), "request.time"),
    "a duration without end": (lambda message: setattr(message.durations[29], "seconds", 2**60), "response.duration"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_message_that_breaks_the_protocol_is_an_error(name: str) -> None:
    spoil, told = HOSTILE[name]
    message = messages.CompressedAttributes()
    spoil(message)
    with pytest.raises(WireError, match=told):
        received(message)


def test_words_of_a_newer_dictionary_are_told_apart() -> None:
    with pytest.raises(UnknownWordError):
        Words((), shared=10).at(10)


def test_reports_travel_as_differences() -> None:
    bags: list[Bag] = [{"request.size": 1, "request.host": "a"}, {"request.size": 2, "request.host": "a"}]
    request = reports(bags)
    assert reported(request) == bags
    assert [len(message.strings) for message in request.attributes] == [1, 0]


def test_reports_that_lose_an_attribute_travel_whole() -> None:
    bags: list[Bag] = [{"request.size": 1, "request.host": "a"}, {"request.size": 2}]
    request = reports(bags)
    assert reported(request) == bags
    assert request.repeated_attributes_semantics == 1


def test_a_report_may_bring_words_of_its_own_for_each_entry() -> None:
    request = messages.ReportRequest(default_words=["unused"], repeated_attributes_semantics="INDEPENDENT_ENCODING")
    request.attributes.append(compressed({"my.own": "words"}))
    assert reported(request) == [{"my.own": "words"}]
