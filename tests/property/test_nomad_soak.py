"""A day of Nomad in simulated time: whatever happened on the way, what is told equals a fresh list, and memory is flat.

Generated with a seed: deployments, canaries, scaling, crashes, drains, nodes that go down, purges, streams that are cut
and buffers that forget. The real state and the real scheduling of checks, without their threads: time is an argument.
"""

from __future__ import annotations

import gc
import json
import random
import sys
from collections.abc import Callable, Iterator

from adapters.instance import Instance
from adapters.nomad import read
from adapters.nomad.checks import Checks
from adapters.nomad.facts import Listing, ServiceName
from adapters.nomad.feed import Feed
from adapters.platform import Problem
from tests.contract.nomad_server import BUFFERED, NomadServer

HOURS = 24
STEP = 40.0
"""Simulated seconds between two changes, on average."""
COMPARE_EVERY = 600.0
SERVICES, NODES = 12, 6


class Day:
    """A Nomad, a feed that listens to it, and the clock of both."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.nomad = NomadServer()
        self.now = 0.0
        self.feed = fresh()
        self.told: dict[ServiceName, tuple[Instance, ...]] = {}
        self._heard = 0
        self._listens = False
        self._allocs = 0
        for number in range(NODES):
            self.nomad.add_node(f"n{number}")
        self.open()

    # What happens

    def change(self) -> None:
        """Something, by chance."""
        name = f"s{self.random.randrange(SERVICES)}"
        there = self.running(name)
        what = self.random.random()
        if not there or what < 0.3:
            self.start(name)
        elif what < 0.55:
            self.nomad.deregister(name, self.random.choice(there))
        elif what < 0.65:
            self.submit(name, there)
        elif what < 0.75:
            self.nomad.check(self.random.choice(there), self.random.choice(("success", "failure")))
        elif what < 0.8:
            canary = {"Canary": self.random.random() < 0.5, "Healthy": True}
            self.nomad.allocate(self.random.choice(there), name, DeploymentStatus=canary)
        elif what < 0.85:
            self.nomad.allocate(self.random.choice(there), name, ClientStatus=self.random.choice(("failed", "lost")))
        elif what < 0.9:
            node = f"n{self.random.randrange(NODES)}"
            self.nomad.add_node(node, status=self.random.choice(("ready", "ready", "down")))
        elif what < 0.92:
            for alloc in there:
                self.nomad.deregister(name, alloc)
        else:
            self.nomad.allocate(self.random.choice(there), name, DesiredTransition={"Migrate": True})
        self.collect_garbage()

    def submit(self, name: str, there: list[str]) -> None:
        """A new version of the job, which Nomad gives to what runs in place, one by one."""
        self.nomad.submit(name, name, checks=1, meta={"version": str(self.random.randrange(9))})
        version = len(self.nomad.jobs["default", name]) - 1
        for alloc in there:
            self.nomad.allocate(alloc, name, JobVersion=version, AllocModifyIndex=self.nomad.index + 1)

    def start(self, name: str) -> None:
        self._allocs += 1
        node, address = f"n{self.random.randrange(NODES)}", f"10.0.{self._allocs // 250 % 250}.{self._allocs % 250}"
        self.nomad.register(name, f"a{self._allocs}", address, node=node, tags=[f"v{self.random.randrange(3)}"])

    def running(self, name: str) -> list[str]:
        return [r["AllocID"] for r in self.nomad.registrations.values() if r["ServiceName"] == name]

    def collect_garbage(self) -> None:
        """As Nomad's own: what ended and is not registered goes, and old versions of jobs."""
        registered = {r["AllocID"] for r in self.nomad.registrations.values()}
        for alloc, found in list(self.nomad.allocations.items()):
            if alloc not in registered and found["ClientStatus"] in ("complete", "failed", "lost"):
                del self.nomad.allocations[alloc]
                self.nomad.checks.pop(alloc, None)

    # How it is heard

    def open(self) -> None:
        """The stream begins with what is buffered, which the list knows already."""
        self._listens = True
        self._heard = self.nomad.published - min(self.nomad.published, BUFFERED)
        self.feed.opened(self.now)

    def cut(self) -> None:
        self._listens = False
        self.feed.cut()

    def turn(self) -> None:
        """Everything that is due now is done, and what it changes is told."""
        if self._listens:
            count = self.nomad.published - self._heard
            lines = [json.dumps({"Events": [event]}).encode() for event in self.nomad.events[-count:] if count]
            self._heard = self.nomad.published
            for line in lines:
                self.tell(self.feed.heard(read.events(line), self.now))
        settle(self.feed, self.nomad, self.now, self.tell)

    def tell(self, names: frozenset[ServiceName]) -> None:
        for name in names:
            self.told[name] = self.feed.instances(name)

    def newcomer(self) -> Feed:
        """Somebody who comes now, and has heard of nothing but the list."""
        new = fresh()
        new.opened(self.now)
        settle(new, self.nomad, self.now, lambda names: None)
        return new

    def expected(self) -> dict[ServiceName, tuple[Instance, ...]]:
        """What somebody is told who comes now."""
        new = self.newcomer()
        return {name: new.instances(name) for name in new.names()}


def fresh() -> Feed:
    return Feed("global", "nomad", 300.0, Checks(2.0, 1000.0))


def settle(feed: Feed, nomad: NomadServer, now: float, tell: Callable[[frozenset[ServiceName]], None]) -> None:
    """Do all reading that is due."""
    if feed.list_due(now):
        tell(feed.listed(listing(nomad), now))
    for namespace, job in feed.jobs_due(now):
        versions = nomad.answer(f"/v1/job/{job}/versions", namespace)
        tell(feed.job_read((namespace, job), read.specs(versions[0]) if versions else (), now))
    while due := feed.checks_due(now):
        for alloc in due:
            body = json.dumps(nomad.checks.get(alloc, {})).encode()
            tell(feed.checks_read(alloc, read.checks(body), now))


def listing(nomad: NomadServer) -> Listing:
    """As `adapters.nomad.site` reads it."""
    problems: list[Problem] = []

    def get(path: str, namespace: str = "*") -> tuple[bytes, int]:
        answer = nomad.answer(path, namespace)
        assert answer is not None
        return json.dumps(answer[0]).encode(), answer[1]

    names, services_index = get("/v1/services")
    services = {}
    for name in read.service_names(names):
        body, index = get(f"/v1/service/{name[1]}", name[0])
        services[name] = (index, read.registrations(body, problems))
    (allocations, at), (nodes, nodes_at) = get("/v1/allocations"), get("/v1/nodes")
    nomad.requests.clear()
    assert not problems
    return Listing(services, services_index, read.allocations(allocations, []), at, read.nodes(nodes, []), nodes_at)


def hours(day: Day) -> Iterator[int]:
    """Lets a day go by, an hour at a time; compares every ten minutes."""
    compare = COMPARE_EVERY
    for hour in range(1, HOURS + 1):
        while day.now < hour * 3600:
            day.now += day.random.expovariate(1 / STEP)
            day.change()
            if day.random.random() < 0.01:
                day.cut()
                for _ in range(day.random.choice((1, 5, BUFFERED))):
                    day.change()
                day.now += 5.0
                day.open()
            day.turn()
            if day.now >= compare and not day.feed.hold.active:
                compare = day.now + COMPARE_EVERY
                day.now += 2.0  # each check is asked for once more
                day.turn()
                there = {name: instances for name, instances in day.told.items() if instances}
                assert by_identity(there) == by_identity(day.expected()), f"after {day.now:.0f} s"
        yield hour


def by_identity(told: dict[ServiceName, tuple[Instance, ...]]) -> dict[ServiceName, dict[str, Instance]]:
    return {name: {i.endpoint.instance: i for i in instances} for name, instances in told.items() if instances}


def test_a_day_of_nomad() -> None:
    """What the state holds at last is what that of a newcomer holds, but for what is remembered until the next list."""
    day = Day(seed=1)
    assert list(hours(day))[-1] == HOURS
    gc.collect()
    assert size_of(day.feed) < 2 * size_of(day.newcomer())


def size_of(root: object) -> int:
    """Bytes of everything that the state holds."""
    seen: set[int] = set()
    found, total = [root], 0
    while found:
        each = found.pop()
        if id(each) in seen or isinstance(each, type) or callable(each):
            continue
        seen.add(id(each))
        total += sys.getsizeof(each)
        found += gc.get_referents(each)
    return total
