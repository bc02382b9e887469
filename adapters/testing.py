"""What every platform must do, as one suite: the contract of `adapters.platform.Platform`, checked.

A platform's test file subclasses `PlatformSuite` and gives a `world` fixture: something that makes services appear,
fail and vanish in the platform's own terms, so that the same conversation runs against every platform. It ships with
the product, for the authors of other platforms (docs/external-platform.md); needs pytest.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol

import pytest

from adapters.platform import Delete, Event, Fresh, Platform, Problem, Resolved, Stale, Synced, Upsert
from adapters.screen import Limits, Screen
from pilot.model.service import Endpoint, Health, Service, ServiceKey

DEADLINE = 10.0
QUIET = 0.4
"""Seconds without an event after which a platform has nothing more to say (its changes take far less)."""


class World(Protocol):
    """The place that a platform watches. Services have the names and addresses given; ports are the world's choice.

    `go_away` makes it unreachable with all data kept, `come_back` ends that. `forget` makes it answer properly with
    nothing, which has to be held; a world that can't be in that state says so by `forgets = False`.
    """

    forgets: bool

    def platform(self) -> Platform:
        """A new platform watching this world."""

    def key(self, name: str) -> ServiceKey:
        """The key of the service that `appear` made."""

    def appear(self, name: str, *addresses: str) -> None: ...

    def scale(self, name: str, *addresses: str) -> None:
        """The service has these endpoints now."""

    def move(self, name: str, before: str, after: str) -> None:
        """The endpoint at one address is at another now."""

    def fail(self, name: str, address: str) -> None: ...

    def recover(self, name: str, address: str) -> None: ...

    def vanish(self, name: str) -> None:
        """The service is removed on purpose, while others stay."""

    def break_one_object(self, name: str) -> None:
        """Something about this service can't be used any more."""

    def mend_object(self, name: str) -> None: ...

    def go_away(self) -> None: ...

    def come_back(self) -> None: ...

    def forget(self) -> None: ...


class Listener:
    """Runs a platform's watch in a thread of its own and keeps all events.

    `screened`: as the mesh hears them, with what vanishes all at once held, unless the platform judges losses itself.
    """

    def __init__(self, platform: Platform, screened: bool = False) -> None:
        self.platform = platform
        judges = not screened or getattr(platform, "judges_losses", False)
        self._screen = Screen(Limits(hold=0.0 if judges else 300.0))
        self._screened = screened
        self.events: list[Event] = []
        self.error: BaseException | None = None
        self.services: dict[ServiceKey, Service] = {}
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="listener", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            for event in self.platform.watch():
                events = self._screen.take(event, time.monotonic()) if self._screened else (event,)
                with self._news:
                    for each in events:
                        self._take(each)
                    self._news.notify_all()
        except BaseException as error:  # noqa: BLE001 - handed to the test, which is in another thread
            self.error = error

    def _take(self, event: Event) -> None:
        self.events.append(event)
        if isinstance(event, Upsert):
            self.services[event.service.key] = event.service
        elif isinstance(event, Delete):
            self.services.pop(event.key, None)

    def until(self, condition: Callable[[], bool], what: str, deadline: float = DEADLINE) -> None:
        """Wait until the condition holds; fails with what was heard instead."""
        with self._news:
            reached = self._news.wait_for(lambda: condition() or self.error is not None, deadline)
        if self.error is not None:
            raise AssertionError("watch raised") from self.error
        assert reached, f"not seen: {what}; the last events: {self.events[-5:]}"

    def settled(self) -> list[Event]:
        """All events, once none came for a while."""
        heard = -1
        while heard != len(self.events):
            heard = len(self.events)
            time.sleep(QUIET)
        return self.events

    def synced(self) -> Listener:
        self.until(lambda: Synced() in self.events, "Synced")
        return self

    def endpoints(self, key: ServiceKey) -> dict[str, Endpoint]:
        service = self.services.get(key)
        return {endpoint.address: endpoint for endpoint in service.endpoints} if service else {}

    def until_addresses(self, key: ServiceKey, *addresses: str) -> None:
        self.until(lambda: set(self.endpoints(key)) == set(addresses), f"{key} at {addresses}")

    def until_health(self, key: ServiceKey, address: str, healthy: bool) -> None:
        def seen() -> bool:
            endpoint = self.endpoints(key).get(address)
            return endpoint is not None and (endpoint.health is Health.HEALTHY) == healthy

        self.until(seen, f"{key} at {address} {'healthy' if healthy else 'unhealthy'}")

    @property
    def stale(self) -> str:
        """The reason of the last Stale that no Fresh followed; empty if none."""
        for event in reversed(self.events):
            if isinstance(event, Fresh):
                return ""
            if isinstance(event, Stale):
                return event.reason
        return ""

    @property
    def problems(self) -> dict[str, Problem]:
        """Problems that were not resolved."""
        found: dict[str, Problem] = {}
        for event in list(self.events):
            if isinstance(event, Problem):
                found[event.where] = event
            elif isinstance(event, Resolved):
                found.pop(event.where, None)
        return found

    def close(self) -> float:
        """Close the platform; seconds until watch ended."""
        start = time.monotonic()
        self.platform.close()
        self._thread.join(DEADLINE)
        assert not self._thread.is_alive(), "watch did not end"
        return time.monotonic() - start


class PlatformSuite:
    """Subclass it as `TestNAME` beside a fixture `world`."""

    @pytest.fixture
    def listen(self, world: World) -> object:
        """Starts listening; all listeners are closed after the test."""
        listeners: list[Listener] = []

        def start(screened: bool = False) -> Listener:
            listeners.append(Listener(world.platform(), screened))
            return listeners[-1]

        yield start
        for listener in listeners:
            listener.close()

    def test_first_the_whole_state_then_synced_once(self, world: World, listen: Callable[[], Listener]) -> None:
        world.appear("web", "10.0.0.1", "10.0.0.2")
        world.appear("db", "10.0.0.3")
        heard = listen().synced()
        before = heard.events[: heard.events.index(Synced())]
        assert {e.service.key for e in before if isinstance(e, Upsert)} == {world.key("web"), world.key("db")}
        assert set(heard.endpoints(world.key("web"))) == {"10.0.0.1", "10.0.0.2"}
        world.appear("late", "10.0.0.4")
        heard.until_addresses(world.key("late"), "10.0.0.4")
        assert heard.settled().count(Synced()) == 1

    def test_nothing_is_told_twice(self, world: World, listen: Callable[[], Listener]) -> None:
        world.appear("web", "10.0.0.1")
        world.appear("db", "10.0.0.3")
        heard = listen().synced()
        world.scale("web", "10.0.0.1", "10.0.0.2")
        heard.until_addresses(world.key("web"), "10.0.0.1", "10.0.0.2")
        told = [e.service for e in heard.settled() if isinstance(e, Upsert) and e.service.key == world.key("db")]
        assert len(told) == 1

    def test_scaling_down_and_moving(self, world: World, listen: Callable[[], Listener]) -> None:
        world.appear("web", "10.0.0.1", "10.0.0.2", "10.0.0.3")
        heard = listen().synced()
        world.scale("web", "10.0.0.1", "10.0.0.2")
        heard.until_addresses(world.key("web"), "10.0.0.1", "10.0.0.2")
        world.move("web", "10.0.0.2", "10.0.0.9")
        heard.until_addresses(world.key("web"), "10.0.0.1", "10.0.0.9")

    def test_an_endpoint_fails_and_recovers(self, world: World, listen: Callable[[], Listener]) -> None:
        world.appear("web", "10.0.0.1", "10.0.0.2")
        heard = listen().synced()
        world.fail("web", "10.0.0.1")
        heard.until_health(world.key("web"), "10.0.0.1", healthy=False)
        assert heard.endpoints(world.key("web"))["10.0.0.2"].health is Health.HEALTHY
        world.recover("web", "10.0.0.1")
        heard.until_health(world.key("web"), "10.0.0.1", healthy=True)

    def test_a_removed_service_is_deleted_and_may_return(self, world: World, listen: Callable[[], Listener]) -> None:
        world.appear("web", "10.0.0.1")
        world.appear("db", "10.0.0.3")
        heard = listen().synced()
        world.vanish("web")
        heard.until(lambda: Delete(world.key("web")) in heard.events, "Delete")
        assert world.key("db") in heard.services
        world.appear("web", "10.0.0.7")
        heard.until_addresses(world.key("web"), "10.0.0.7")

    def test_only_what_was_told_is_deleted(self, world: World, listen: Callable[[], Listener]) -> None:
        """The merge takes a Delete of the unknown as nothing; a platform need not make use of that."""
        world.appear("web", "10.0.0.1")
        world.appear("db", "10.0.0.3")
        heard = listen().synced()
        world.vanish("web")
        heard.until(lambda: world.key("web") not in heard.services, "Delete")
        assert [e for e in heard.settled() if isinstance(e, Delete)] == [Delete(world.key("web"))]

    def test_one_bad_object_does_not_stop_the_stream(self, world: World, listen: Callable[[], Listener]) -> None:
        world.appear("web", "10.0.0.1")
        world.appear("db", "10.0.0.3")
        heard = listen().synced()
        world.break_one_object("web")
        heard.until(lambda: bool(heard.problems), "a Problem")
        world.scale("db", "10.0.0.3", "10.0.0.4")
        heard.until_addresses(world.key("db"), "10.0.0.3", "10.0.0.4")
        for problem in heard.problems.values():
            assert problem.where
            assert problem.message
        world.mend_object("web")
        heard.until(lambda: not heard.problems, "Resolved")

    def test_a_platform_that_went_away_keeps_its_services(self, world: World, listen: Callable[[], Listener]) -> None:
        world.appear("web", "10.0.0.1")
        heard = listen().synced()
        world.go_away()
        heard.until(lambda: heard.stale != "", "Stale")
        assert set(heard.endpoints(world.key("web"))) == {"10.0.0.1"}
        world.come_back()
        heard.until(lambda: heard.stale == "", "Fresh")
        assert not [e for e in heard.events if isinstance(e, Delete)]

    def test_after_a_reconnect_only_differences_are_told(self, world: World, listen: Callable[[], Listener]) -> None:
        world.appear("web", "10.0.0.1")
        world.appear("db", "10.0.0.3")
        heard = listen().synced()
        world.go_away()
        heard.until(lambda: heard.stale != "", "Stale")
        count = len(heard.events)
        world.come_back()
        world.scale("web", "10.0.0.1", "10.0.0.2")
        heard.until(lambda: heard.stale == "", "Fresh")
        heard.until_addresses(world.key("web"), "10.0.0.1", "10.0.0.2")
        told = {e.service.key for e in heard.settled()[count:] if isinstance(e, Upsert)}
        assert told == {world.key("web")}
        assert heard.events.count(Synced()) == 1

    def test_nothing_after_everything_is_held(self, world: World, listen: Callable[..., Listener]) -> None:
        if not world.forgets:
            return
        world.appear("web", "10.0.0.1")
        world.appear("db", "10.0.0.3")
        heard = listen(screened=True).synced()
        heard.settled()  # a read under way would see one service go, and then the other: no sudden loss
        world.forget()
        heard.until(lambda: heard.stale != "", "Stale")
        events = heard.settled()
        if getattr(heard.platform, "judges_losses", False):
            assert not [e for e in events if isinstance(e, Delete)]
        assert set(heard.endpoints(world.key("web"))) == {"10.0.0.1"}
        assert set(heard.endpoints(world.key("db"))) == {"10.0.0.3"}

    def test_a_platform_that_is_away_at_first_is_waited_for(self, world: World, listen: Callable[[], Listener]) -> None:
        world.appear("web", "10.0.0.1")
        world.go_away()
        heard = listen()
        heard.until(lambda: heard.stale != "", "Stale")
        assert Synced() not in heard.events
        world.come_back()
        heard.synced()
        assert set(heard.endpoints(world.key("web"))) == {"10.0.0.1"}

    def test_endpoints_name_their_platform_and_are_told_apart(
        self, world: World, listen: Callable[[], Listener]
    ) -> None:
        world.appear("web", "10.0.0.1", "10.0.0.2")
        found = listen().synced().services[world.key("web")]
        assert {e.platform for e in found.endpoints} == {getattr(world, "name", "")} - {""} or all(
            e.platform for e in found.endpoints
        )
        assert len({e.instance for e in found.endpoints}) == 2
        names = {port.name for port in found.ports}
        assert all({name for name, _ in e.ports} <= names for e in found.endpoints)

    def test_close_ends_the_watch_and_may_be_repeated(self, world: World, listen: Callable[[], Listener]) -> None:
        world.appear("web", "10.0.0.1")
        heard = listen().synced()
        assert heard.close() < 2
        heard.platform.close()
        assert heard.error is None

    def test_close_ends_the_watch_of_a_platform_that_is_away(
        self, world: World, listen: Callable[[], Listener]
    ) -> None:
        world.go_away()
        heard = listen()
        heard.until(lambda: heard.stale != "", "Stale")
        assert heard.close() < 2

    def test_close_before_watch_ends_it_at_once(self, world: World) -> None:
        platform = world.platform()
        platform.close()
        assert Listener(platform).close() < 2
