"""The thread that stands for election in Consul: a session with a TTL, and a key that one session at a time locks.

Made by `mesh_adapter.leadership`, which acts by `leads`. The rules are `adapters.consul.leader`'s. The key holds the
name of who leads, so that operators can read it.
"""

from __future__ import annotations

import threading
import time

import consul.base

from adapters.api import ApiError
from adapters.consul.client import Client, access_of
from adapters.consul.leader import Act, Candidacy
from adapters.consul.library import Library
from adapters.consul.options import ConsulOptions

LOCK_DELAY = 2
"""Seconds for which Consul gives a lock to nobody after its session died: for work that was under way."""


class Election(threading.Thread):
    """One replica's candidacy, until `close`. `ttl`: 10 seconds at least, which is Consul's minimum."""

    def __init__(self, options: ConsulOptions, key: str, name: str, ttl: float = 10.0) -> None:
        super().__init__(name=f"consul-election {key}", daemon=True)
        self.key, self.replica = key, name
        self.leader = self.trouble = ""
        self._access = access_of(options)
        self._client = Client(self._access, 1)
        self._library = Library(self._client)
        self._candidacy = Candidacy(ttl)
        self._closed = threading.Event()

    def leads(self) -> bool:
        """Whether this replica leads at this moment; from any thread."""
        return not self._closed.is_set() and self._candidacy.leads(time.monotonic())

    def close(self) -> None:
        """Step back, so that another need not wait for the session to end."""
        self._closed.set()
        if self.is_alive():
            self.join(timeout=5.0)

    def run(self) -> None:
        while not self._closed.is_set():
            now = time.monotonic()
            try:
                self._candidacy = self._ask(self._candidacy, now)
                self.trouble = ""
            except consul.base.NotFound:
                self._candidacy = self._candidacy.lost(now)
            except (ApiError, consul.base.ConsulException) as error:
                said = self._access.explained(error) if isinstance(error, ApiError) else str(error)
                self.trouble = f"consul {self.key}: {said}"
                self._candidacy = self._candidacy.failed(time.monotonic())
            self._closed.wait(max(0.0, self._candidacy.due - time.monotonic()))
        self._step_back()

    def _ask(self, candidacy: Candidacy, now: float) -> Candidacy:
        session = self._library.session
        match candidacy.act(now):
            case Act.CREATE:
                made = session.create(
                    f"mesh-adapter {self.replica}", behavior="release", ttl=int(candidacy.ttl), lock_delay=LOCK_DELAY
                )
                return candidacy.created(str(made), now)
            case Act.RENEW:
                session.renew(candidacy.session)
                return candidacy.renewed(now)
            case Act.ACQUIRE:
                holds = bool(self._library.kv.put(self.key, self.replica, acquire=candidacy.session))
                self.leader = self.replica if holds else self._who_leads()
                return candidacy.acquired(holds, time.monotonic())

    def _who_leads(self) -> str:
        """As the key says; empty while nobody holds it."""
        _, found = self._library.kv.get(self.key)
        return (found.get("Value") or b"").decode("utf-8", "replace") if found and found.get("Session") else ""

    def _step_back(self) -> None:
        if self._candidacy.session:
            try:
                self._library.session.destroy(self._candidacy.session)
            except (ApiError, consul.base.ConsulException) as error:
                self.trouble = f"consul {self.key}: the session could not be ended: {error}"
        self._client.close()
