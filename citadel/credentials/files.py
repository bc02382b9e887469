"""Secrets in a folder: ROOT/NAMESPACE/NAME/tls.crt and so on, watched for changes.

The file system's notifications only wake it up; what changed is found by reading, so a link that is swapped, as
Kubernetes does with a mounted secret, is nothing special. A certificate that was written before its key is not believed
until both are there (`ledger`).
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import watchfiles

from citadel.credentials import LARGEST, NAMES, Broken, Event, Found, Fresh, Gone, Stale, Synced

_SETTLE_MS = 50  # a change is told when nothing more came for so long: a pair is two files
_GATHER_MS = 500
_SWEEP_MS = 1000  # how often to look without having been woken: NFS sends no notifications


class FilesSource:
    """The secrets below `root`. A root that is not there is waited for."""

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self._root = Path(root)
        self._closed = threading.Event()
        self._told: dict[tuple[str, str], Found | Broken] = {}
        self._stale = False
        self._synced = False

    def watch(self) -> Iterator[Event]:
        """As the contract says; see `citadel.credentials.SecretSource`."""
        while not self._closed.is_set():
            yield from self._look()
            if self._stale:
                self._closed.wait(_SWEEP_MS / 1000)
            else:
                yield from self._follow()

    def close(self) -> None:
        self._closed.set()

    def _follow(self) -> Iterator[Event]:
        # The root may go while the watch is set up: looking tells.
        with contextlib.suppress(OSError, RuntimeError):
            for _ in watchfiles.watch(
                self._root,
                watch_filter=None,
                debounce=_GATHER_MS,
                step=_SETTLE_MS,
                stop_event=self._closed,
                rust_timeout=_SWEEP_MS,
                yield_on_timeout=True,
                ignore_permission_denied=True,
            ):
                yield from self._look()
                if self._stale:
                    return
        self._closed.wait(_SETTLE_MS / 1000)

    def _look(self) -> Iterator[Event]:
        """Tells every difference between the disk and what was told."""
        try:
            there = {(space.name, each.name): each for space in _folders(self._root) for each in _folders(space)}
        except OSError as error:
            if not self._stale:
                self._stale = True
                yield Stale(f"{error.filename or self._root} cannot be listed: {error.strerror}")
            return
        for key, folder in sorted(there.items()):
            found = _read(*key, folder)
            if self._told.get(key) != found:
                self._told[key] = found
                yield found
        for key in sorted(self._told.keys() - there.keys()):
            del self._told[key]
            yield Gone(*key)
        if self._stale:
            self._stale = False
            yield Fresh()
        if not self._synced:
            self._synced = True
            yield Synced()


def _folders(path: Path) -> list[Path]:
    """Hidden ones left out."""
    with os.scandir(path) as entries:
        return [Path(each.path) for each in entries if each.is_dir() and not each.name.startswith(".")]


def _read(namespace: str, name: str, folder: Path) -> Found | Broken:
    data: dict[str, bytes] = {}
    for key in NAMES:
        try:
            with (folder / key).open("rb") as file:
                data[key] = file.read(LARGEST + 1)
        except FileNotFoundError:
            continue
        except OSError as error:
            return Broken(namespace, name, str(folder), f"{key} cannot be read: {error.strerror}")
    return Found(namespace, name, data, str(folder))
