"""The static platform: services that an operator wrote into a file or a directory of files.

Used by `mesh_adapter` through `adapters.platform`. Here is the I/O: which files there are, which of them changed, when
to look again. What a file means is `adapters.static.convert`'s business; what all files together mean, and what to keep
when one is broken or gone, is `adapters.static.files`'.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

import attrs
from watchfiles._rust_notify import RustNotify

from adapters.document import MAX_BYTES
from adapters.platform import Event
from adapters.static.files import Files, Gone, Unchanged, Unreadable

SUFFIXES = frozenset({".yaml", ".yml", ".json"})
DEBOUNCE_MS = 15
"""Longest time that changes are collected for before they are looked at."""
STEP_MS = 5
"""A pause of this length ends the collecting: who writes a file in pieces is quiet for less."""
LOOK_AGAIN_MS = 1000
"""Files are looked at this often without any notice: network file systems and far ends of links send none."""

_UNCHANGED = Unchanged()
Fingerprint = tuple[int, int, int, int]
"""Device, inode, size and modification time in nanoseconds: a file that has the same is not read again."""


@attrs.frozen
class _Seen:
    """Which files there are now; None if the file, or the directory, is not there or can't be listed."""

    names: tuple[str, ...] | None
    reason: str = ""


class StaticPlatform:
    """Services of one file, or of every *.yaml, *.yml and *.json directly inside a directory.

    A file is read when its fingerprint changed, so replacing a file by renaming and swapping a link count as changes.
    What happens to services of broken, emptied and deleted files: docs/reference/static.md.
    """

    judges_losses = True
    """By files: `services: []` is an operator's word, a file that is gone is not."""

    def __init__(self, path: str, name: str = "static") -> None:
        self.name = name
        self._path = Path(path)
        self._closed = threading.Event()
        self._fingerprints: dict[str, Fingerprint] = {}
        self._files = Files(name)

    def close(self) -> None:
        """End the watch; from any thread, more than once."""
        self._closed.set()

    def watch(self) -> Iterator[Event]:
        """The events of `adapters.platform.Platform.watch`."""
        notify = _Notices()
        try:
            while not self._closed.is_set():
                yield from self._look()
                # Whoever just began to listen somewhere looks again: what changed before that gave no notice.
                if not notify.listen(_places(self._path, self._fingerprints)):
                    notify.wait(self._closed)
        finally:
            notify.close()

    def _look(self) -> Iterator[Event]:
        """Read what changed since the last look and tell the differences."""
        seen = self._list()
        if seen.names is None:
            return self._files.gone(seen.reason)
        answers = {path: self._read(path) for path in seen.names}
        for path in self._fingerprints.keys() - set(seen.names):
            del self._fingerprints[path]
        return self._files.told(answers, may_lose=self._path.is_dir())

    def _list(self) -> _Seen:
        try:
            if not self._path.is_dir():
                # A missing file raises here and is told apart from one that can't be read.
                self._path.stat()
                return _Seen((str(self._path),))
            with os.scandir(self._path) as entries:
                found = sorted(e.name for e in entries if _is_wanted(e.name) and not e.is_dir())
            return _Seen(tuple(os.path.join(self._path, name) for name in found))
        except OSError as error:
            return _Seen(None, f"{self._path}: {error.strerror}")

    def _read(self, path: str) -> bytes | Unchanged | Unreadable | Gone:
        """The content of a file if it is another than at the last look."""
        try:
            if self._fingerprints.get(path) == _fingerprint(os.stat(path)):
                return _UNCHANGED
            with open(path, "rb") as opened:
                before = _fingerprint(os.fstat(opened.fileno()))
                content = opened.read(MAX_BYTES + 1)
                after = _fingerprint(os.fstat(opened.fileno()))
        except FileNotFoundError:
            self._fingerprints.pop(path, None)
            return Gone()
        except OSError as error:
            self._fingerprints.pop(path, None)
            return Unreadable(f"can't be read: {error.strerror}")
        if before == after:
            self._fingerprints[path] = after
        else:
            # Still being written: what was read may be half a file, and the writer's next notice brings us back.
            return _UNCHANGED
        return content


def _is_wanted(name: str) -> bool:
    return not name.startswith(".") and os.path.splitext(name)[1] in SUFFIXES


def _fingerprint(status: os.stat_result) -> Fingerprint:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


class _Notices:
    """The operating system's notices of changes in some directories, or a clock where it gives none.

    Drives watchfiles' notifier itself: `watchfiles.watch` begins to listen only when it begins to wait, and what
    changed between our look and its beginning would be missed.
    """

    def __init__(self) -> None:
        self._places: frozenset[tuple[Path, int, int]] = frozenset()
        self._notify: RustNotify | None = None

    def listen(self, directories: set[Path]) -> bool:
        """Listen to these directories from now on; whether any of them is new.

        A directory replaced by another of the name is new.
        """
        places = frozenset((d, s.st_dev, s.st_ino) for d in directories if (s := _status(d)) is not None)
        if places == self._places:
            return False
        self.close()
        self._places = places
        try:
            self._notify = RustNotify([str(place) for place, _, _ in places], False, False, 0, False, True)
        except (OSError, RuntimeError):
            # Out of inotify watches, or a directory went in this moment: the clock does until they are others.
            self._notify = None
        return True

    def wait(self, closed: threading.Event) -> None:
        """Until something changed there, the time to look again has come, or `closed` is set."""
        if self._notify is None:
            closed.wait(LOOK_AGAIN_MS / 1000)
        else:
            if self._notify.watch(DEBOUNCE_MS, STEP_MS, LOOK_AGAIN_MS, closed) == "signal":
                # Only ever in a main thread: the notifier swallows the interrupt that a user meant for the process.
                raise KeyboardInterrupt

    def close(self) -> None:
        if self._notify is not None:
            self._notify.close()
            self._notify = None


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None


def _places(path: Path, files: Iterable[str]) -> set[Path]:
    """Directories in which a change may matter: around the path, around what links really lead to.

    A link in the middle of a path can be swapped too: the directory that holds the link is one of them.
    """
    around = {path.absolute().parent, Path(os.path.realpath(path)).parent}
    if path.is_dir():
        around.add(path.absolute())
    for link in (Path(file) for file in (str(path), *files) if os.path.islink(file)):
        around.add(Path(os.path.realpath(link)).parent)
        around.add((link.parent / os.readlink(link)).absolute().parent.parent)
    return {_nearest(directory) for directory in around}


def _nearest(directory: Path) -> Path:
    """The directory, or the nearest one above it that exists."""
    while not directory.is_dir() and directory != directory.parent:
        directory = directory.parent
    return directory
