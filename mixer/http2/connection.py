"""HTTP/2 as a gRPC server speaks it, without I/O and without a clock (RFC 9113; gRPC over HTTP2).

Bytes go in with `receive`, which returns what happened; `answer` and `finish` say what the calls get; `take` gives the
bytes to send. An error of the connection puts a GOAWAY there and closes it, an error of one call ends that call.
Every count of the peer is bounded by `Limits`. Owned by `server`, one per socket; not for two threads.
"""

from __future__ import annotations

import collections
from collections.abc import Callable

from mixer.http2 import frames, headers
from mixer.http2.events import Cancelled, Event, Started
from mixer.http2.limits import Limits, Nuisance
from mixer.http2.stream import CallError, Stream

_CONNECTION_WINDOW = 16 << 20
_REMEMBERED = 1024
"""Streams that we ended first: the peer may not know yet, so what it still sends of them is no fault."""


class _BrokenError(Exception):
    """The connection cannot go on."""

    def __init__(self, code: int, why: str) -> None:
        super().__init__(why)
        self.code = code
        self.why = why


class Connection:
    """The server's side of one connection."""

    def __init__(self, limits: Limits, now: float) -> None:
        """`now` in seconds of a clock that never jumps, here and in `receive`."""
        self.closed = False
        """Nothing is read any more; send what `take` has left and hang up."""
        self.draining = False
        self.why = ""
        """What closed it, for the log."""
        self._limits = limits
        self._nuisance = Nuisance(limits, now)
        self._reader = headers.HeaderReader()
        self._streams: dict[int, Stream] = {}
        self._ended_first: collections.OrderedDict[int, None] = collections.OrderedDict()
        self._last = 0
        self._buffer = b""
        self._greeted = False
        self._block: tuple[int, int, bytearray] | None = None
        self._window = frames.DEFAULT_WINDOW
        self._initial_window = frames.DEFAULT_WINDOW
        self._max_frame = frames.MAX_FRAME_SIZE
        self._receive_window = _CONNECTION_WINDOW
        self._stream_window = min(limits.message + 65_536, frames.MAX_WINDOW)
        self._unsent = 0
        self._events: list[Event] = []
        self._out = [
            frames.settings(
                {
                    frames.SETTINGS_HEADER_TABLE_SIZE: 0,
                    frames.SETTINGS_MAX_CONCURRENT_STREAMS: limits.streams,
                    frames.SETTINGS_INITIAL_WINDOW_SIZE: self._stream_window,
                    frames.SETTINGS_MAX_HEADER_LIST_SIZE: headers.MAX_LIST,
                }
            ),
            frames.window_update(0, _CONNECTION_WINDOW - frames.DEFAULT_WINDOW),
        ]
        self._readers: tuple[Callable[[int, int, bytes], None], ...] = (
            self._data,
            self._headers,
            self._priority,
            self._rst_stream,
            self._settings,
            self._push_promise,
            self._ping,
            self._goaway,
            self._window_update,
            self._continuation,
        )
        self._now = now

    @property
    def calls(self) -> int:
        """Calls that have no answer yet."""
        return len(self._streams)

    def take(self) -> bytes:
        """The bytes to send since the last call."""
        out = b"".join(self._out)
        self._out.clear()
        return out

    def receive(self, data: bytes, now: float) -> list[Event]:
        """What happened by these bytes. After an error of the connection `closed` holds."""
        self._now = now
        self._events = []
        try:
            if not self.closed:
                self._buffer = self._read(self._buffer + data if self._buffer else data)
        except _BrokenError as broken:
            self._break(broken.code, broken.why)
        return self._events

    def drain(self) -> None:
        """Takes no further calls; those that have begun are answered."""
        if not self.closed and not self.draining:
            self.draining = True
            self._out.append(frames.goaway(self._last, frames.NO_ERROR))

    def answer(self, number: int, body: bytes) -> None:
        """One message of the answer; nothing happens if the caller is gone."""
        stream = self._streams.get(number)
        if stream is None or stream.closing:
            return
        if not stream.answered:
            stream.answered = True
            self._out.append(frames.frame(frames.HEADERS, frames.END_HEADERS, number, headers.RESPONSE))
        self._send(stream, b"\x00" + len(body).to_bytes(4, "big") + body)

    def finish(self, number: int, status: int = 0, message: str = "") -> None:
        """How the call ended, in numbers of google.rpc.Code; nothing happens if the caller is gone."""
        stream = self._streams.get(number)
        if stream is None or stream.closing:
            return
        stream.closing = (status, message)
        self._nuisance.useful()
        if not stream.waiting:
            self._close(stream)

    # What comes in.

    def _read(self, data: bytes) -> bytes:
        at, end = 0, len(data)
        if not self._greeted:
            at = self._greet(data)
        while self._greeted and end - at >= frames.HEADER_SIZE:
            size = data[at] << 16 | data[at + 1] << 8 | data[at + 2]
            if size > frames.MAX_FRAME_SIZE:
                raise _BrokenError(frames.FRAME_SIZE_ERROR, f"a frame of {size} bytes")
            after = at + frames.HEADER_SIZE + size
            if after > end:
                break
            self._frame(data, at, after)
            at = after
        return data[at:]

    def _greet(self, data: bytes) -> int:
        size = len(frames.PREFACE)
        if data[:size] != frames.PREFACE[: len(data)]:
            raise _BrokenError(frames.PROTOCOL_ERROR, "no HTTP/2: the connection preface is missing")
        self._greeted = len(data) >= size
        return size if self._greeted else 0

    def _frame(self, data: bytes, at: int, after: int) -> None:
        kind, flags = data[at + 3], data[at + 4]
        number = int.from_bytes(data[at + 5 : at + 9], "big") & 0x7FFF_FFFF
        if self._block and kind != frames.CONTINUATION:
            raise _BrokenError(frames.PROTOCOL_ERROR, "a frame between HEADERS and CONTINUATION")
        if kind < len(self._readers):
            self._readers[kind](number, flags, data[at + 9 : after])
        else:
            self._spend("frames of unknown kinds")

    def _headers(self, number: int, flags: int, payload: bytes) -> None:
        if number % 2 == 0:
            raise _BrokenError(frames.PROTOCOL_ERROR, f"HEADERS on stream {number}")
        payload = _unpadded(flags, payload)
        if flags & frames.HAS_PRIORITY:
            if len(payload) < 5:
                raise _BrokenError(frames.FRAME_SIZE_ERROR, "HEADERS with half a priority")
            if frames.word(payload) == number:
                raise _BrokenError(frames.PROTOCOL_ERROR, "a stream that depends on itself")
            payload = payload[5:]
        if flags & frames.END_HEADERS:
            self._whole_block(number, flags, payload)
        else:
            self._block = (number, flags, bytearray(payload))

    def _continuation(self, number: int, flags: int, payload: bytes) -> None:
        if self._block is None or self._block[0] != number:
            raise _BrokenError(frames.PROTOCOL_ERROR, "CONTINUATION that continues nothing")
        if not payload:
            self._spend("CONTINUATION without content")
        _, first_flags, block = self._block
        block += payload
        if len(block) > headers.MAX_LIST:
            raise _BrokenError(frames.ENHANCE_YOUR_CALM, f"a header block of more than {headers.MAX_LIST} bytes")
        if flags & frames.END_HEADERS:
            self._block = None
            self._whole_block(number, first_flags, bytes(block))

    def _whole_block(self, number: int, flags: int, block: bytes) -> None:
        try:
            if number > self._last:
                self._begin(number, flags, block)
            else:
                self._trailers(number, flags, block)
        except headers.CompressionError as error:
            raise _BrokenError(frames.COMPRESSION_ERROR, str(error)) from error

    def _trailers(self, number: int, flags: int, block: bytes) -> None:
        stream = self._streams.get(number)
        if stream is None or stream.ended:
            self._reader.skip(block)
            if number not in self._ended_first:
                raise _BrokenError(frames.STREAM_CLOSED, f"HEADERS on stream {number}, which has ended")
            return
        try:
            self._reader.trailers(block)
        except headers.MalformedError:
            self._reset(number, frames.PROTOCOL_ERROR)
            return
        if flags & frames.END_STREAM:
            self._received(stream, b"", ended=True)
        else:
            self._reset(number, frames.PROTOCOL_ERROR)

    def _begin(self, number: int, flags: int, block: bytes) -> None:
        self._last = number
        if self.draining or len(self._streams) >= self._limits.streams:
            self._reader.skip(block)
            self._refuse(number, frames.REFUSED_STREAM, "calls beyond the limit")
            return
        try:
            read = self._reader.read(block)
        except headers.MalformedError:
            self._refuse(number, frames.PROTOCOL_ERROR, "malformed requests")
            return
        stream = Stream(number, self._initial_window, read.content_length, read.is_grpc)
        self._streams[number] = stream
        if read.is_grpc:
            self._events.append(Started(number, read))
        if flags & frames.END_STREAM:
            self._received(stream, b"", ended=True)

    def _refuse(self, number: int, code: int, what: str) -> None:
        self._spend(what)
        self._remember(number)
        self._out.append(frames.rst_stream(number, code))

    def _not_grpc(self, stream: Stream) -> None:
        self._out.append(frames.frame(frames.HEADERS, frames.END_HEADERS, stream.number, headers.NOT_GRPC))
        stream.closing = (0, "")
        self._send(stream, headers.NOT_GRPC_BODY)
        if not stream.waiting:
            self._close(stream)

    def _data(self, number: int, flags: int, payload: bytes) -> None:
        self._acknowledge(len(payload))
        stream = self._streams.get(number)
        if stream is None or stream.ended:
            self._hold_open(number, "DATA")
            return
        if not payload and not flags & frames.END_STREAM:
            self._spend("DATA without content")
        stream.unacknowledged += len(payload)
        if stream.unacknowledged > self._stream_window:
            raise _BrokenError(frames.FLOW_CONTROL_ERROR, f"more than the window of stream {number}")
        self._received(stream, _unpadded(flags, payload), ended=bool(flags & frames.END_STREAM))

    def _received(self, stream: Stream, data: bytes, ended: bool) -> None:
        stream.received += len(data)
        stream.ended = ended
        announced = stream.content_length
        if announced is not None and (stream.received > announced or (ended and stream.received != announced)):
            self._reset(stream.number, frames.PROTOCOL_ERROR)
            return
        if not stream.is_grpc:
            if ended:
                self._not_grpc(stream)
            return
        try:
            self._events.extend(stream.take(data, self._limits.message))
        except CallError as error:
            self._events.append(Cancelled(stream.number))
            self.finish(stream.number, error.status, error.message)
            return
        if not ended and stream.unacknowledged * 2 > self._stream_window:
            self._out.append(frames.window_update(stream.number, stream.unacknowledged))
            stream.unacknowledged = 0

    def _acknowledge(self, size: int) -> None:
        self._receive_window -= size
        if self._receive_window < 0:
            raise _BrokenError(frames.FLOW_CONTROL_ERROR, "more than the window of the connection")
        if self._receive_window * 2 < _CONNECTION_WINDOW:
            self._out.append(frames.window_update(0, _CONNECTION_WINDOW - self._receive_window))
            self._receive_window = _CONNECTION_WINDOW

    def _priority(self, number: int, _flags: int, payload: bytes) -> None:
        if number == 0:
            raise _BrokenError(frames.PROTOCOL_ERROR, "PRIORITY on stream 0")
        if len(payload) != 5:
            raise _BrokenError(frames.FRAME_SIZE_ERROR, "PRIORITY that is not 5 bytes")
        if frames.word(payload) == number:
            raise _BrokenError(frames.PROTOCOL_ERROR, "a stream that depends on itself")
        self._spend("PRIORITY")

    def _rst_stream(self, number: int, _flags: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise _BrokenError(frames.FRAME_SIZE_ERROR, "RST_STREAM that is not 4 bytes")
        if number == 0 or number > self._last:
            raise _BrokenError(frames.PROTOCOL_ERROR, f"RST_STREAM on idle stream {number}")
        self._spend("RST_STREAM")
        stream = self._streams.get(number)
        if stream is not None:
            self._events.append(Cancelled(number))
            stream.ended = True
            self._forget(stream)

    def _settings(self, number: int, flags: int, payload: bytes) -> None:
        if number:
            raise _BrokenError(frames.PROTOCOL_ERROR, f"SETTINGS on stream {number}")
        if len(payload) % 6 or (flags & frames.ACK and payload):
            raise _BrokenError(frames.FRAME_SIZE_ERROR, f"SETTINGS of {len(payload)} bytes")
        if flags & frames.ACK:
            self._reader.table_forbidden()
            return
        self._spend("SETTINGS")
        self._out.append(frames.frame(frames.SETTINGS, frames.ACK, 0))
        for key, value in frames.read_settings(payload):
            self._set(key, value)

    def _set(self, key: int, value: int) -> None:
        if key == frames.SETTINGS_INITIAL_WINDOW_SIZE:
            if value > frames.MAX_WINDOW:
                raise _BrokenError(frames.FLOW_CONTROL_ERROR, f"an initial window of {value}")
            change, self._initial_window = value - self._initial_window, value
            for stream in list(self._streams.values()):
                self._widen(stream, change)
        elif key == frames.SETTINGS_MAX_FRAME_SIZE:
            if not frames.MAX_FRAME_SIZE <= value < 1 << 24:
                raise _BrokenError(frames.PROTOCOL_ERROR, f"SETTINGS_MAX_FRAME_SIZE of {value}")
            self._max_frame = value
        elif key == frames.SETTINGS_ENABLE_PUSH and value > 1:
            raise _BrokenError(frames.PROTOCOL_ERROR, f"SETTINGS_ENABLE_PUSH of {value}")

    def _push_promise(self, _number: int, _flags: int, _payload: bytes) -> None:
        raise _BrokenError(frames.PROTOCOL_ERROR, "PUSH_PROMISE from a client")

    def _ping(self, number: int, flags: int, payload: bytes) -> None:
        if number:
            raise _BrokenError(frames.PROTOCOL_ERROR, f"PING on stream {number}")
        if len(payload) != 8:
            raise _BrokenError(frames.FRAME_SIZE_ERROR, "PING that is not 8 bytes")
        if not flags & frames.ACK:
            self._spend("PING")
            self._out.append(frames.frame(frames.PING, frames.ACK, 0, payload))

    def _goaway(self, number: int, _flags: int, payload: bytes) -> None:
        if number:
            raise _BrokenError(frames.PROTOCOL_ERROR, f"GOAWAY on stream {number}")
        if len(payload) < 8:
            raise _BrokenError(frames.FRAME_SIZE_ERROR, "GOAWAY that is cut short")
        self.draining = True

    def _window_update(self, number: int, _flags: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise _BrokenError(frames.FRAME_SIZE_ERROR, "WINDOW_UPDATE that is not 4 bytes")
        self._spend("WINDOW_UPDATE")
        size = frames.word(payload)
        if number == 0:
            self._window += size
            if size == 0 or self._window > frames.MAX_WINDOW:
                raise _BrokenError(frames.FLOW_CONTROL_ERROR if size else frames.PROTOCOL_ERROR, "WINDOW_UPDATE")
            for blocked in [stream for stream in self._streams.values() if stream.waiting]:
                self._pump(blocked)
            return
        stream = self._streams.get(number)
        if stream is None:
            if number > self._last:
                raise _BrokenError(frames.PROTOCOL_ERROR, f"WINDOW_UPDATE on idle stream {number}")
        elif size == 0 or stream.window + size > frames.MAX_WINDOW:
            self._reset(number, frames.FLOW_CONTROL_ERROR if size else frames.PROTOCOL_ERROR)
        else:
            self._widen(stream, size)

    # What goes out.

    def _send(self, stream: Stream, data: bytes) -> None:
        if not stream.waiting and len(data) <= min(stream.window, self._window, self._max_frame):
            stream.window -= len(data)
            self._window -= len(data)
            self._out.append(frames.frame(frames.DATA, 0, stream.number, data))
            return
        stream.waiting += data
        self._unsent += len(data)
        self._pump(stream)
        if self._unsent > self._limits.unsent:
            self._break(frames.ENHANCE_YOUR_CALM, f"{self._unsent} bytes of answers that are not read")

    def _pump(self, stream: Stream) -> None:
        while stream.waiting and (size := min(stream.window, self._window, self._max_frame, len(stream.waiting))) > 0:
            self._out.append(frames.frame(frames.DATA, 0, stream.number, stream.waiting[:size]))
            stream.waiting = stream.waiting[size:]
            stream.window -= size
            self._window -= size
            self._unsent -= size
        if not stream.waiting and stream.closing:
            self._close(stream)

    def _widen(self, stream: Stream, size: int) -> None:
        stream.window += size
        if stream.window > frames.MAX_WINDOW:
            raise _BrokenError(frames.FLOW_CONTROL_ERROR, f"the window of stream {stream.number}")
        if stream.waiting:
            self._pump(stream)

    def _close(self, stream: Stream) -> None:
        if not stream.is_grpc:
            self._out.append(frames.frame(frames.DATA, frames.END_STREAM, stream.number))
            self._forget(stream)
            return
        block = headers.trailers(*(stream.closing or (0, "")))
        if not stream.answered:
            block = headers.RESPONSE + block
        ending = frames.END_HEADERS | frames.END_STREAM
        self._out.append(frames.frame(frames.HEADERS, ending, stream.number, block))
        if not stream.ended:
            self._out.append(frames.rst_stream(stream.number, frames.NO_ERROR))
        self._forget(stream)

    def _reset(self, number: int, code: int) -> None:
        self._spend("calls that break the protocol")
        self._events.append(Cancelled(number))
        self._out.append(frames.rst_stream(number, code))
        self._forget(self._streams[number])
        self._remember(number)

    def _forget(self, stream: Stream) -> None:
        del self._streams[stream.number]
        self._unsent -= len(stream.waiting)
        if not stream.ended:
            self._remember(stream.number)

    def _remember(self, number: int) -> None:
        self._ended_first[number] = None
        if len(self._ended_first) > _REMEMBERED:
            self._ended_first.popitem(last=False)

    def _hold_open(self, number: int, what: str) -> None:
        if number > self._last or number == 0:
            raise _BrokenError(frames.PROTOCOL_ERROR, f"{what} on idle stream {number}")
        if number not in self._ended_first:
            raise _BrokenError(frames.STREAM_CLOSED, f"{what} on stream {number}, which has ended")
        self._spend(f"{what} on ended streams")

    def _spend(self, what: str) -> None:
        if self._nuisance.too_much(self._now):
            raise _BrokenError(frames.ENHANCE_YOUR_CALM, f"too many {what}")

    def _break(self, code: int, why: str) -> None:
        self._out.append(frames.goaway(self._last, code, why))
        self._events.extend(Cancelled(number) for number in self._streams)
        self._streams.clear()
        self.closed = True
        self.why = why


def _unpadded(flags: int, payload: bytes) -> bytes:
    if not flags & frames.PADDED:
        return payload
    if not payload or payload[0] >= len(payload):
        raise _BrokenError(frames.PROTOCOL_ERROR, "more padding than frame")
    return payload[1 : len(payload) - payload[0]]
