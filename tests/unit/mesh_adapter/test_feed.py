"""The threads that watch."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Iterator

import pytest

from mesh_adapter import feed
from mesh_adapter.feed import Feed
from tests.unit.mesh_adapter.told import DEADLINE, Told

Said = queue.Queue[tuple[str, str]]


@pytest.fixture
def said() -> Said:
    return queue.Queue()


def make_feed(told: Told[str], said: Said) -> Feed[str]:
    return Feed(
        "one",
        told,
        deliver=lambda name, event: said.put((name, event)),
        failed=lambda name, error: said.put((name, f"failed: {error}")),
    )


def test_events_are_delivered_in_order_and_close_ends_the_thread(said: Said) -> None:
    watching = make_feed(Told("a", "b"), said)
    watching.start()
    assert [said.get(timeout=DEADLINE) for _ in range(2)] == [("one", "a"), ("one", "b")]
    watching.close(DEADLINE)
    assert not [each for each in threading.enumerate() if each.name == "watch-one"]


def test_a_watch_that_raises_is_reported_and_watched_again(
    said: Said, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(feed, "RESTART_PAUSE", 0.0)
    told = Told("a", ValueError("a bug"), "b")
    watching = make_feed(told, said)
    watching.start()
    heard = [said.get(timeout=DEADLINE)[1] for _ in range(3)]
    watching.close(DEADLINE)
    assert heard == ["a", "failed: ValueError: a bug", "b"]
    assert told.watches == 2
    (record,) = caplog.records
    assert "what it told stays in force" in record.getMessage()
    assert record.exc_info


def test_close_does_not_wait_for_the_pause(said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "RESTART_PAUSE", 3600.0)
    watching = make_feed(Told(ValueError("a bug")), said)
    watching.start()
    said.get(timeout=DEADLINE)
    watching.close(DEADLINE)
    assert not [each for each in threading.enumerate() if each.name == "watch-one"]


def test_close_before_start_is_fine(said: Said) -> None:
    make_feed(Told("a"), said).close(DEADLINE)
    assert said.empty()


def test_a_watch_that_does_not_end_is_left_behind_with_a_line_in_the_log(
    said: Said, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    release = threading.Event()
    watching: Feed[str] = Feed("stuck", _Deaf(release), deliver=lambda *_: None, failed=lambda *_: None)
    watching.start()
    watching.close(timeout=0.05)
    assert "the watch of stuck did not end" in caplog.text
    release.set()


class _Deaf:
    """Breaks the contract: does not listen to `close`."""

    def __init__(self, release: threading.Event) -> None:
        self._release = release

    def watch(self) -> Iterator[str]:
        self._release.wait(DEADLINE)
        yield "late"

    def close(self) -> None:
        """Nothing happens."""
