"""What a connection tells its owner, in the order in which it happened. Pure values."""

from __future__ import annotations

import attrs

from mixer.http2.headers import RequestHeaders


@attrs.frozen(eq=False)
class Started:
    """A call began; its messages follow."""

    stream: int
    headers: RequestHeaders


@attrs.frozen
class Message:
    """One whole message of a call."""

    stream: int
    body: bytes
    last: bool
    """The caller has nothing more to say."""


@attrs.frozen
class Ended:
    """The caller has nothing more to say, after its last message."""

    stream: int


@attrs.frozen
class Cancelled:
    """The caller no longer waits, or broke the protocol on this call."""

    stream: int


Event = Started | Message | Ended | Cancelled
