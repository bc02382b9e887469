"""python-consul2 over our own connections: its calls for what it does well, our transport for what it does not.

Used for single reads and writes (datacenters, key/value, sessions, registration at the agent) by the threads of
`adapters.consul`, tests and benchmarks. Its own transport opens a session a request, drops headers, and lets the
environment override what the caller said (docs/adr/0003-consul-client.md); none of that is left here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import consul.base

from adapters.consul.client import Client

T = TypeVar("T")
_Callback = Callable[[Any], T]


class Transport(consul.base.HTTPClient):  # type: ignore[misc]
    """The four verbs of `consul.base.HTTPClient`; without an answer they raise our UnreachableError."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def get(
        self,
        callback: _Callback[T],
        path: str,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> T:
        return self._send("GET", callback, path, params, "", headers)

    def put(
        self,
        callback: _Callback[T],
        path: str,
        params: Mapping[str, str] | None = None,
        data: str | bytes = "",
        headers: Mapping[str, str] | None = None,
    ) -> T:
        return self._send("PUT", callback, path, params, data, headers)

    def delete(
        self,
        callback: _Callback[T],
        path: str,
        params: Mapping[str, str] | None = None,
        data: str | bytes = "",
        headers: Mapping[str, str] | None = None,
    ) -> T:
        return self._send("DELETE", callback, path, params, data, headers)

    def post(
        self,
        callback: _Callback[T],
        path: str,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        data: str | bytes = "",
    ) -> T:
        return self._send("POST", callback, path, params, data, headers)

    def _send(
        self,
        method: str,
        callback: _Callback[T],
        path: str,
        params: Mapping[str, str] | None,
        data: str | bytes,
        headers: Mapping[str, str] | None,
    ) -> T:
        body = data.encode() if isinstance(data, str) else data
        answer = self._client.send(method, path, params, body or None, headers)
        text = answer.data.decode("utf-8", "replace")
        return callback(consul.base.Response(answer.status, answer.headers, text, answer.data))


class Library(consul.base.Consul):  # type: ignore[misc]
    """The parts of python-consul2's `Consul` that we use, bound to a client of ours.

    Its constructor is not called: it would let CONSUL_HTTP_ADDR and CONSUL_HTTP_TOKEN win over what our caller said,
    and fail on addresses such as [::1]:8500. The token travels with the client.
    """

    def __init__(self, client: Client) -> None:
        base = consul.base.Consul
        self.http = Transport(client)
        self.token: str | None = None
        self.dc: str | None = None
        self.consistency = "default"
        self.scheme = client.access.address.scheme
        self.agent = base.Agent(self)
        self.catalog = base.Catalog(self)
        self.health = base.Health(self)
        self.kv = base.KV(self)
        self.session = base.Session(self)
        self.status = base.Status(self)
