"""A platform run for its figures: what it told so far, and how long until it told of a change."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable

from adapters.platform import Delete, Platform, Synced, Upsert, Workloads
from pilot.model.service import Service, ServiceKey


class Watcher:
    """Runs the platform in a thread and keeps what it told; what it says besides goes to standard error.

    A change that is not seen within `deadline` seconds ends the bench.
    """

    def __init__(self, platform: Platform, deadline: float) -> None:
        self.services: dict[ServiceKey, Service] = {}
        self.synced = threading.Event()
        self._platform = platform
        self._deadline = deadline
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        for event in self._platform.watch():
            with self._news:
                match event:
                    case Upsert(service):
                        self.services[service.key] = service
                    case Delete(key):
                        self.services.pop(key, None)
                    case Synced():
                        self.synced.set()
                    case Workloads():
                        pass  # for services of another platform, of which a bench has none
                    case _:
                        print(event, file=sys.stderr)
                self._news.notify_all()

    def seconds_until(self, start: float, seen: Callable[[], bool]) -> float:
        """From `start` (monotonic) until `seen` holds. Raises RuntimeError after the deadline."""
        with self._news:
            if not self._news.wait_for(seen, self._deadline):
                raise RuntimeError("a change was not seen in time")
        return time.monotonic() - start

    def close(self) -> None:
        """Ends the watch."""
        self._platform.close()
        self._thread.join(5)
