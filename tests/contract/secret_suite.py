"""What every source of secrets must do. A subclass says how its backend is written to."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

import pytest

from citadel.credentials import Event, Found, Gone, SecretSource, Synced
from tests.unit.citadel.credentials.pem import pair

DEADLINE = 20.0
CLOSE_WITHIN = 5.0


class Backend(Protocol):
    """The place that a source reads, as an operator would change it."""

    def source(self) -> SecretSource: ...

    def put(self, namespace: str, name: str, data: Mapping[str, bytes]) -> None: ...

    def remove(self, namespace: str, name: str) -> None: ...


class Watching:
    """A source that is being watched, with its events in the order they came."""

    def __init__(self, source: SecretSource) -> None:
        self.source = source
        self.events: list[Event] = []
        self._queue: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        for event in self.source.watch():
            self._queue.put(event)

    def until(self, wanted: Callable[[Event], bool]) -> Event:
        deadline = time.monotonic() + DEADLINE
        while (left := deadline - time.monotonic()) > 0:
            try:
                event = self._queue.get(timeout=left)
            except queue.Empty:
                break
            self.events.append(event)
            if wanted(event):
                return event
        raise AssertionError(f"not told within {DEADLINE} s; told were {self.events}")


class SecretSuite:
    """Inherit, and give a fixture `backend`."""

    @pytest.fixture
    def watch(self, backend: Backend) -> Iterator[Callable[[], Watching]]:
        made: list[Watching] = []

        def start() -> Watching:
            made.append(Watching(backend.source()))
            return made[-1]

        yield start
        for each in made:
            each.source.close()
            each.thread.join(CLOSE_WITHIN)
            assert not each.thread.is_alive(), "close ends the watch"

    def test_all_there_is_then_synced_once_then_differences(
        self, backend: Backend, watch: Callable[[], Watching]
    ) -> None:
        first, second = pair(), pair()
        backend.put("default", "web", first)
        backend.put("other", "web", second)
        watching = watch()
        watching.until(lambda event: isinstance(event, Synced))
        told = {(e.namespace, e.name): dict(e.data) for e in watching.events if isinstance(e, Found)}
        assert told == {("default", "web"): first, ("other", "web"): second}
        backend.put("default", "web", second)
        event = watching.until(lambda each: isinstance(each, Found) and dict(each.data) == second)
        assert isinstance(event, Found)
        assert (event.namespace, event.name) == ("default", "web")
        backend.remove("other", "web")
        watching.until(lambda each: each == Gone("other", "web"))
        backend.put("late", "new", first)
        watching.until(lambda each: isinstance(each, Found) and each.name == "new")
        assert sum(isinstance(each, Synced) for each in watching.events) == 1
        assert "PRIVATE" not in repr(watching.events), "no key in what is logged"

    def test_what_is_no_secret_of_ours_stops_nothing(self, backend: Backend, watch: Callable[[], Watching]) -> None:
        backend.put("default", "odd", {"password": b"x"})
        backend.put("default", "web", pair())
        watching = watch()
        watching.until(lambda event: isinstance(event, Synced))
        assert any(isinstance(each, Found) and each.name == "web" for each in watching.events)
