"""A client for tests of the connection: the `h2` library on the other end, no sockets."""

from __future__ import annotations

import h2.config
import h2.connection
import h2.events

from mixer.http2.connection import Connection
from mixer.http2.events import Event
from mixer.http2.limits import Limits

CALL = [
    (":method", "POST"),
    (":scheme", "http"),
    (":path", "/a.B/C"),
    (":authority", "mixer"),
    ("content-type", "application/grpc"),
    ("te", "trailers"),
]


def framed(body: bytes, compressed: bool = False) -> bytes:
    """gRPC's Length-Prefixed-Message."""
    return bytes((compressed,)) + len(body).to_bytes(4, "big") + body


class Pair:
    """Our connection and h2's client, bytes carried between them by `exchange`."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.now = 0.0
        self.server = Connection(limits or Limits(), self.now)
        self.client = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
        self.client.initiate_connection()

    def exchange(self) -> tuple[list[Event], list[h2.events.Event]]:
        """Carries bytes until both are silent: what our side and what the client told."""
        told: list[Event] = []
        heard: list[h2.events.Event] = []
        while True:
            out = self.client.data_to_send()
            told += self.server.receive(out, self.now) if out else []
            back = self.server.take()
            if not out and not back:
                return told, heard
            heard += self.client.receive_data(back) if back else []

    def call(self, body: bytes | None = b"", end: bool = True, extra: tuple[tuple[str, str], ...] = ()) -> int:
        """Begins a call; `body` None sends headers alone."""
        number = self.client.get_next_available_stream_id()
        self.client.send_headers(number, [*CALL, *extra], end_stream=end and body is None)
        if body is not None:
            self.client.send_data(number, framed(body), end_stream=end)
        return number
