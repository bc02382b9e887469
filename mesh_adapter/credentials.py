"""Secrets by name in the control plane: what sources tell becomes what a snapshot holds. Belongs to the event loop."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime

import attrs

from citadel.credentials import Event, SecretSource, Stale
from citadel.credentials.ledger import Entry, Key, Ledger
from galley.config import Problem
from mesh_adapter.feed import Feed
from pilot.model.credential import NO_CREDENTIALS, Credential, Credentials

log = logging.getLogger(__name__)


@attrs.frozen
class CredentialStatus:
    """One secret as `/debug/credentials` shows it: nothing of its content."""

    namespace: str
    name: str
    source: str
    where: str
    served: bool
    certificate: bool
    ca: bool
    not_after: datetime | None
    problem: str


class CredentialStore:
    """Of two sources that have a secret of one name, the one that was named first counts."""

    def __init__(
        self,
        sources: Mapping[str, SecretSource],
        put: Callable[[Callable[[], None]], None],
        clock: Callable[[], datetime],
    ) -> None:
        self._clock = clock
        self._put = put
        self._ledgers = {name: Ledger() for name in sources}
        self._reported: dict[tuple[str, Key], str] = {}
        self._current: Credentials = NO_CREDENTIALS
        self.feeds = [Feed(name, each, self._deliver, self._failed) for name, each in sources.items()]

    @property
    def current(self) -> Credentials:
        """What is served; the same object while nothing changes."""
        return self._current

    def waiting(self) -> Iterator[str]:
        """Sources that have not told all they have."""
        for name, ledger in self._ledgers.items():
            if not ledger.synced:
                yield f"credentials {name}" + (f": {ledger.stale}" if ledger.stale else "")

    def stale(self) -> Mapping[str, str]:
        """Why, by source."""
        return {name: ledger.stale for name, ledger in self._ledgers.items() if ledger.stale}

    def status(self) -> tuple[CredentialStatus, ...]:
        now = self._clock()
        return tuple(_status(source, key, entry, now) for source, key, entry in self._entries())

    def problems(self) -> tuple[Problem, ...]:
        """Secrets whose newest version can't be used, or is expired."""
        return tuple(
            Problem(each.where, f"secret {each.namespace}/{each.name}", each.problem, _mend(each))
            for each in self.status()
            if each.problem
        )

    def _deliver(self, name: str, event: Event) -> None:
        self._put(functools.partial(self._fold, name, event))

    def _failed(self, name: str, error: str) -> None:
        self._deliver(name, Stale(f"the source failed ({error}); what it told stays in force"))

    def _fold(self, name: str, event: Event) -> None:
        ledger = self._ledgers[name]
        if ledger.fold(event, self._clock()):
            self._current = self._merged()
        if isinstance(event, Stale):
            log.warning("credentials %s are stale: %s", name, event.reason, extra={"source": name})
        for key, entry in ledger.entries.items():
            if self._reported.get((name, key), "") != entry.problem:
                self._reported[name, key] = entry.problem
                if entry.problem:
                    log.warning("%s: secret %s/%s: %s", entry.where, *key, entry.problem, extra={"source": name})

    def _merged(self) -> Credentials:
        found: dict[Key, Credential] = {}
        for ledger in self._ledgers.values():
            for key, entry in ledger.entries.items():
                if entry.material is not None:
                    found.setdefault(key, entry.material.credential)
        return found

    def _entries(self) -> Iterator[tuple[str, Key, Entry]]:
        for name, ledger in self._ledgers.items():
            for key, entry in sorted(ledger.entries.items()):
                yield name, key, entry


def _status(source: str, key: Key, entry: Entry, now: datetime) -> CredentialStatus:
    credential = entry.material.credential if entry.material else Credential()
    return CredentialStatus(
        namespace=key[0],
        name=key[1],
        source=source,
        where=entry.where,
        served=entry.material is not None,
        certificate=bool(credential.certificate),
        ca=bool(credential.ca),
        not_after=entry.material.not_after if entry.material else None,
        problem=entry.trouble(now),
    )


def _mend(status: CredentialStatus) -> str:
    if status.served:
        return "correct it; until then its last good version is served"
    return "correct it; until then what refers to it refuses connections"
