"""What every Source of documents must do. A subclass says how its backend is written to.

The suite runs `watch` in a thread, as the product does, and waits for events with a deadline; it never sleeps for luck.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import Protocol

import pytest

from galley.document import Loaded, Removed, Source, SourceEvent, Synced, Unreadable
from tests.unit.galley.documents import destination_rule, virtual_service

DEADLINE = 10.0
CLOSE_WITHIN = 2.0


class Backend(Protocol):
    """The place that a source reads, as an operator would change it. Units are numbered by the suite."""

    def source(self) -> Source: ...

    def put(self, unit: str, text: str) -> None: ...

    def remove(self, unit: str) -> None: ...

    def name(self, unit: str) -> str:
        """The unit as the source names it."""
        ...


class Watching:
    """A source that is being watched, with its events in the order they came."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._events: queue.Queue[SourceEvent | BaseException | None] = queue.Queue()
        self.seen: list[SourceEvent] = []
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()

    def _watch(self) -> None:
        try:
            for event in self.source.watch():
                self._events.put(event)
            self._events.put(None)
        except BaseException as error:  # noqa: BLE001 - whatever ends the thread fails the test that waits
            self._events.put(error)

    def until(self, wanted: Callable[[SourceEvent], bool]) -> SourceEvent:
        """The next event that is wanted; those before it are in `seen`."""
        end = time.monotonic() + DEADLINE
        while True:
            event = self._events.get(timeout=max(0.0, end - time.monotonic()))
            assert event is not None, f"watch ended; seen: {self.seen}"
            if isinstance(event, BaseException):
                raise event
            self.seen.append(event)
            if wanted(event):
                return event

    def until_synced(self) -> list[SourceEvent]:
        """Everything that came before Synced."""
        self.until(lambda event: isinstance(event, Synced))
        return self.seen[:-1]

    def until_loaded(self, unit: str) -> Loaded:
        """The next content of a unit."""
        event = self.until(lambda event: isinstance(event, Loaded) and event.unit == unit)
        assert isinstance(event, Loaded)
        return event

    def end(self) -> None:
        """Closes, and expects that `watch` ends in time."""
        self.source.close()
        self.thread.join(CLOSE_WITHIN)
        assert not self.thread.is_alive(), "watch did not end after close"


class SourceContract:
    """Inherit, and give the fixture `backend`."""

    holds_several = True
    """Whether a unit may hold several documents, under names of their own."""
    parses = True
    """Whether units are text, which may be no document at all."""

    @pytest.fixture
    def backend(self) -> Backend:
        raise NotImplementedError

    @pytest.fixture
    def watching(self, backend: Backend) -> Iterator[Watching]:
        backend.put("first", virtual_service())
        backend.put("second", destination_rule())
        watching = Watching(backend.source())
        yield watching
        watching.end()

    def test_first_everything_then_synced(self, backend: Backend, watching: Watching) -> None:
        before = watching.until_synced()
        units = {event.unit for event in before if isinstance(event, Loaded)}
        assert units == {backend.name("first"), backend.name("second")}

    def test_synced_comes_exactly_once(self, backend: Backend, watching: Watching) -> None:
        watching.until_synced()
        backend.put("third", virtual_service(name="c"))
        watching.until_loaded(backend.name("third"))
        assert sum(isinstance(event, Synced) for event in watching.seen) == 1

    def test_documents_carry_their_coordinates(self, backend: Backend, watching: Watching) -> None:
        for event in watching.until_synced():
            assert isinstance(event, Loaded)
            (document,) = event.documents
            assert document.unit == event.unit
            assert document.where(("spec",)).startswith(event.unit)

    def test_a_change_replaces_the_unit_and_only_differences_are_told(
        self, backend: Backend, watching: Watching
    ) -> None:
        watching.until_synced()
        told = len(watching.seen)
        another = virtual_service("hosts: [other]\nhttp: [{route: [{destination: {host: reviews}}]}]\n")
        backend.put("first", another + ("---\n" + virtual_service(name="b") if self.holds_several else ""))
        event = watching.until_loaded(backend.name("first"))
        hosts = [document.body["spec"]["hosts"] for document in event.documents]
        assert hosts == ([["other"], ["reviews"]] if self.holds_several else [["other"]])
        assert watching.seen[told:] == [event]

    def test_a_unit_that_is_removed_is_told(self, backend: Backend, watching: Watching) -> None:
        watching.until_synced()
        backend.remove("first")
        watching.until(lambda event: event == Removed(backend.name("first")))

    def test_one_bad_unit_is_told_and_the_rest_goes_on(self, backend: Backend, watching: Watching) -> None:
        watching.until_synced()
        if not self.parses:
            return
        backend.put("first", "a: [")
        bad = watching.until(lambda event: isinstance(event, Unreadable))
        assert isinstance(bad, Unreadable)
        assert bad.unit == backend.name("first")
        assert bad.where.startswith(bad.unit)
        assert bad.mend
        backend.put("second", virtual_service(name="b"))
        watching.until_loaded(backend.name("second"))
        backend.put("first", virtual_service())
        watching.until_loaded(backend.name("first"))

    def test_close_ends_watch_and_may_be_repeated(self, backend: Backend, watching: Watching) -> None:
        watching.until_synced()
        watching.end()
        watching.source.close()

    def test_close_before_watch(self, backend: Backend) -> None:
        source = backend.source()
        source.close()
        Watching(source).end()
