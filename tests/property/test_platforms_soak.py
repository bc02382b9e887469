"""A day of change on a platform, compressed: what is told always comes to a fresh listing, and nothing piles up.

Seeded, so that a failure can be looked at again. A change a minute; every hour the fold of all events is compared with
what a platform that begins now tells, and at the end the world is as it was after an hour, so that memory can be.
"""

from __future__ import annotations

import gc
import json
import random
import tracemalloc
from collections.abc import Iterator
from functools import partial

import attrs
import pytest

from adapters.merge import Merger
from adapters.platform import Upsert
from adapters.screen import Limits, Screen
from adapters.static.files import Answer, Files, Unchanged
from pilot.model.service import Service, ServiceKey
from tests.contract.consul_server import ConsulServer
from tests.contract.platform_suite import Listener
from tests.contract.test_consul import ConsulWorld

HOURS, CHANGES_AN_HOUR = 24, 60
NAMES = tuple(f"service-{number}" for number in range(12))
FEWEST = 4
"""Services that Consul has at all times: the loss of all that was known is held, and is not what this is about."""
WARM = 4
"""Hours after which memory is looked at first: caches have filled then."""
GROWTH = 200.0
"""Kilobytes that may come on top until the end; a change that left a service behind would cost a thousand."""


def without_origin(services: dict[ServiceKey, Service]) -> dict[ServiceKey, Service]:
    """Coordinates of a service stay those that were told first."""
    return {key: attrs.evolve(each, origin="") for key, each in services.items()}


def kilobytes() -> float:
    """What adapters, and the JSON that they read, hold; not what the server in this process does."""
    gc.collect()
    chosen = [tracemalloc.Filter(True, pattern) for pattern in ("*/adapters/*", "*/json/decoder.py")]
    return sum(each.size for each in tracemalloc.take_snapshot().filter_traces(chosen).traces) / 1024


@pytest.fixture
def traced() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


class StaticWorld:
    """Some files with services in them, some of the time broken or gone."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.files: dict[str, bytes] = {}

    def change(self) -> dict[str, Answer]:
        name = f"{self.chance.choice('abc')}.yaml"
        what = self.chance.random()
        if what < 0.1 and len(self.files) > 1:
            self.files.pop(name, None)
        else:
            self.files[name] = self.document(name) if what < 0.9 else b"services: ["
        return {each: content if each == name else Unchanged() for each, content in self.files.items()}

    def document(self, name: str) -> bytes:
        own = [each for each in NAMES if hash_of(each) % 3 == "abc".index(name[0])]
        chosen = self.chance.sample(own, self.chance.randint(1, len(own)))
        return json.dumps({"services": [self.service(each) for each in chosen]}).encode()

    def service(self, name: str) -> dict[str, object]:
        addresses = self.chance.sample(range(1, 30), self.chance.randint(0, 6))
        endpoints = [
            {"address": f"10.0.0.{each}", "port": 8080, "weight": self.chance.randint(0, 5)} for each in addresses
        ]
        return {"name": name, "ports": [{"port": 80, "protocol": "HTTP"}], "endpoints": endpoints}

    def calm(self) -> dict[str, Answer]:
        """One state of the world that is always the same."""
        chance, self.chance = self.chance, random.Random(1)
        self.files = {f"{letter}.yaml": self.document(f"{letter}.yaml") for letter in "abc"}
        self.chance = chance
        return dict(self.files)


def hash_of(name: str) -> int:
    return sum(name.encode())


@pytest.mark.usefixtures("traced")
def test_a_day_of_changes_in_static_files() -> None:
    world, merger, files = StaticWorld(random.Random(42)), Merger(["static"]), Files("static")
    screen = Screen(Limits(hold=0.0))
    first, minute = 0.0, 0
    for hour in range(HOURS):
        for _ in range(CHANGES_AN_HOUR):
            minute += 1
            for event in files.told(world.change(), may_lose=True):
                for believed in screen.take(event, minute * 60.0):
                    merger.apply("static", believed)
            merger.catalog()
        for event in files.told(world.calm(), may_lose=True):
            for believed in screen.take(event, minute * 60.0):
                merger.apply("static", believed)
        fresh = [e.service for e in Files("static").told(dict(world.files), may_lose=True) if isinstance(e, Upsert)]
        assert without_origin(dict(merger.catalog().services)) == without_origin({each.key: each for each in fresh})
        assert merger.status()[0].problems == ()
        if hour == WARM:
            first = kilobytes()
    assert kilobytes() - first < GROWTH


class ConsulChurn:
    """Instances that come, go, fail and recover."""

    def __init__(self, world: ConsulWorld, chance: random.Random) -> None:
        self.world, self.chance = world, chance
        self.there: dict[str, list[str]] = {}

    def change(self) -> None:
        name = self.chance.choice(NAMES)
        addresses = [f"10.0.0.{each}" for each in self.chance.sample(range(1, 30), self.chance.randint(1, 5))]
        if name not in self.there:
            self.world.appear(name, *addresses)
            self.there[name] = addresses
        else:
            self.chance.choice((self.scale, self.fail, self.recover, self.vanish))(name, addresses)

    def scale(self, name: str, addresses: list[str]) -> None:
        self.world.scale(name, *addresses)
        self.there[name] = addresses

    def fail(self, name: str, _: list[str]) -> None:
        self.world.fail(name, self.chance.choice(self.there[name]))

    def recover(self, name: str, _: list[str]) -> None:
        self.world.recover(name, self.chance.choice(self.there[name]))

    def vanish(self, name: str, _: list[str]) -> None:
        if len(self.there) > FEWEST:
            self.world.vanish(name)
            del self.there[name]


@pytest.fixture
def consul() -> Iterator[ConsulWorld]:
    server = ConsulServer()
    server.start()
    yield ConsulWorld(server)
    server.stop()


@pytest.mark.usefixtures("traced")
def test_a_day_of_changes_in_consul(consul: ConsulWorld) -> None:
    """Every hour is told as a burst: what is read in between is not under the test's control, the outcome is."""
    churn = ConsulChurn(consul, random.Random(42))
    while len(churn.there) < FEWEST:
        churn.change()
    heard, first = Listener(consul.platform()).synced(), 0.0
    try:
        for hour in range(HOURS):
            for _ in range(CHANGES_AN_HOUR):
                churn.change()
            compare(heard, consul, hour)
            heard.events.clear()  # the listener keeps all it heard; the platform must not
            if hour == WARM:
                first = kilobytes()
        assert kilobytes() - first < GROWTH
    finally:
        heard.close()


def compare(heard: Listener, consul: ConsulWorld, hour: int) -> None:
    """With a platform that begins now, and is forgotten afterwards."""
    fresh = Listener(consul.platform()).synced()
    try:
        heard.until(partial(same, heard, fresh), f"a fresh listing in hour {hour}", 20.0)
        assert (heard.stale, heard.problems) == ("", {})
    finally:
        fresh.close()


def same(heard: Listener, fresh: Listener) -> bool:
    return heard.services == fresh.services
