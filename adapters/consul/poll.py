"""The threads that wait for Consul, and what they report to the loop.

Started by `adapters.consul.loop`; each does I/O and puts a report into the loop's queue, decides nothing, and shares
nothing. The rules of waiting are `adapters.consul.blocking`'s.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Mapping

import attrs
import consul.base

from adapters.api import ApiError, NoLeaderError, OverloadedError
from adapters.consul import convert
from adapters.consul.blocking import Cursor, Turn, answered, failed
from adapters.consul.client import Answer, Client
from adapters.consul.library import Library
from adapters.pace import Allowance, pause_after_failure

NODES, NAMES, CHECKS, CRITICAL = "nodes", "names", "checks", "critical"
PATHS: Mapping[str, str] = {
    NODES: "/v1/catalog/nodes",
    NAMES: "/v1/catalog/services",
    CHECKS: "/v1/health/state/any",
    # What fails and recovers is in CHECKS too, but that answer is big and this one is there long before it.
    CRITICAL: "/v1/health/state/critical",
}
LIST_DATACENTERS_EVERY = 10.0
SHORT_WAIT = 1.0
ANSWERS_A_SECOND, ANSWERS_AT_ONCE = 4.0, 60.0
"""Of one long poll under churn: the list of checks is big, and Consul's work is to make it."""


@attrs.frozen
class Polled:
    """A long poll was answered."""

    site: str
    kind: str
    answer: Answer
    turn: Turn


@attrs.frozen
class PollFailed:
    """A long poll got no answer; it goes on after a pause. `failures` counts them in a row."""

    site: str
    kind: str
    error: ApiError
    failures: int


@attrs.frozen
class Datacenters:
    """The name of the agent's own datacenter, and of all that it knows."""

    local: str
    names: tuple[str, ...]


@attrs.frozen
class NoDatacenters:
    """The datacenters could not be read."""

    error: ApiError


Report = Callable[[object], None]


class Poller(threading.Thread):
    """One long poll, over and over, until `close`. `path` and `absent` are for what is not in PATHS."""

    def __init__(
        self,
        site: str,
        kind: str,
        client: Client,
        params: Mapping[str, str],
        wait: float,
        report: Report,
        *,
        path: str = "",
        absent: bytes | None = None,
    ) -> None:
        super().__init__(name=f"consul-{kind}", daemon=True)
        self._site, self._kind = site, kind
        self._path, self._absent = path or PATHS[kind], absent
        self._client, self._params, self._wait = client, params, wait
        self._report = report
        self._closed = threading.Event()

    def close(self) -> None:
        """End soon; the client has to be closed to end a query that waits."""
        self._closed.set()

    def run(self) -> None:
        cursor, allowance = Cursor(), Allowance.full(ANSWERS_A_SECOND, ANSWERS_AT_ONCE)
        while not self._closed.is_set():
            try:
                answer = self._ask(cursor)
            except ApiError as error:
                cursor = failed(cursor, overloaded=isinstance(error, OverloadedError))
                self._report(PollFailed(self._site, self._kind, error, cursor.failures))
                self._closed.wait(pause_after_failure(cursor.failures, random.random(), error.retry_after))
                continue
            turn = answered(cursor, answer.index, answer.body)
            cursor = turn.cursor
            self._report(Polled(self._site, self._kind, answer, turn))
            allowance, pause = allowance.spend(time.monotonic())
            if pause:
                self._closed.wait(pause)

    def _ask(self, cursor: Cursor) -> Answer:
        # After a failure the news is that there is an answer at all: it must not wait for a change.
        wait = min(self._wait, SHORT_WAIT) if cursor.failures else self._wait
        answer = self._client.get(self._path, self._params, index=cursor.index, wait=wait, absent=self._absent)
        if not answer.known_leader:
            raise NoLeaderError("the server that answered knows no leader")
        return answer


class DatacenterLister(threading.Thread):
    """Asks for the list of datacenters now and then (it can't be waited for), once only if `once`."""

    def __init__(self, client: Client, once: bool, report: Report):
        super().__init__(name="consul-datacenters", daemon=True)
        self._client, self._once, self._report = client, once, report
        self._closed = threading.Event()

    def close(self) -> None:
        """End soon."""
        self._closed.set()

    def run(self) -> None:
        failures, local = 0, ""
        while not self._closed.is_set():
            try:
                local = local or local_datacenter(self._client)
                self._report(Datacenters(local, tuple(Library(self._client).catalog.datacenters())))
                failures = 0
            except ApiError as error:
                failures += 1
                self._report(NoDatacenters(error))
            except (consul.base.ConsulException, KeyError, TypeError, ValueError) as error:
                failures += 1
                self._report(NoDatacenters(ApiError(f"datacenters: {error!r}")))
            if self._once and not failures:
                return
            self._closed.wait(pause_after_failure(failures, random.random()) if failures else LIST_DATACENTERS_EVERY)


def local_datacenter(client: Client) -> str:
    """The agent's own datacenter: from its nodes, or from itself for a token that may see no node."""
    name = convert.datacenter_of(client.get(PATHS[NODES]).body)
    if name:
        return name
    about = json.loads(client.get("/v1/agent/self").body)
    return str(about["Config"]["Datacenter"])
