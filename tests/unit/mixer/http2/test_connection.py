"""HTTP/2 without sockets: calls as h2's client sees them, and what a hostile peer gets."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import h2.errors
import h2.events
import h2.settings
import pytest

from mixer.http2 import frames, headers
from mixer.http2.connection import Connection
from mixer.http2.events import Cancelled, Ended, Message, Started
from mixer.http2.limits import Limits
from tests.unit.mixer.http2.client import CALL, Pair, framed

E = TypeVar("E", bound=h2.events.Event)


def heard(kind: type[E], events: list[h2.events.Event]) -> list[E]:
    return [event for event in events if isinstance(event, kind)]


Ending = h2.events.TrailersReceived | h2.events.ResponseReceived


def fields(event: Ending) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in event.headers or []}


def status(events: list[h2.events.Event]) -> tuple[str, str]:
    trailers = [event for event in events if isinstance(event, Ending)]
    told = fields(trailers[-1])
    return told["grpc-status"], told.get("grpc-message", "")


def test_a_call_and_its_answer() -> None:
    pair = Pair()
    number = pair.call(b"ask")
    told, _ = pair.exchange()
    assert isinstance(told[0], Started)
    assert (told[0].headers.path, told[0].headers.metadata["host"]) == ("/a.B/C", "mixer")
    assert told[1:] == [Message(number, b"ask", last=True)]
    pair.server.answer(number, b"told")
    pair.server.finish(number)
    _, events = pair.exchange()
    assert [event.data for event in heard(h2.events.DataReceived, events)] == [framed(b"told")]
    assert status(events) == ("0", "")
    assert pair.server.calls == 0


def test_an_error_is_trailers_alone_with_its_message_escaped() -> None:
    pair = Pair()
    number = pair.call()
    pair.exchange()
    pair.server.finish(number, 3, "100% naïve\n")
    assert status(pair.exchange()[1]) == ("3", "100%25 na%C3%AFve%0A")


def test_messages_come_whole_however_they_are_cut() -> None:
    pair = Pair()
    number = pair.call(None, end=False)
    data = framed(b"one") + framed(b"") + framed(b"three")
    for byte in data:
        pair.client.send_data(number, bytes((byte,)))
    pair.client.end_stream(number)
    told, _ = pair.exchange()
    bodies = [event.body for event in told if isinstance(event, Message)]
    assert bodies == [b"one", b"", b"three"]
    assert told[-1] == Ended(number)


def test_what_is_served_is_grpc() -> None:
    pair = Pair()
    pair.client.send_headers(1, [(":method", "GET"), *CALL[1:4]], end_stream=True)
    told, events = pair.exchange()
    assert told == []
    (response,) = heard(h2.events.ResponseReceived, events)
    assert fields(response)[":status"] == "415"


def test_an_answer_waits_for_the_window() -> None:
    pair = Pair()
    pair.client.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 4})
    pair.exchange()
    number = pair.call()
    pair.exchange()
    pair.server.answer(number, b"0123456789")
    pair.server.finish(number)
    got = b""
    for _ in range(10):
        events = pair.exchange()[1]
        for event in heard(h2.events.DataReceived, events):
            got += event.data or b""
            pair.client.acknowledge_received_data(event.flow_controlled_length or 0, number)
        if heard(h2.events.StreamEnded, events):
            break
        pair.client.increment_flow_control_window(4, number)
    assert got == framed(b"0123456789")
    assert status(events) == ("0", "")


def test_equal_headers_are_read_once() -> None:
    pair = Pair()
    pair.exchange()
    read = []
    for _ in range(3):
        pair.call()
        read += [event.headers for event in pair.exchange()[0] if isinstance(event, Started)]
    assert read[1] is read[2]


def test_a_cancelled_call_is_told_and_gets_nothing() -> None:
    pair = Pair()
    number = pair.call()
    pair.exchange()
    pair.client.reset_stream(number, h2.errors.ErrorCodes.CANCEL)
    assert pair.exchange()[0] == [Cancelled(number)]
    pair.server.answer(number, b"late")
    pair.server.finish(number)
    assert pair.server.take() == b""


def test_draining_ends_what_has_begun_and_takes_nothing_new() -> None:
    server = greeted()
    server.receive(frames.frame(frames.HEADERS, 0x5, 1, block()), 0.0)
    server.drain()
    assert server.take() == frames.goaway(1, frames.NO_ERROR)
    assert server.receive(frames.frame(frames.HEADERS, 0x5, 3, block()), 0.0) == []
    assert server.take() == frames.rst_stream(3, frames.REFUSED_STREAM)
    assert server.calls == 1
    server.finish(1)
    assert server.take()
    assert (server.calls, server.closed) == (0, False)


TROUBLE: dict[str, tuple[bytes, int, bool, str]] = {
    "a compressed message": (framed(b"x", compressed=True), 12, True, "compressed"),
    "a message beyond the limit": (b"\0\x7f\xff\xff\xff", 8, False, "at most"),
    "an end in the middle": (framed(b"whole") + b"\0\0\0\0\x09cut", 13, True, "middle"),
}


@pytest.mark.parametrize("name", TROUBLE)
def test_a_call_that_cannot_be_read_ends_with_its_status(name: str) -> None:
    data, code, end, told = TROUBLE[name]
    pair = Pair()
    number = pair.call(None, end=False)
    pair.client.send_data(number, data, end_stream=end)
    ours, events = pair.exchange()
    assert Cancelled(number) in ours
    assert status(events)[0] == str(code)
    assert told in status(events)[1]
    assert not pair.server.closed


def test_streams_beyond_the_limit_are_refused() -> None:
    pair = Pair(Limits(streams=2))
    for _ in range(2):
        pair.call()
    refused = pair.call()
    _, events = pair.exchange()
    assert [event.stream_id for event in heard(h2.events.StreamReset, events)] == [refused]


MALFORMED = {
    "a pseudo-header that there is not": [*CALL, (":extra", "1")],
    "a pseudo-header after others": [*CALL[:1], ("a", "b"), *CALL[1:]],
    "upper case": [*CALL, ("Upper", "1")],
    "connection": [*CALL, ("connection", "close")],
    "no path": [field for field in CALL if field[0] != ":path"],
    "content-length that is none": [*CALL, ("content-length", "-1")],
    "a timeout that is none": [*CALL, ("grpc-timeout", "1 second")],
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_requests_end_their_stream_alone(name: str) -> None:
    server = greeted()
    block = b"".join(headers.literal(*field) for field in MALFORMED[name])
    assert server.receive(frames.frame(frames.HEADERS, 0x5, 1, block), 0.0) == []
    assert server.take() == frames.rst_stream(1, frames.PROTOCOL_ERROR)
    assert not server.closed


def greeted(limits: Limits | None = None) -> Connection:
    server = Connection(limits or Limits(), 0.0)
    server.receive(frames.PREFACE + frames.settings({}), 0.0)
    server.take()
    return server


def block(*extra: tuple[str, str]) -> bytes:
    return b"".join(headers.literal(*field) for field in [*CALL, *extra])


def rapid_reset(number: int) -> bytes:
    return frames.frame(frames.HEADERS, 0x4, 2 * number + 1, block()) + frames.rst_stream(2 * number + 1, 8)


FLOODS: dict[str, Callable[[int], bytes]] = {
    "rapid reset": rapid_reset,
    "pings": lambda _: frames.frame(frames.PING, 0, 0, b"12345678"),
    "settings": lambda _: frames.settings({frames.SETTINGS_MAX_FRAME_SIZE: 16_384}),
    "priorities": lambda _: frames.frame(frames.PRIORITY, 0, 3, b"\0\0\0\0\0"),
    "windows": lambda _: frames.window_update(0, 1),
    "unknown frames": lambda _: frames.frame(77, 0, 0),
}


@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_ends_the_connection(name: str) -> None:
    server = greeted(Limits(burst=100, nuisance=10))
    sent = 0
    while not server.closed and sent < 1000:
        server.receive(FLOODS[name](sent), sent / 1000)
        sent += 1
    assert sent < 200
    assert "too many" in server.why
    assert server.take().endswith(frames.ENHANCE_YOUR_CALM.to_bytes(4, "big") + server.why.encode())


@pytest.mark.parametrize("name", FLOODS)
def test_the_same_frames_at_leisure_are_welcome(name: str) -> None:
    server = greeted(Limits(burst=10, nuisance=10))
    for number in range(50):
        server.receive(FLOODS[name](number), number)
    assert not server.closed


BROKEN: dict[str, tuple[bytes, int]] = {
    "a frame too large": (b"\x01\x00\x00\x00\x00\x00\x00\x00\x01", frames.FRAME_SIZE_ERROR),
    "headers without end": (
        frames.frame(frames.HEADERS, 0, 1, block())
        + frames.frame(frames.CONTINUATION, 0, 1, b"\0" * 16_000)
        + frames.frame(frames.CONTINUATION, 0, 1, b"\0" * 16_000),
        frames.ENHANCE_YOUR_CALM,
    ),
    "a frame within headers": (
        frames.frame(frames.HEADERS, 0, 1, block()) + frames.frame(frames.PING, 0, 0, b"12345678"),
        frames.PROTOCOL_ERROR,
    ),
    "a continuation of nothing": (frames.frame(frames.CONTINUATION, 0x4, 1), frames.PROTOCOL_ERROR),
    "headers on an even stream": (frames.frame(frames.HEADERS, 0x5, 2, block()), frames.PROTOCOL_ERROR),
    "data on an idle stream": (frames.frame(frames.DATA, 0, 1, b"x"), frames.PROTOCOL_ERROR),
    "a block that is no HPACK": (
        frames.frame(frames.HEADERS, 0x5, 1, b"\xff\xff\xff\xff\xff"),
        frames.COMPRESSION_ERROR,
    ),
    "more padding than frame": (
        frames.frame(frames.HEADERS, 0x4, 1, block()) + frames.frame(frames.DATA, 0x8, 1, b"\x05abc"),
        frames.PROTOCOL_ERROR,
    ),
    "a pushed promise": (frames.frame(frames.PUSH_PROMISE, 0, 1, b"\0\0\0\2"), frames.PROTOCOL_ERROR),
    "a window beyond the limit": (frames.window_update(0, 2**31 - 1), frames.FLOW_CONTROL_ERROR),
    "half a ping": (frames.frame(frames.PING, 0, 0, b"1234"), frames.FRAME_SIZE_ERROR),
    "settings that are cut": (frames.frame(frames.SETTINGS, 0, 0, b"123"), frames.FRAME_SIZE_ERROR),
    "a header list beyond the limit": (
        frames.frame(frames.HEADERS, 0, 1, block())
        + frames.frame(frames.CONTINUATION, 0x4, 1, headers.literal("a", "b") * 600),
        frames.COMPRESSION_ERROR,
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_connection_is_told_why_and_ended(name: str) -> None:
    data, code = BROKEN[name]
    server = greeted()
    server.receive(data, 0.0)
    assert server.closed
    assert code.to_bytes(4, "big") + server.why.encode() in server.take()
    assert server.receive(frames.frame(frames.PING, 0, 0, b"12345678"), 1.0) == []


def test_what_is_no_http2_is_told_so_at_once() -> None:
    server = Connection(Limits(), 0.0)
    server.receive(b"GET / HTTP/1.1\r\n", 0.0)
    assert server.closed


def test_a_reader_who_does_not_read_is_dropped() -> None:
    pair = Pair(Limits(unsent=100_000))
    pair.client.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 0})
    pair.exchange()
    number = pair.call(end=False)
    pair.exchange()
    for _ in range(101):
        pair.server.answer(number, b"x" * 1000)
    assert pair.server.closed
