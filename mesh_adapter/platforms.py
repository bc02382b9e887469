"""All platforms of a control plane: their watches, what is believed of what they tell, and the one catalog of it.

Owned by `mesh_adapter.control_plane`; every method is called in its event loop, but for what a feed hands over in its
own thread, which `put` brings there. Platforms may come, go and be replaced while it runs: what one told stays until it
is taken out, or until its replacement has told everything.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

import attrs

from adapters.merge import Merger, PlatformStatus
from adapters.platform import Announcement, Event, Platform, Problem, Stale
from adapters.screen import Limits, Screen
from adapters.settings import Arrangement
from mesh_adapter.feed import Feed
from pilot.model.catalog import Catalog

log = logging.getLogger(__name__)

Put = Callable[[Callable[[], None]], None]
"""Has something called in the event loop; may be called from any thread."""


@attrs.frozen
class Opened:
    """A platform that is not watched yet, and its kind for the status."""

    platform: Platform
    kind: str = ""


@attrs.define(eq=False)
class _Watched:
    """One platform in use."""

    opened: Opened
    screen: Screen
    feed: Feed[Event] | None = None
    stale_since: str = ""
    failures: int = 0


class Platforms:
    """`clock` is for messages, `timer` counts seconds."""

    def __init__(
        self,
        opened: Mapping[str, Opened],
        arrangement: Arrangement,
        *,
        put: Put,
        clock: Callable[[], datetime],
        timer: Callable[[], float],
    ) -> None:
        self._arrangement = arrangement
        self._put, self._clock, self._timer = put, clock, timer
        self._merger = Merger(tuple(opened), arrangement)
        self._watched = {name: self._prepared(name, each) for name, each in opened.items()}
        self._started = False
        self._announcement: Announcement | None = None

    def start(self) -> None:
        """Begin to watch."""
        self._started = True
        for watched in self._watched.values():
            self._watch(watched)

    def announce(self, announcement: Announcement) -> None:
        """Where this control plane listens: for the platforms that register it, also those that come later."""
        self._announcement = announcement
        for watched in self._watched.values():
            self._announce(watched)

    def _announce(self, watched: _Watched) -> None:
        announce = getattr(watched.opened.platform, "announce", None)
        if announce is not None and self._announcement is not None:
            announce(self._announcement)

    def feeds(self) -> tuple[Feed[Event], ...]:
        return tuple(watched.feed for watched in self._watched.values() if watched.feed)

    def catalog(self) -> Catalog:
        return self._merger.catalog()

    def conflicts(self) -> tuple[Problem, ...]:
        """Where platforms disagree about one service."""
        return self._merger.conflicts()

    def status(self) -> tuple[PlatformStatus, ...]:
        """One a platform, in the configured order."""
        return tuple(self._filled(each, self._watched[each.name]) for each in self._merger.status())

    def next_due(self) -> float:
        """When `tick` may change something, by the timer; infinity if nothing waits."""
        return min((watched.screen.next_due() for watched in self._watched.values()), default=float("inf"))

    def tick(self) -> None:
        """Let go of what was held for long enough."""
        now = self._timer()
        for name, watched in self._watched.items():
            self._apply(name, watched, watched.screen.tick(now))

    def arrange(self, names: Iterable[str], new: Mapping[str, Opened], arrangement: Arrangement) -> list[Feed[Event]]:
        """From now on these platforms, in this order. `new` are those that were not there, or are to replace one.

        Returns the feeds of those that are watched no more, to be closed by the caller, since that may take a moment.
        """
        order = tuple(names)
        self._arrangement = arrangement
        ended = [w.feed for name, w in self._watched.items() if w.feed and (name not in order or name in new)]
        self._merger.arrange(order, arrangement)
        before, self._watched = self._watched, {}
        for name in order:
            known = before.get(name)
            if name in new:
                self._watched[name] = self._replaced(name, new[name], known)
            elif known is not None:
                self._watched[name] = known
                self._apply(name, known, known.screen.limit(self._limits(name, known.opened), self._timer()))
        return ended

    def _replaced(self, name: str, opened: Opened, known: _Watched | None) -> _Watched:
        """A platform that takes the place of another goes on with what that one told."""
        watched = self._prepared(name, opened)
        if known is not None:
            known.screen.restarted()
            watched.screen, watched.stale_since = known.screen, known.stale_since
            self._apply(name, watched, watched.screen.limit(self._limits(name, opened), self._timer()))
        if self._started:
            self._watch(watched)
        self._announce(watched)
        return watched

    def _prepared(self, name: str, opened: Opened) -> _Watched:
        watched = _Watched(opened, Screen(self._limits(name, opened)))
        watched.feed = Feed(
            name,
            opened.platform,
            lambda name, event: self._put(functools.partial(self._take, name, watched, event)),
            lambda name, error: self._put(functools.partial(self._failed, name, watched, error)),
        )
        return watched

    def _limits(self, name: str, opened: Opened) -> Limits:
        limits = self._arrangement.of(name).limits
        return attrs.evolve(limits, hold=0.0) if getattr(opened.platform, "judges_losses", False) else limits

    def _watch(self, watched: _Watched) -> None:
        if watched.feed is not None:
            watched.feed.start()

    def _take(self, name: str, watched: _Watched, event: Event) -> None:
        """One event of a watch; of one that was taken out meanwhile nothing counts."""
        if self._watched.get(name) is watched:
            self._apply(name, watched, watched.screen.take(event, self._timer()))

    def _failed(self, name: str, watched: _Watched, error: str) -> None:
        if self._watched.get(name) is watched:
            watched.failures += 1
            reason = f"the adapter failed ({error}); what it told stays in force"
            self._apply(name, watched, watched.screen.failed(reason))

    def _apply(self, name: str, watched: _Watched, events: Iterable[Event]) -> None:
        for event in events:
            self._merger.apply(name, event)
            if isinstance(event, Stale):
                watched.stale_since = watched.stale_since or self._clock().isoformat(timespec="seconds")
                log.warning("platform %s is stale: %s", name, event.reason, extra={"platform": name})
            elif isinstance(event, Problem):
                log.warning("platform %s: %s", name, event, extra={"platform": name})

    def _filled(self, status: PlatformStatus, watched: _Watched) -> PlatformStatus:
        if not status.stale:
            watched.stale_since = ""
        return attrs.evolve(
            status,
            kind=watched.opened.kind or status.name,
            stale_since=watched.stale_since,
            held=watched.screen.held,
            failures=watched.failures,
        )
