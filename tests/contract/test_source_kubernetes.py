"""The contract of a Source, kept by the objects of a cluster; and what only a cluster does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from galley.document import Fresh, Loaded, Removed, Stale, Synced
from galley.ingest.kubernetes import KubernetesSource, unit_name
from kubeapi.access import Access
from tests.contract.kubernetes_server import KINDS, KubernetesServer
from tests.contract.source_suite import SourceContract, Watching
from tests.unit.galley.documents import virtual_service

ISTIO = "/apis/networking.istio.io"
PLURALS = {"VirtualService": "virtualservices", "DestinationRule": "destinationrules", "Sidecar": "sidecars"}
KINDS.update({plural: kind for kind, plural in PLURALS.items()})


def collection(kind: str, version: str = "v1") -> str:
    return f"{ISTIO}/{version}/{PLURALS[kind]}"


class Cluster:
    """Objects are named after their units, whatever their text says."""

    def __init__(self, server: KubernetesServer, folder: Path) -> None:
        self.server = server
        self.kubeconfig = server.kubeconfig(folder)
        self._kinds: dict[str, str] = {}

    def source(self) -> KubernetesSource:
        return KubernetesSource(Access(self.kubeconfig), discover_every=0.1)

    def put(self, unit: str, text: str) -> None:
        item: dict[str, Any] = yaml.safe_load(text)
        item["metadata"] |= {"name": unit, "namespace": "default"}
        self._kinds[unit] = item["kind"]
        self.server.put(collection(item["kind"]), item)

    def remove(self, unit: str) -> None:
        self.server.delete(collection(self._kinds[unit]), "default", unit)

    def name(self, unit: str) -> str:
        return unit_name(self._kinds[unit], ("default", unit))


@pytest.fixture
def server() -> Iterator[KubernetesServer]:
    found = KubernetesServer()
    found.start()
    yield found
    found.stop()


@pytest.fixture
def cluster(server: KubernetesServer, tmp_path: Path) -> Cluster:
    for kind in ("VirtualService", "DestinationRule"):
        server.define(collection(kind))
    return Cluster(server, tmp_path)


class TestKubernetesSource(SourceContract):
    holds_several = False
    parses = False

    @pytest.fixture
    def backend(self, cluster: Cluster) -> Cluster:
        return cluster


Watch = Callable[..., Watching]


@pytest.fixture
def watch(request: pytest.FixtureRequest, server: KubernetesServer, tmp_path: Path) -> Watch:
    """Starts watching; ends it with the test."""

    def start(**options: Any) -> Watching:
        access = Access(server.kubeconfig(tmp_path))
        watching = Watching(KubernetesSource(access, **({"discover_every": 0.1} | options)))
        request.addfinalizer(watching.end)
        return watching

    return start


def test_a_cluster_without_any_of_our_kinds_has_nothing_and_they_may_come(
    server: KubernetesServer, watch: Watch, tmp_path: Path
) -> None:
    watching = watch()
    assert watching.until_synced() == []
    cluster = Cluster(server, tmp_path)
    cluster.put("late", virtual_service())
    event = watching.until_loaded("kubernetes: VirtualService default/late")
    assert event.documents[0].body["apiVersion"] == "networking.istio.io/v1"


def test_what_only_the_server_is_concerned_with_is_no_change(cluster: Cluster, watch: Watch) -> None:
    cluster.put("a", virtual_service())
    watching = watch()
    watching.until_synced()
    there = cluster.server.get(collection("VirtualService"), "default", "a")
    there["metadata"] |= {"generation": 2, "managedFields": [{"manager": "x"}]}
    there["status"] = {"conditions": []}
    cluster.server.put(collection("VirtualService"), there)
    cluster.put("b", virtual_service())
    watching.until_loaded(cluster.name("b"))
    assert [each.unit for each in watching.seen if isinstance(each, Loaded)] == [cluster.name("a"), cluster.name("b")]


def test_an_older_version_is_read_where_there_is_no_newer_and_a_newer_takes_its_place(
    server: KubernetesServer, watch: Watch
) -> None:
    item = yaml.safe_load(virtual_service())
    item["metadata"]["namespace"] = "default"
    server.put(collection("VirtualService", "v1alpha3"), item)
    server.define(collection("DestinationRule"))  # the group has v1, which need not be a version of each kind
    watching = watch()
    (event,) = watching.until_synced()
    assert isinstance(event, Loaded)
    assert event.documents[0].body["apiVersion"] == "networking.istio.io/v1alpha3"
    server.put(collection("VirtualService"), item)
    server.undefine(collection("VirtualService", "v1alpha3"))
    event = watching.until_loaded("kubernetes: VirtualService default/reviews")
    assert event.documents[0].body["apiVersion"] == "networking.istio.io/v1"
    assert not any(isinstance(each, Removed) for each in watching.seen)


def test_a_server_that_went_away_keeps_its_objects(cluster: Cluster, watch: Watch) -> None:
    cluster.put("a", virtual_service())
    cluster.put("b", virtual_service())
    watching = watch()
    told = len(watching.until_synced()) + 1
    cluster.server.stop()
    watching.until(lambda event: isinstance(event, Stale))
    cluster.remove("b")
    cluster.server.start()
    watching.until(lambda event: isinstance(event, Fresh))
    events = [each for each in watching.seen[told:] if not isinstance(each, Stale)]
    assert events == [Removed(cluster.name("b")), Fresh()]


def test_a_listing_that_lost_everything_is_held(cluster: Cluster, watch: Watch) -> None:
    cluster.put("a", virtual_service())
    watching = watch(patience=0.5)
    watching.until_synced()
    cluster.server.forget()
    stale = watching.until(lambda event: isinstance(event, Stale))
    assert isinstance(stale, Stale)
    assert stale.reason.startswith("suspect: 1 virtualservices")
    watching.until(lambda event: event == Removed(cluster.name("a")))
    watching.until(lambda event: isinstance(event, Fresh))


def test_a_kind_that_is_gone_is_held_and_then_believed(cluster: Cluster, watch: Watch) -> None:
    cluster.put("a", virtual_service())
    watching = watch(patience=0.5)
    watching.until_synced()
    cluster.server.undefine(collection("VirtualService"))
    stale = watching.until(lambda event: isinstance(event, Stale))
    assert stale == Stale("this cluster has no /apis/networking.istio.io/v1/virtualservices")
    watching.until(lambda event: event == Removed(cluster.name("a")))
    watching.until(lambda event: isinstance(event, Fresh))


def test_one_kind_that_may_not_be_read_keeps_it_from_being_ready(cluster: Cluster, watch: Watch) -> None:
    cluster.put("a", virtual_service())
    cluster.server.forbidden = {"destinationrules"}
    watching = watch()
    stale = watching.until(lambda event: isinstance(event, Stale))
    assert isinstance(stale, Stale)
    assert "destinationrules may not be read" in stale.reason
    cluster.server.forbidden = set()
    watching.until(lambda event: isinstance(event, Synced))


def test_some_namespaces_only(cluster: Cluster, watch: Watch) -> None:
    cluster.put("a", virtual_service())
    item = cluster.server.get(collection("VirtualService"), "default", "a")
    item["metadata"]["namespace"] = "shop"
    cluster.server.put(collection("VirtualService"), item)
    watching = watch(namespaces=("shop",))
    assert [event.unit for event in watching.until_synced() if isinstance(event, Loaded)] == [
        "kubernetes: VirtualService shop/a"
    ]
