"""What is asked about a cluster that is peered with the agent's: which of its services are imported, and how they are.

Started by `adapters.consul.site` for each peer that was chosen. Consul answers for a peer at two places only, and not
by its lists: /v1/peering/NAME has the names of what is imported, which can't be waited for, and
/v1/health/service/NAME?peer= the instances. So they are looked at in turns, at a pace that costs little.
"""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable, Mapping

import attrs

from adapters.api import ApiError
from adapters.consul.client import Answer, Client
from adapters.consul.convert import UnreadableError
from adapters.pace import pause_after_failure

LOOK_EVERY = 1.0
"""Seconds between two looks, while services are few."""
LOOKS_A_SECOND = 25.0
"""Services that are looked at a second when they are many."""


@attrs.frozen
class Imported:
    """What a peering says of itself; `names` in the form in which /v1/catalog/services tells names."""

    names: bytes
    trouble: str = ""


@attrs.frozen
class Peered:
    """A peer was looked at: what is imported, and a digest of each service's instances; or that failed."""

    site: str
    result: tuple[Imported, Mapping[str, int]] | ApiError | UnreadableError
    failures: int = 0


def imported(body: bytes) -> Imported:
    """An answer of /v1/peering/NAME. UnreadableError if it is none."""
    try:
        found = json.loads(body)
        state, names = str(found["State"]), (found.get("StreamStatus") or {}).get("ImportedServices") or ()
        told = json.dumps({str(name): [] for name in names}).encode()
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as fault:
        raise UnreadableError(f"not a peering: {fault!r}") from fault
    return Imported(told, "" if state == "ACTIVE" else f"the peering is {state}; what it told last holds")


def path_of(peer: str) -> str:
    """Where the peering tells of itself."""
    return f"/v1/peering/{peer}"


def listed(client: Client, peer: str) -> Answer:
    """The names of what is imported, as the list of services tells names. ApiError or UnreadableError."""
    answer = client.get(path_of(peer))
    return attrs.evolve(answer, body=imported(answer.body).names)


class PeerPoller(threading.Thread):
    """Looks at one peer over and over, until `close`."""

    def __init__(self, site: str, peer: str, client: Client, report: Callable[[object], None]) -> None:
        super().__init__(name=f"consul-peer {peer}", daemon=True)
        self._site, self._peer, self._client, self._report = site, peer, client, report
        self._closed = threading.Event()

    def close(self) -> None:
        """End soon."""
        self._closed.set()

    def run(self) -> None:
        failures = 0
        while not self._closed.is_set():
            pause = LOOK_EVERY
            try:
                found, digests = self._look()
                failures, pause = 0, max(LOOK_EVERY, len(digests) / LOOKS_A_SECOND)
                self._report(Peered(self._site, (found, digests)))
            except (ApiError, UnreadableError) as error:
                failures += 1
                pause = pause_after_failure(failures, random.random())
                self._report(Peered(self._site, error, failures))
            self._closed.wait(pause)

    def _look(self) -> tuple[Imported, Mapping[str, int]]:
        found = imported(self._client.get(path_of(self._peer)).body)
        names = json.loads(found.names)
        params = {"peer": self._peer}
        return found, {name: hash(self._client.get(f"/v1/health/service/{name}", params).body) for name in names}
