"""One story that all platforms tell alike: services appear, scale, move, fail, recover, vanish; a server restarts.

A platform takes part by a `Place` in `tests/integration/places.py`: what the story's words mean there. Places differ in
who picks addresses, so the story counts instances, and knows them by their identity.
"""

from __future__ import annotations

from typing import Protocol

from adapters.platform import Delete, Platform, Synced
from pilot.model.service import Endpoint, Health, ServiceKey
from tests.contract.platform_suite import Listener

SLOW = 60.0
"""Seconds for what the place's server does itself: starting tasks, restarting, electing a leader."""


class Place(Protocol):
    """Where services live. Each verb returns when it was said, not when it was done."""

    def platform(self) -> Platform:
        """A new platform watching this place."""

    def key(self, name: str) -> ServiceKey:
        """What the mesh calls the service."""

    def appear(self, name: str, count: int) -> None: ...

    def scale(self, name: str, count: int) -> None: ...

    def move(self, name: str, endpoint: Endpoint) -> None:
        """This instance ends, and another takes its place elsewhere."""

    def fail(self, name: str, endpoint: Endpoint) -> None: ...

    def recover(self, name: str, endpoint: Endpoint) -> None: ...

    def vanish(self, name: str) -> None: ...

    def restart(self) -> None:
        """The place's server dies; `restarted` brings it back with what it knew."""

    def restarted(self) -> None: ...


class Story:
    """What is heard from a place."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.heard = Listener(place.platform())

    def close(self) -> None:
        self.heard.close()

    def instances(self, name: str) -> dict[str, Endpoint]:
        service = self.heard.services.get(self.place.key(name))
        return {endpoint.instance: endpoint for endpoint in service.endpoints} if service else {}

    def until(self, name: str, healthy: int, ill: int = 0) -> dict[str, Endpoint]:
        """Wait for so many instances; answers them."""

        def there() -> bool:
            found = [endpoint.health is Health.HEALTHY for endpoint in self.instances(name).values()]
            return (found.count(True), found.count(False)) == (healthy, ill)

        self.heard.until(there, f"{name}: {healthy} healthy, {ill} not; there are {self.instances(name)}", SLOW)
        return self.instances(name)


def tell(place: Place) -> None:
    """The whole story."""
    story = Story(place)
    try:
        story.heard.synced()
        _appear_scale_move(story)
        _fail_and_recover(story)
        _restart(story)
        _vanish(story)
        assert story.heard.events.count(Synced()) == 1
    finally:
        story.close()


def _appear_scale_move(story: Story) -> None:
    story.place.appear("web", 2)
    story.place.appear("db", 1)
    story.until("db", 1)
    two = story.until("web", 2)
    story.place.scale("web", 3)
    three = story.until("web", 3)
    assert two.keys() < three.keys()
    moved = next(iter(two.values()))
    story.place.move("web", moved)
    story.heard.until(lambda: moved not in story.instances("web").values(), f"{moved} moved", SLOW)
    after = story.until("web", 3)
    assert len(after.keys() & three.keys()) >= 2


def _fail_and_recover(story: Story) -> None:
    victim = next(iter(story.instances("web").values()))
    story.place.fail("web", victim)
    found = story.until("web", 2, ill=1)
    assert found[victim.instance].health is Health.UNHEALTHY
    story.place.recover("web", victim)
    story.until("web", 3)


def _restart(story: Story) -> None:
    """Nobody is taken away meanwhile, and afterwards all is as before."""
    before, count = story.instances("web"), len(story.heard.events)
    story.place.restart()
    story.heard.until(lambda: story.heard.stale != "", "Stale", SLOW)
    assert story.instances("web") == before
    story.place.restarted()
    story.heard.until(lambda: story.heard.stale == "", "Fresh", SLOW)
    story.until("web", 3)
    story.until("db", 1)
    assert not [event for event in story.heard.events[count:] if isinstance(event, Delete)]


def _vanish(story: Story) -> None:
    story.place.vanish("web")
    story.heard.until(lambda: Delete(story.place.key("web")) in story.heard.events, "Delete", SLOW)
    story.until("db", 1)
