"""Secrets in Vault's KV engine, version 2: MOUNT/PREFIX/NAMESPACE/NAME with the keys of `NAMES` as its fields.

Vault tells nobody of a change, so the source looks: it lists names and reads the metadata of each, and a secret itself
only when its version is another. The token needs `list` and `read` below `MOUNT/metadata/PREFIX` and `read` below
`MOUNT/data/PREFIX` (deploy/vault), and nothing else.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from datetime import datetime

import attrs

from citadel.authority import AuthorityError
from citadel.credentials import NAMES, Broken, Event, Found, Fresh, Gone, Stale, Synced
from citadel.vault_client import VaultClient

log = logging.getLogger(__name__)
EVERY = 5.0
"""Seconds between two looks."""
LONGEST = 60.0
"""Seconds between two looks at a Vault that does not answer, at most."""


@attrs.frozen
class _Told:
    """The version that was told; None for one that could not be read."""

    version: int | None
    broken: str = ""


class VaultSource:
    """The secrets below `place`, which is MOUNT or MOUNT/PREFIX. ValueError if it is neither."""

    def __init__(self, client: VaultClient, place: str, *, clock: Callable[[], datetime], every: float = EVERY) -> None:
        self._mount, _, prefix = place.strip("/").partition("/")
        if not self._mount:
            raise ValueError("it names no mount: write vault:MOUNT or vault:MOUNT/PREFIX")
        self._prefix = f"{prefix}/" if prefix else ""
        self._client = client
        self._clock = clock
        self._every = every
        self._closed = threading.Event()
        self._told: dict[tuple[str, str], _Told] = {}
        self._failures = 0
        self._synced = False

    def watch(self) -> Iterator[Event]:
        """As the contract says; see `citadel.credentials.SecretSource`."""
        while not self._closed.is_set():
            try:
                self._client.keep_token(self._clock())
                yield from self._look()
            except AuthorityError as error:
                if not self._failures:
                    yield Stale(str(error))
                self._failures += 1
            else:
                if self._failures:
                    self._failures = 0
                    yield Fresh()
                if not self._synced:
                    self._synced = True
                    yield Synced()
            self._closed.wait(min(LONGEST, self._every * 2.0 ** min(self._failures, 8)))
        self._client.close()

    def close(self) -> None:
        self._closed.set()

    def _look(self) -> Iterator[Event]:
        there = set(self._names())
        for key in sorted(there):
            if self._closed.is_set():
                return
            yield from self._changes(key)
        for key in sorted(self._told.keys() - there):
            del self._told[key]
            yield Gone(*key)

    def _names(self) -> Iterator[tuple[str, str]]:
        below = f"{self._mount}/metadata/{self._prefix}"
        for space in self._client.list(below):
            if space.endswith("/"):
                yield from ((space[:-1], name) for name in self._client.list(below + space) if not name.endswith("/"))

    def _changes(self, key: tuple[str, str]) -> Iterator[Event]:
        """One that can't be read for itself stops nothing; a Vault that is away stops the look."""
        path = f"{self._prefix}{key[0]}/{key[1]}"
        where = f"vault:{self._mount}/{path}"
        before = self._told.get(key)
        try:
            version = int(self._client.read(f"{self._mount}/metadata/{path}")["current_version"])
            if before is not None and before.version == version:
                return
            data = self._client.read(f"{self._mount}/data/{path}")["data"] or {}
        except (KeyError, TypeError, ValueError):
            yield from self._broken(key, where, "it is no secret of a KV engine of version 2")
        except AuthorityError as error:
            if error.retry:
                raise
            yield from self._broken(key, where, str(error))
        else:
            self._told[key] = _Told(version)
            yield Found(*key, {name: str(data[name]).encode() for name in NAMES if name in data}, where)

    def _broken(self, key: tuple[str, str], where: str, reason: str) -> Iterator[Event]:
        if self._told.get(key) != _Told(None, reason):
            self._told[key] = _Told(None, reason)
            yield Broken(*key, where, reason)
