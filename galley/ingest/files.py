"""A watched directory, or one watched file, as a source of documents.

The file system's notifications only wake it up; what changed is found by looking (so a link that is swapped, as
Kubernetes does with a ConfigMap, or an editor that renames, is nothing special), and only what looks changed is read.
"""

from __future__ import annotations

import hashlib
import os
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import attrs
import watchfiles

from galley.document import Fresh, Loaded, Removed, SourceEvent, Stale, Synced, Unreadable
from galley.ingest.yaml_documents import MAX_BYTES, read_documents

SUFFIXES = (".yaml", ".yml", ".json")
_SETTLE_MS = 15  # a change is told when nothing more came for so long
_GATHER_MS = 100  # or when changes have been coming for so long
_WAKE_MS = 100  # how often to look whether the root is still the same
_SWEEP_SECONDS = 1.0  # how often to look at every file without having been woken: NFS sends no notifications
_RACY_NS = 50_000_000  # a file younger than this may be written again without a change of its time stamp

_Identity = tuple[int, int]
_Signature = tuple[int, int, int, int]


@attrs.frozen
class _Known:
    """What a file looked like when it was read. No signature: look again the next time."""

    signature: _Signature | None
    digest: bytes


class FilesSource:
    """The *.yaml, *.yml and *.json files below `root`, hidden ones left out; units are named `root/relative`.

    A root that is not there is waited for, before Synced too; one that goes away, or is replaced by an empty one, is
    Stale and keeps what it told. Links to files are followed, links to directories below the root are not.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self._root = os.fspath(root)
        self._closed = threading.Event()
        self._known: dict[str, _Known] = {}
        self._identity: _Identity | None = None
        self._stale = False
        self._synced = False

    def watch(self) -> Iterator[SourceEvent]:
        """As the contract says; see `galley.document.Source`."""
        while not self._closed.is_set():
            yield from self._look()
            if self._stale or not self._synced:
                self._closed.wait(_WAKE_MS / 1000)
            else:
                yield from self._follow()

    def close(self) -> None:
        """Ends `watch`."""
        self._closed.set()

    def _follow(self) -> Iterator[SourceEvent]:
        """Looks whenever woken, until the root is another one or gone."""
        identity, next_sweep = self._identity, 0.0
        try:
            for changes in self._wake_ups():
                if changes or time.monotonic() >= next_sweep or _identity(self._root) != identity:
                    yield from self._look()
                    next_sweep = time.monotonic() + _SWEEP_SECONDS
                if self._stale or self._identity != identity:
                    return
        except (OSError, RuntimeError):
            # The root went while the watch was being set up, or the system has no watches left (which watchfiles
            # may also tell as a RuntimeError): looking again tells which, and does the job meanwhile.
            self._closed.wait(_WAKE_MS / 1000)

    def _wake_ups(self) -> Iterator[object]:
        is_directory = os.path.isdir(self._root)
        return watchfiles.watch(
            self._root if is_directory else os.path.dirname(self._root) or ".",
            watch_filter=None,
            debounce=_GATHER_MS,
            step=_SETTLE_MS,
            stop_event=self._closed,
            rust_timeout=_WAKE_MS,
            yield_on_timeout=True,
            recursive=is_directory,
            ignore_permission_denied=True,
        )

    def _look(self) -> Iterator[SourceEvent]:
        """Tells every difference between the disk and what was told."""
        try:
            identity, names = _identity(self._root), list_units(self._root)
            if identity is None:
                raise FileNotFoundError(f"{self._root} does not exist")
        except OSError as error:
            yield from self._go_stale(f"{self._root} cannot be listed: {error.strerror or 'it does not exist'}")
            return
        if self._known and not names and identity != self._identity:
            yield from self._go_stale(f"{self._root} was replaced by an empty directory")
            return
        self._identity = identity
        yield from self._differences(names)
        if self._stale:
            self._stale = False
            yield Fresh()
        if not self._synced:
            self._synced = True
            yield Synced()

    def _go_stale(self, reason: str) -> Iterator[SourceEvent]:
        if not self._stale:
            self._stale = True
            yield Stale(reason)

    def _differences(self, names: list[str]) -> Iterator[SourceEvent]:
        # What is new comes before what is gone, so that an object that moves to another file is never away.
        for name in names:
            event = self._read_if_changed(name)
            if event is not None:
                yield event
        for name in sorted(self._known.keys() - set(names)):
            del self._known[name]
            yield Removed(name)

    def _read_if_changed(self, name: str) -> Loaded | Unreadable | None:
        known = self._known.get(name)
        signature = _signature(name)
        if known is not None and signature is not None and known.signature == signature:
            return None
        data, event = _read(name)
        if known is not None and event is None and not data and _is_young(signature):
            # Truncated and not yet written: not believed until it has been empty for a while.
            self._known[name] = attrs.evolve(known, signature=None)
            return None
        digest = hashlib.sha256(data if event is None else event.message.encode()).digest()
        self._known[name] = _Known(_unless_racy(signature), digest)
        if known is not None and known.digest == digest:
            return None
        return event or read_documents(name, data)


def read_unit(name: str) -> Loaded | Unreadable:
    """One file, read once."""
    data, fault = _read(name)
    return fault or read_documents(name, data)


def list_units(root: str) -> list[str]:
    """The files that count below `root`, in order; `root` itself if it is a file. OSError if it cannot be listed."""
    if not os.path.isdir(root):
        return [root] if os.path.lexists(root) else []
    return sorted(_below(root))


def _below(folder: str) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith((".", "#", "~")):
                continue  # hidden, or what an editor keeps beside a file
            if entry.is_dir(follow_symlinks=False):
                yield from _below_unless_gone(entry.path)
            elif entry.name.endswith(SUFFIXES):
                yield entry.path


def _below_unless_gone(folder: str) -> list[str]:
    try:
        return list(_below(folder))
    except FileNotFoundError:
        return []


def _read(name: str) -> tuple[bytes, Unreadable | None]:
    try:
        if not stat.S_ISREG(os.stat(name).st_mode):
            return b"", Unreadable(name, name, "is not a regular file", "remove it, or rename it")
        with Path(name).open("rb") as file:
            return file.read(MAX_BYTES + 1), None
    except OSError as error:
        mend = "let the user that runs mesh-adapter read it" if isinstance(error, PermissionError) else ""
        return b"", Unreadable(name, name, f"cannot be read: {error.strerror}", mend)


def _signature(name: str) -> _Signature | None:
    try:
        found = os.stat(name)
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _unless_racy(signature: _Signature | None) -> _Signature | None:
    if signature is None or abs(time.time_ns() - signature[3]) < _RACY_NS:
        return None
    return signature


def _is_young(signature: _Signature | None) -> bool:
    return signature is None or abs(time.time_ns() - signature[3]) < _SWEEP_SECONDS * 1e9


def _identity(root: str) -> _Identity | None:
    try:
        found = os.stat(root)
    except OSError:
        return None
    # A file is replaced by every editor that renames; only a directory's identity means something.
    return (found.st_dev, found.st_ino) if stat.S_ISDIR(found.st_mode) else (0, 0)
