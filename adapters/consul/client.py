"""A thin client of Consul's HTTP API: what a long-lived watcher needs and python-consul2 does not give.

Used by `adapters.consul.watch` from many threads, and fed to python-consul2 as its transport by
`adapters.consul.library`. Why not python-consul2 alone: docs/adr/0003-consul-client.md. It knows Consul's headers and
blocking queries; it does not know what an answer means.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs
import urllib3

from adapters.api import SHORT_TIMEOUT, Access, Address, Connections, number, refusal
from adapters.consul.blocking import read_timeout
from adapters.consul.options import ConsulOptions

DEFAULT_PORT = 8500


@attrs.frozen
class Answer:
    """A successful answer and what its headers say of it."""

    body: bytes
    index: int | None = None
    known_leader: bool = True
    last_contact: float = 0.0
    """Seconds since the server that answered heard of its leader; of stale reads only."""
    filtered: bool = False
    """The token may not see everything: the list is shorter than what Consul knows."""
    backend: str = ""
    status: int = 200


class Client(Connections):
    """Connections to one agent, at most `connections` at a time; callers beyond that wait. Thread-safe."""

    def __init__(self, access: Access, connections: int) -> None:
        super().__init__(access, connections, "X-Consul-Token")

    def get(
        self,
        path: str,
        params: Mapping[str, str] | None = None,
        *,
        index: int | None = None,
        wait: float = 0.0,
        absent: bytes | None = None,
    ) -> Answer:
        """Read `path`; with `index` a blocking query of at most `wait` seconds. Raises an ApiError.

        `absent`: the body that stands for nothing being there, which is otherwise an error; it can be waited for.
        """
        query = dict(params or {})
        timeout = SHORT_TIMEOUT
        if index is not None:
            query |= {"index": str(index), "wait": f"{wait:.3f}s"}
            timeout = read_timeout(wait)
        # A blocking query is never repeated as it is: an agent that restarted would wait for an index it never reaches.
        return checked(self.send("GET", path, query, timeout=timeout, again=index is None), absent)


def parse_address(text: str) -> Address:
    """Where Consul is; ValueError for what is no address."""
    return Address.parse(text, "Consul", DEFAULT_PORT)


def access_of(options: ConsulOptions) -> Access:
    """How the operator said that the agent is reached; ValueError for what is no address."""
    files = options.token_file, options.ca_file, options.cert_file, options.key_file
    return Access(parse_address(options.addr), options.token, *files)


def checked(response: urllib3.BaseHTTPResponse, absent: bytes | None = None) -> Answer:
    """The answer if the status is a success, else the ApiError that the status and text stand for."""
    nothing = response.status == 404 and absent is not None
    if response.status >= 300 and not nothing:
        raise refusal(response)
    headers = response.headers
    return Answer(
        body=absent if nothing and absent is not None else response.data,
        index=number(headers.get("X-Consul-Index")),
        known_leader=headers.get("X-Consul-KnownLeader", "true") != "false",
        last_contact=(number(headers.get("X-Consul-LastContact")) or 0) / 1000,
        filtered=headers.get("X-Consul-Results-Filtered-By-ACLs", "") == "true",
        backend=headers.get("X-Consul-Query-Backend", ""),
        status=response.status,
    )
