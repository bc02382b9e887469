"""A day of a cluster, generated from a seed and told in seconds: what the platform says always equals a fresh listing.

The whole platform runs, over HTTP, against the API server in this process: changes of every kind, watches that are cut,
history that is lost, outages, nonsense. Simulated time is counted in changes: one every ten seconds.
"""

from __future__ import annotations

import gc
import random
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

import pytest

from adapters.kubernetes import objects
from adapters.kubernetes.options import KubernetesOptions
from adapters.kubernetes.state import Cluster
from adapters.kubernetes.watch import KubernetesPlatform
from adapters.platform import Synced
from kubeapi.resource import Json, Key
from pilot.model.service import Service, ServiceKey
from tests.contract.kubernetes_objects import (
    NODES,
    PODS,
    SERVICES,
    SLICES,
    endpoint,
    endpoint_slice,
    node,
    pod,
    service,
)
from tests.contract.kubernetes_server import KubernetesServer
from tests.contract.platform_suite import Listener

T = TypeVar("T")
HOURS = 24
PER_CHECK = 60
"""Changes between two comparisons: ten simulated minutes."""
CHECKS_PER_HOUR = 6
GROWTH = 1_000_000
"""Bytes that may be allocated more at the end than after four hours."""


def listed(server: KubernetesServer) -> Mapping[ServiceKey, Service]:
    """What a platform that starts now would tell."""

    def read(collection: str, decode: Callable[[Json], T]) -> dict[Key, T]:
        items = server.all(collection)
        return {(i["metadata"].get("namespace", ""), i["metadata"]["name"]): decode(i) for i in items}

    services, slices = read(SERVICES, objects.service), read(SLICES, objects.endpoint_slice)
    pods, nodes = read(PODS, objects.pod), read(NODES, objects.node)
    cluster = Cluster([services], [slices], [pods], nodes, "cluster.local", "kubernetes")
    cluster.slices_touched(slices)
    cluster.pods_touched(pods)
    return {made.service.key: made.service for made in cluster.make(services) if made.service}


class Day:
    """Changes a cluster by chance, as its controllers would and as nobody should."""

    def __init__(self, server: KubernetesServer, seed: int) -> None:
        self.server = server
        self.chance = random.Random(seed)
        self.pods: dict[str, list[str]] = {}
        self.made = 0
        self.broken: set[str] = set()
        for number in range(5):
            self.move_node(number)
        for _ in range(30):
            self.appear()

    def change(self) -> None:
        """One change."""
        ways: list[tuple[Callable[[], None], int]] = [
            (self.appear, 3),
            (self.vanish, 3 if len(self.pods) > 25 else 0),
            (self.scale, 30),
            (self.fail, 30),
            (self.relabel, 10),
            (self.break_one, 2),
            (lambda: self.move_node(self.chance.randrange(5)), 1),
            (self.server.cut, 1),
        ]
        self.chance.choices([way for way, _ in ways], [weight for _, weight in ways])[0]()

    def mend(self) -> None:
        """Nothing is broken any more: what is broken keeps a state that no listing has."""
        for name in sorted(self.broken & self.pods.keys()):
            self.server.put(SERVICES, service(name))
        self.broken.clear()

    def appear(self) -> None:
        self.made += 1
        name = f"s{self.made % 60}"
        if name not in self.pods:
            self.server.put(SERVICES, service(name))
            self.pods[name] = []
            self.scale(name)

    def vanish(self) -> None:
        name = self.some()
        self.broken.discard(name)
        self.server.delete(SERVICES, "default", name)
        self.server.delete(SLICES, "default", f"{name}-1")
        for each in self.pods.pop(name):
            self.server.delete(PODS, "default", each)

    def scale(self, name: str = "") -> None:
        name = name or self.some()
        before, wanted = self.pods[name], self.chance.randint(0, 6)
        gone, kept = before[wanted:], before[:wanted]
        for _ in range(wanted - len(kept)):
            self.made += 1
            kept.append(f"{name}-{self.made}")
            self.put_pod(kept[-1])
        self.pods[name] = kept
        self.put_slice(name)
        for each in gone:
            self.server.delete(PODS, "default", each)

    def fail(self) -> None:
        self.put_slice(self.some())

    def relabel(self) -> None:
        name = self.some()
        if self.pods[name]:
            self.put_pod(self.chance.choice(self.pods[name]))

    def break_one(self) -> None:
        name = self.some()
        self.broken.add(name)
        self.server.put(SERVICES, service(name, type="ExternalName", externalName="no name"))

    def move_node(self, number: int) -> None:
        zone = {"topology.kubernetes.io/region": self.chance.choice(["eu", "us"])}
        self.server.put(NODES, node(f"n{number}", **zone))

    def lose_history(self) -> None:
        self.server.gone_in_stream = self.chance.random() < 0.5
        self.server.compact()

    def put_pod(self, name: str) -> None:
        labels = {"version": self.chance.choice(["v1", "v2", "v3"])}
        self.server.put(PODS, pod(name, labels=labels, account="shop", node=f"n{self.chance.randrange(5)}"))

    def put_slice(self, name: str) -> None:
        endpoints = [
            endpoint(f"10.0.{int(each.rsplit('-', 1)[1]) // 250 % 250}.{int(each.rsplit('-', 1)[1]) % 250}", each)
            | {"conditions": self.chance.choice(CONDITIONS)}
            for each in self.pods[name]
        ]
        self.server.put(SLICES, endpoint_slice(f"{name}-1", name, endpoints))

    def some(self) -> str:
        return self.chance.choice(sorted(self.pods))


CONDITIONS: list[dict[str, bool | None]] = [
    {"ready": True},
    {"ready": None},
    {},
    {"ready": False},
    {"ready": False, "serving": True, "terminating": True},
]


@pytest.fixture
def server() -> Iterator[KubernetesServer]:
    found = KubernetesServer()
    for collection in (SERVICES, SLICES, PODS, NODES):
        found.define(collection)
    found.bookmarks = True
    found.start()
    yield found
    found.stop()


@pytest.mark.parametrize("seed", [20261125])
def test_a_day_of_changes_ends_each_ten_minutes_as_a_fresh_listing_would(
    server: KubernetesServer, tmp_path: Path, seed: int
) -> None:
    day = Day(server, seed)
    options = KubernetesOptions(kubeconfig=server.kubeconfig(tmp_path), empty_hold=0)
    heard = Listener(KubernetesPlatform(options))
    try:
        heard.until(lambda: Synced() in heard.events, "Synced")
        early = 0
        for check in range(HOURS * CHECKS_PER_HOUR):
            if check % CHECKS_PER_HOUR == 0:
                day.lose_history()
            for _ in range(PER_CHECK):
                day.change()
            if check % 36 == 35:  # an outage every six hours, with changes meanwhile
                server.stop()
                day.scale()
                server.start()
            day.mend()
            expected = listed(server)
            heard.until(lambda expected=expected: heard.services == expected, f"check {check}")  # type: ignore[misc]
            heard.until(lambda: not heard.stale, "Fresh")
            heard.events[:] = [Synced()]
            if check == 4 * CHECKS_PER_HOUR:
                tracemalloc.start()
                early = traced(server)
        assert traced(server) - early < GROWTH
    finally:
        tracemalloc.stop()
        heard.close()


def traced(server: KubernetesServer) -> int:
    """Bytes in use, without the server's history and log."""
    server.compact()
    server.requests.clear()
    gc.collect()
    return tracemalloc.get_traced_memory()[0]
