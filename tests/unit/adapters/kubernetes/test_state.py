"""A change makes anew what it touches, and nothing else."""

from __future__ import annotations

from adapters.kubernetes import objects
from adapters.kubernetes.objects import Pod, ServiceObject, Slice
from adapters.kubernetes.state import Cluster
from kubeapi.resource import Key
from pilot.model.service import Locality
from tests.contract.kubernetes_objects import endpoint, endpoint_slice, node, pod, service

WEB, DB = ("default", "web"), ("default", "db")


class World:
    """The mappings of a mirror, and a cluster over them."""

    def __init__(self) -> None:
        self.services: dict[Key, ServiceObject] = {}
        self.slices: dict[Key, Slice] = {}
        self.pods: dict[Key, Pod] = {}
        self.nodes: dict[Key, Locality] = {}
        self.cluster = Cluster([self.services], [self.slices], [self.pods], self.nodes, "cluster.local", "kubernetes")
        for name in ("web", "db"):
            self.services["default", name] = objects.service(service(name))
            self.pods["default", f"{name}-a"] = objects.pod(pod(f"{name}-a", node="n"))
            self.put(f"{name}-1", name, f"{name}-a")
        self.cluster.pods_touched(self.pods)

    def put(self, name: str, of: str, *pods: str) -> set[Key]:
        endpoints = [endpoint(f"10.0.0.{number}", each) for number, each in enumerate(pods)]
        self.slices["default", name] = objects.endpoint_slice(endpoint_slice(name, of, endpoints))
        return self.cluster.slices_touched([("default", name)])


def test_a_slice_touches_the_service_it_belongs_to_and_the_one_it_belonged_to() -> None:
    world = World()
    assert world.put("web-1", "web", "web-a", "web-b") == {WEB}
    assert world.put("web-1", "db", "web-a") == {WEB, DB}
    del world.slices["default", "web-1"]
    assert world.cluster.slices_touched([("default", "web-1")]) == {DB}


def test_a_pod_touches_the_services_it_is_behind() -> None:
    world = World()
    world.put("db-2", "db", "web-a")
    assert world.cluster.pods_touched([("default", "web-a")]) == {WEB, DB}
    assert world.cluster.pods_touched([("default", "other")]) == set()


def test_a_node_touches_the_services_with_a_pod_there() -> None:
    world = World()
    world.nodes["", "n"] = objects.node(node("n", **{"topology.kubernetes.io/region": "eu"}))
    assert world.cluster.nodes_touched([("", "n")]) == {WEB, DB}
    (made, _) = world.cluster.make([WEB, DB])
    assert made.service is not None
    assert [e.locality for e in made.service.endpoints] == [Locality("eu")]


def test_what_is_gone_is_made_into_nothing() -> None:
    world = World()
    del world.services[WEB]
    (made,) = world.cluster.make(world.cluster.services_touched([WEB]))
    assert (made.service, made.problems) == (None, ())
