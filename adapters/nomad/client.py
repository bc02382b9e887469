"""A thin client of Nomad's HTTP API: indexed reads and the event stream, which python-nomad does not give.

Used by `adapters.nomad.loop` and the threads around it. Why not python-nomad alone: docs/adr/0024-nomad-client.md. It
knows HTTP, Nomad's headers and lines; it does not know what an answer means.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import attrs
import urllib3

from adapters.api import Access, Address, Connections, number, refusal
from adapters.nomad.options import NomadOptions

DEFAULT_PORT = 4646
_LONGEST_READ = 1 << 16


@attrs.frozen
class Answer:
    """A successful answer; `index`: every change up to it is in (0 where Nomad tells none)."""

    body: bytes
    index: int


class Client(Connections):
    """Connections to one agent, at most `connections` at a time; callers beyond that wait. Thread-safe."""

    def __init__(self, access: Access, connections: int) -> None:
        super().__init__(access, connections, "X-Nomad-Token")

    def get(self, path: str, params: Mapping[str, str] | None = None) -> Answer:
        """Read `path`. Raises an ApiError."""
        response = self.send("GET", path, params, again=True)
        if response.status >= 300:
            raise refusal(response)
        return Answer(response.data, number(response.headers.get("X-Nomad-Index")) or 0)

    def events(self, topics: Sequence[str], params: Mapping[str, str], silence: float) -> Iterator[bytes]:
        """Lines of the event stream as they come, heartbeats too; Nomad sends one every 30 s.

        Raises an ApiError, also after `silence` seconds without a line; ends when Nomad ends it.
        """
        query = [*params.items(), *(("topic", topic) for topic in topics)]
        response = self.send("GET", "/v1/event/stream", query, timeout=silence, stream=True)
        try:
            if response.status >= 300:
                raise refusal(response)
            yield from _lines(response)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise self.unreachable(error) from error
        finally:
            response.close()


def _lines(response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    """Whole lines; an unfinished one at the end is lost with the connection that cut it."""
    rest = b""
    while chunk := response.read1(_LONGEST_READ):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (line for line in lines if line.strip())


def parse_address(text: str) -> Address:
    """Where Nomad is; ValueError for what is no address."""
    return Address.parse(text, "Nomad", DEFAULT_PORT)


def access_of(options: NomadOptions) -> Access:
    """How to reach the Nomad that an operator names. ValueError for what is no address."""
    return Access(
        parse_address(options.addr),
        options.token,
        options.token_file,
        options.ca_file,
        options.cert_file,
        options.key_file,
        options.tls_server_name,
    )
