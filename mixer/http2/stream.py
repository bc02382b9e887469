"""One call on a connection: what came in of it so far, and what waits to go out. Pure; owned by `connection`."""

from __future__ import annotations

import attrs

from mixer.http2.events import Ended, Event, Message

_PREFIX = 5
"""Length-Prefixed-Message of gRPC over HTTP2: a flag byte, four bytes of length."""
UNIMPLEMENTED = 12
RESOURCE_EXHAUSTED = 8
INTERNAL = 13


class CallError(Exception):
    """What the caller sent cannot be a call: the status that it gets."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


@attrs.define(eq=False)
class Stream:
    """State of one call."""

    number: int
    window: int
    """Bytes that the peer lets us send."""
    content_length: int | None = None
    is_grpc: bool = True
    """Else its content is dropped, and the answer says what is served here."""
    received: int = 0
    unacknowledged: int = 0
    """Received bytes for which the peer has no new window yet."""
    ended: bool = False
    answered: bool = False
    """Our headers are out."""
    incoming: bytearray = attrs.field(factory=bytearray)
    waiting: bytes = b""
    closing: tuple[int, str] | None = None
    """Status and message that follow once `waiting` is out."""

    def take(self, data: bytes, limit: int) -> list[Event]:
        """The messages that are whole with `data`. Raises CallError."""
        events: list[Event] = []
        self.incoming += data
        while len(self.incoming) >= _PREFIX:
            size = int.from_bytes(self.incoming[1:_PREFIX], "big")
            if self.incoming[0]:
                raise CallError(UNIMPLEMENTED, "compressed messages are not read; send grpc-encoding: identity")
            if size > limit:
                raise CallError(RESOURCE_EXHAUSTED, f"a message of {size} bytes; at most {limit} are read")
            if len(self.incoming) < _PREFIX + size:
                break
            body = bytes(self.incoming[_PREFIX : _PREFIX + size])
            del self.incoming[: _PREFIX + size]
            events.append(Message(self.number, body, last=self.ended and not self.incoming))
        if self.ended:
            if self.incoming:
                raise CallError(INTERNAL, "the call ended in the middle of a message")
            if not events:
                events.append(Ended(self.number))
        return events
