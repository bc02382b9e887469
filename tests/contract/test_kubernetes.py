"""The Kubernetes platform keeps the contract, against an in-process server of its API; and what that server can do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from adapters.kubernetes.options import KubernetesOptions
from adapters.kubernetes.watch import KubernetesPlatform
from adapters.platform import Delete, Synced, Upsert
from pilot.model.service import ServiceKey
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
from tests.contract.platform_suite import Listener, PlatformSuite


class KubernetesWorld:
    """Services of one slice each, whose endpoints are pods named after the service and the address."""

    forgets = True
    name = "kubernetes"

    def __init__(self, server: KubernetesServer, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self._ready: dict[str, dict[str, bool]] = {}

    def platform(self) -> KubernetesPlatform:
        return KubernetesPlatform(KubernetesOptions(kubeconfig=self.server.kubeconfig(self.folder)))

    def key(self, name: str) -> ServiceKey:
        return ServiceKey("default", f"{name}.default.svc.cluster.local")

    def appear(self, name: str, *addresses: str) -> None:
        self.server.put(SERVICES, service(name))
        self._set(name, dict.fromkeys(addresses, True))

    def scale(self, name: str, *addresses: str) -> None:
        self._set(name, dict.fromkeys(addresses, True))

    def move(self, name: str, before: str, after: str) -> None:
        self._set(name, {after if a == before else a: ready for a, ready in self._ready[name].items()})

    def fail(self, name: str, address: str) -> None:
        self._set(name, self._ready[name] | {address: False})

    def recover(self, name: str, address: str) -> None:
        self._set(name, self._ready[name] | {address: True})

    def vanish(self, name: str) -> None:
        self.server.delete(SERVICES, "default", name)
        self.server.delete(SLICES, "default", f"{name}-1")

    def break_one_object(self, name: str) -> None:
        self.server.put(SERVICES, service(name, type="ExternalName", externalName="not a name"))

    def mend_object(self, name: str) -> None:
        self.server.put(SERVICES, service(name))

    def go_away(self) -> None:
        self.server.stop()

    def come_back(self) -> None:
        self.server.start()

    def forget(self) -> None:
        self.server.forget()

    def _set(self, name: str, ready: dict[str, bool]) -> None:
        self._ready[name] = ready
        for address in ready:
            self.server.put(PODS, pod(f"{name}-{address}", labels={"app": name}))
        endpoints = [endpoint(a, f"{name}-{a}", ready=is_ready) for a, is_ready in ready.items()]
        self.server.put(SLICES, endpoint_slice(f"{name}-1", name, endpoints))


@pytest.fixture
def server() -> Iterator[KubernetesServer]:
    found = KubernetesServer()
    for collection in (SERVICES, SLICES, PODS, NODES):
        found.define(collection)
    found.start()
    yield found
    found.stop()


@pytest.fixture
def world(server: KubernetesServer, tmp_path: Path) -> KubernetesWorld:
    return KubernetesWorld(server, tmp_path)


class TestKubernetes(PlatformSuite):
    pass


Listen = Callable[..., Listener]


@pytest.fixture
def listen(server: KubernetesServer, tmp_path: Path) -> Iterator[Listen]:
    listeners: list[Listener] = []

    def start(kubeconfig: str = "", **options: object) -> Listener:
        file = kubeconfig or server.kubeconfig(tmp_path)
        found = KubernetesOptions(kubeconfig=file, **options)  # type: ignore[arg-type]
        listeners.append(Listener(KubernetesPlatform(found)))
        return listeners[-1]

    yield start
    for listener in listeners:
        listener.close()


@pytest.mark.parametrize("in_stream", [True, False], ids=["event in a 200", "status"])
def test_history_that_is_gone_is_listed_anew_with_differences_only(
    world: KubernetesWorld, listen: Listen, in_stream: bool
) -> None:
    world.server.gone_in_stream = in_stream
    world.appear("web", "10.0.0.1")
    world.appear("db", "10.0.0.3")
    heard = listen().synced()
    count = len(heard.settled())
    with world.server._changed:
        world.scale("web", "10.0.0.1", "10.0.0.2")
        world.server.compact()
    heard.until_addresses(world.key("web"), "10.0.0.1", "10.0.0.2")
    told = heard.settled()[count:]
    assert [e.service.key for e in told if isinstance(e, Upsert)] == [world.key("web")]
    assert heard.stale == ""


def test_a_watch_that_ends_goes_on_where_it_was_without_a_listing(world: KubernetesWorld, listen: Listen) -> None:
    world.appear("web", "10.0.0.1")
    heard = listen().synced()
    heard.settled()
    listings = world.server.counted("services?limit")
    world.server.cut()
    world.scale("web", "10.0.0.1", "10.0.0.2")
    heard.until_addresses(world.key("web"), "10.0.0.1", "10.0.0.2")
    assert world.server.counted("services?limit") == listings
    assert not any("Stale" in type(e).__name__ for e in heard.events)


def test_a_bookmark_is_where_the_next_watch_begins(world: KubernetesWorld, listen: Listen) -> None:
    """Services do not change while others do: without bookmarks their watch would ask for history that is gone."""
    world.server.bookmarks = True
    world.appear("web", "10.0.0.1")
    heard = listen().synced()
    world.scale("web", "10.0.0.1", "10.0.0.2")
    heard.until_addresses(world.key("web"), "10.0.0.1", "10.0.0.2")
    heard.settled()
    listings = world.server.counted("limit=500")
    with world.server._changed:
        world.server._oldest = world.server._version
        world.server.cut()
    world.scale("web", "10.0.0.2")
    heard.until_addresses(world.key("web"), "10.0.0.2")
    heard.settled()
    assert world.server.counted("limit=500") == listings


@pytest.mark.parametrize("refused", [0, 1])
def test_long_listings_come_in_pages_and_a_page_may_expire(
    world: KubernetesWorld, listen: Listen, refused: int
) -> None:
    for number in range(1101):
        world.server.put(SERVICES, service(f"s{number}"))
    world.server.refused_continues = refused
    heard = listen().synced()
    assert len(heard.services) == 1101
    assert world.server.counted("/services?limit=500&continue") == (1 if refused else 2)


def test_a_token_that_ends_is_read_again(world: KubernetesWorld, listen: Listen, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("first")
    world.server.tokens = {"first"}
    world.appear("web", "10.0.0.1")
    heard = listen(world.server.kubeconfig(tmp_path, token_file=token)).synced()
    token.write_text("second")
    world.server.tokens = {"second"}
    world.server.cut()
    world.scale("web", "10.0.0.1", "10.0.0.2")
    heard.until_addresses(world.key("web"), "10.0.0.1", "10.0.0.2")
    assert not any("Stale" in type(e).__name__ for e in heard.events)


def test_a_token_that_ended_for_good_empties_nothing(world: KubernetesWorld, listen: Listen, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("first")
    world.server.tokens = {"first"}
    world.appear("web", "10.0.0.1")
    heard = listen(world.server.kubeconfig(tmp_path, token_file=token)).synced()
    world.server.tokens = {"second"}
    world.server.cut()
    heard.until(lambda: "credentials are not accepted" in heard.stale, "Stale that names the credentials")
    assert set(heard.endpoints(world.key("web"))) == {"10.0.0.1"}
    token.write_text("second")
    heard.until(lambda: heard.stale == "", "Fresh")
    assert not [e for e in heard.events if isinstance(e, Delete)]


def test_nodes_that_may_not_be_read_are_a_problem_and_zones_remain(world: KubernetesWorld, listen: Listen) -> None:
    world.server.forbidden = {"nodes"}
    world.server.put(SERVICES, service("web"))
    world.server.put(SLICES, endpoint_slice("web-1", "web", [endpoint("10.0.0.1", zone="z1", nodeName="n1")]))
    world.server.put(NODES, node("n1", **{"topology.kubernetes.io/region": "r1"}))
    heard = listen().synced()
    assert "kubernetes nodes" in heard.problems
    assert heard.stale == ""
    assert str(heard.endpoints(world.key("web"))["10.0.0.1"].locality) == "z1"
    world.server.forbidden = set()
    heard.until(lambda: not heard.problems, "Resolved")
    heard.until(lambda: str(heard.endpoints(world.key("web"))["10.0.0.1"].locality) == "r1/z1", "the region")


def test_pods_that_may_not_be_read_keep_it_from_being_ready(world: KubernetesWorld, listen: Listen) -> None:
    world.server.forbidden = {"pods"}
    world.appear("web", "10.0.0.1")
    heard = listen()
    heard.until(lambda: "rbac.yaml" in heard.stale, "Stale that names the mend")
    assert Synced() not in heard.events


def test_too_many_requests_are_waited_out(world: KubernetesWorld, listen: Listen) -> None:
    world.appear("web", "10.0.0.1")
    world.server.overloaded = 3
    assert set(listen().synced().endpoints(world.key("web"))) == {"10.0.0.1"}


def test_only_the_namespaces_that_were_asked_for(world: KubernetesWorld, listen: Listen) -> None:
    for namespace in ("one", "two", "three"):
        world.server.put(SERVICES, service("web", namespace))
        world.server.put(PODS, pod("p", namespace, account=namespace))
        endpoints = [endpoint("10.0.0.1", "p", namespace)]
        world.server.put(SLICES, endpoint_slice("web-1", "web", endpoints, namespace))
    heard = listen(namespaces=("one", "two")).synced()
    assert {key.namespace for key in heard.services} == {"one", "two"}
    assert {e.service_account for s in heard.services.values() for e in s.endpoints} == {"one", "two"}
    assert world.server.counted("/api/v1/pods?") == 0


NONSENSE = [
    {"type": "ADDED"},
    {"type": "ADDED", "object": None},
    {"type": "ADDED", "object": {"metadata": {"resourceVersion": "x"}}},
    {"type": "ERROR", "object": {"kind": "Status", "code": 500, "message": "oops"}},
    {"type": "WHAT", "object": {"metadata": {"resourceVersion": "1", "name": "x", "namespace": "y"}}},
]


@pytest.mark.parametrize("event", NONSENSE)
def test_nonsense_in_a_watch_is_survived(world: KubernetesWorld, listen: Listen, event: dict[str, object]) -> None:
    world.appear("web", "10.0.0.1")
    heard = listen().synced()
    world.server.say(SERVICES, event)
    world.server.say(SLICES, event)
    world.scale("web", "10.0.0.1", "10.0.0.2")
    heard.until_addresses(world.key("web"), "10.0.0.1", "10.0.0.2")
    heard.until(lambda: heard.stale == "", "Fresh")


def test_a_loss_that_lasts_is_believed(world: KubernetesWorld, listen: Listen) -> None:
    world.appear("web", "10.0.0.1")
    heard = listen(empty_hold=0.5).synced()
    world.server.forget()
    heard.until(lambda: "suspect" in heard.stale, "suspicion")
    heard.until(lambda: not heard.services, "Delete")
    heard.until(lambda: heard.stale == "", "Fresh")


def test_an_endpoint_waits_for_its_pod(world: KubernetesWorld, listen: Listen) -> None:
    """Without it neither subset nor identity would be right, and both would be believed for a moment."""
    world.server.put(SERVICES, service("web"))
    world.server.put(SLICES, endpoint_slice("web-1", "web", [endpoint("10.0.0.1", "web-a")]))
    heard = listen().synced()
    assert heard.endpoints(world.key("web")) == {}
    assert [problem.where for problem in heard.problems.values()] == ["kubernetes Service default/web pod web-a"]
    world.server.put(PODS, pod("web-a", labels={"version": "v1"}, account="shop"))
    heard.until_addresses(world.key("web"), "10.0.0.1")
    found = heard.endpoints(world.key("web"))["10.0.0.1"]
    assert (found.labels, found.service_account) == ((("version", "v1"),), "shop")
    heard.until(lambda: not heard.problems, "Resolved")
