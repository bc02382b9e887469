"""Only differences are told."""

from __future__ import annotations

from adapters.consul.convert import Instance
from adapters.consul.tell import Told
from adapters.platform import Delete, Fresh, Problem, Resolved, Stale, Upsert
from pilot.model.service import Endpoint, ServiceKey


def instance(address: str, namespace: str = "default", mesh_port: int = 80) -> Instance:
    return Instance(Endpoint(address, (), address), 8080, namespace, mesh_port)


def test_a_service_is_told_when_it_differs_and_deleted_with_its_last_instance() -> None:
    told = Told()
    assert [type(e) for e in told.service("web", [instance("10.0.0.1")])] == [Upsert]
    assert list(told.service("web", [instance("10.0.0.1")])) == []
    assert list(told.service("web", [])) == [Delete(ServiceKey("default", "web.service.consul"))]
    assert list(told.service("web", [])) == []


def test_a_service_that_changes_its_namespace_is_another() -> None:
    told = Told()
    list(told.service("web", [instance("10.0.0.1")]))
    events = list(told.service("web", [instance("10.0.0.1", "shop")]))
    assert [type(e) for e in events] == [Upsert, Delete]


def test_problems_of_a_source_come_and_go() -> None:
    told, one, two = Told(), Problem("a", "what"), Problem("b", "what")
    assert list(told.problems("x", (one, two))) == [one, two]
    assert list(told.problems("x", (one,))) == [Resolved("b")]
    assert list(told.problems("x", (Problem("a", "other"),))) == [Problem("a", "other")]
    assert list(told.problems("x", ())) == [Resolved("a")]


def test_a_disagreement_is_told_and_resolved() -> None:
    told = Told()
    events = list(told.service("web", [instance("10.0.0.1"), instance("10.0.0.2", mesh_port=81)]))
    assert [type(e) for e in events] == [Upsert, Problem]
    events = list(told.service("web", [instance("10.0.0.1"), instance("10.0.0.2")]))
    assert events == [Resolved("consul web mesh-port")]


def test_staleness_is_told_when_its_reason_changes() -> None:
    told = Told()
    assert list(told.stale([])) == []
    assert list(told.stale(["a"])) == [Stale("a")]
    assert list(told.stale(["a"])) == []
    assert list(told.stale(["a", "b"])) == [Stale("a; b")]
    assert list(told.stale([])) == [Fresh()]
