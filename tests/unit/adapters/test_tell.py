"""Only differences are told."""

from __future__ import annotations

from adapters.consul import convert
from adapters.instance import Instance
from adapters.platform import Delete, Event, Fresh, Problem, Resolved, Stale, Upsert
from adapters.tell import Told
from pilot.model.service import Endpoint, ServiceKey


def instance(address: str, namespace: str = "default", mesh_port: int = 80) -> Instance:
    return Instance(Endpoint(address, (), address), 8080, namespace, mesh_port)


def service(told: Told, instances: list[Instance]) -> list[Event]:
    return list(told.service("web", *convert.services("web", instances, "consul web")))


def test_a_service_is_told_when_it_differs_and_deleted_with_its_last_instance() -> None:
    told = Told()
    assert [type(e) for e in service(told, [instance("10.0.0.1")])] == [Upsert]
    assert list(service(told, [instance("10.0.0.1")])) == []
    assert list(service(told, [])) == [Delete(ServiceKey("default", "web.service.consul"))]
    assert list(service(told, [])) == []


def test_a_service_that_changes_its_namespace_is_another() -> None:
    told = Told()
    list(service(told, [instance("10.0.0.1")]))
    events = list(service(told, [instance("10.0.0.1", "shop")]))
    assert [type(e) for e in events] == [Upsert, Delete]


def test_problems_of_a_source_come_and_go() -> None:
    told, one, two = Told(), Problem("a", "what"), Problem("b", "what")
    assert list(told.problems("x", (one, two))) == [one, two]
    assert list(told.problems("x", (one,))) == [Resolved("b")]
    assert list(told.problems("x", (Problem("a", "other"),))) == [Problem("a", "other")]
    assert list(told.problems("x", ())) == [Resolved("a")]


def test_a_disagreement_is_told_and_resolved() -> None:
    told = Told()
    events = list(service(told, [instance("10.0.0.1"), instance("10.0.0.2", mesh_port=81)]))
    assert [type(e) for e in events] == [Upsert, Problem]
    events = list(service(told, [instance("10.0.0.1"), instance("10.0.0.2")]))
    assert events == [Resolved("consul web mesh-port")]


def test_staleness_is_told_when_its_reason_changes() -> None:
    told = Told()
    assert list(told.stale([])) == []
    assert list(told.stale(["a"])) == [Stale("a")]
    assert list(told.stale(["a"])) == []
    assert list(told.stale(["a", "b"])) == [Stale("a; b")]
    assert list(told.stale([])) == [Fresh()]
