"""Threads that watch: each platform and each source blocks in a thread of its own and hands its events to the loop.

The border between the blocking world and the event loop. A watch that raises all the same (a bug: contracts forbid it)
is reported and started again after a pause; what it told stays in force.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Generic, Protocol, TypeVar

E = TypeVar("E")
E_co = TypeVar("E_co", covariant=True)
log = logging.getLogger(__name__)

RESTART_PAUSE = 1.0
LONGEST_PAUSE = 60.0
"""Seconds before a watch that raised is tried again: doubled each time, at most the longest, up to half less."""


class Watchable(Protocol[E_co]):
    """What platforms and sources have in common."""

    def watch(self) -> Iterator[E_co]: ...

    def close(self) -> None: ...


class Feed(Generic[E]):
    """`deliver` is called in the watching thread with every event; `failed` with the text of an exception."""

    def __init__(
        self,
        name: str,
        watched: Watchable[E],
        deliver: Callable[[str, E], None],
        failed: Callable[[str, str], None],
    ) -> None:
        self.name = name
        self._watched = watched
        self._deliver = deliver
        self._failed = failed
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"watch-{name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self, timeout: float = 2.5) -> None:
        """Ends the watch; a thread that does not end in time is left behind, which is logged."""
        self._closed.set()
        self._watched.close()
        if self._thread.ident is None:
            return  # never started: another part of the start failed first
        self._thread.join(timeout)
        if self._thread.is_alive():
            log.warning("the watch of %s did not end within %.1f s", self.name, timeout)

    def _run(self) -> None:
        failures = 0
        while not self._closed.is_set():
            began = time.monotonic()
            try:
                for event in self._watched.watch():
                    self._deliver(self.name, event)
                return
            except Exception as error:
                log.exception("the watch of %s failed; what it told stays in force", self.name)
                self._failed(self.name, f"{type(error).__name__}: {error}")
                failures = 0 if time.monotonic() - began > LONGEST_PAUSE else failures + 1
                pause = min(LONGEST_PAUSE, RESTART_PAUSE * 2 ** min(failures, 10))
                self._closed.wait(pause * (1 - random.random() / 2))
