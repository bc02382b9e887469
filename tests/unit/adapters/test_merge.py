"""Services of many platforms become one catalog."""

from __future__ import annotations

import pytest

from adapters.merge import Merger
from adapters.platform import Delete, Fresh, Problem, Resolved, Stale, Synced, Upsert
from pilot.model.service import Endpoint, Port, Protocol, Service, ServiceKey

KEY = ServiceKey("default", "web.example")


def service(*addresses: str, ports: tuple[Port, ...] = (Port("http", 80, Protocol.HTTP),), origin: str = "") -> Service:
    endpoints = tuple(Endpoint(a, tuple((p.name, 8000 + p.number) for p in ports), f"i-{a}") for a in addresses)
    return Service(KEY, ports, endpoints, origin=origin)


def merged(first: Service, second: Service) -> tuple[Service, Merger]:
    merger = Merger(["static", "consul"])
    merger.apply("consul", Upsert(second))
    merger.apply("static", Upsert(first))
    return merger.catalog().services[KEY], merger


def test_a_service_of_two_platforms_is_one_with_the_endpoints_of_both() -> None:
    found, merger = merged(service("10.0.0.1", origin="a.yaml:1"), service("10.0.0.2", origin="consul web"))
    assert [(e.address, e.platform) for e in found.endpoints] == [("10.0.0.1", "static"), ("10.0.0.2", "consul")]
    assert found.origin == "a.yaml:1, consul web"
    assert merger.conflicts() == ()


def test_ports_are_united_by_number() -> None:
    other = (Port("http", 80, Protocol.HTTP), Port("grpc", 90, Protocol.GRPC))
    found, _ = merged(service("10.0.0.1"), service("10.0.0.2", ports=other))
    assert found.ports == other
    assert [dict(e.ports) for e in found.endpoints] == [{"http": 8080}, {"http": 8080, "grpc": 8090}]


def test_on_a_disagreement_the_first_platform_wins_and_a_problem_says_so() -> None:
    found, merger = merged(service("10.0.0.1"), service("10.0.0.2", ports=(Port("web", 80, Protocol.TCP),)))
    assert found.ports == (Port("http", 80, Protocol.HTTP),)
    assert [dict(e.ports) for e in found.endpoints] == [{"http": 8080}, {"http": 8080}]
    assert "port 80" in merger.conflicts()[0].where
    merger.apply("consul", Upsert(service("10.0.0.2")))
    assert merger.conflicts() == ()


def test_an_unspecified_protocol_is_no_opinion() -> None:
    found, merger = merged(service("10.0.0.1", ports=(Port("default", 80),)), service("10.0.0.2"))
    assert found.ports == (Port("http", 80, Protocol.HTTP),)
    assert [dict(e.ports) for e in found.endpoints] == [{"http": 8080}, {"http": 8080}]
    assert merger.conflicts() == ()


def test_one_name_for_two_numbers_is_told_apart() -> None:
    other = (Port("http", 8080, Protocol.HTTP),)
    found, merger = merged(service("10.0.0.1"), service("10.0.0.2", ports=other))
    assert [p.name for p in found.ports] == ["http", "http-8080"]
    assert dict(found.endpoints[1].ports) == {"http-8080": 16080}
    assert "port 8080" in merger.conflicts()[0].where


def test_catalogs_share_what_did_not_change() -> None:
    merger = Merger(["static"])
    other = ServiceKey("default", "db.example")
    merger.apply("static", Upsert(service("10.0.0.1")))
    merger.apply("static", Upsert(Service(other, ())))
    before = merger.catalog()
    assert merger.apply("static", Upsert(service("10.0.0.2")))
    after = merger.catalog()
    assert after.changed(before) == {KEY}
    assert after.services[other] is before.services[other]
    assert merger.catalog() is after


def test_what_changes_nothing_is_no_new_catalog() -> None:
    merger = Merger(["static"])
    merger.apply("static", Upsert(service("10.0.0.1")))
    before = merger.catalog()
    assert not merger.apply("static", Upsert(service("10.0.0.1")))
    assert not merger.apply("static", Delete(ServiceKey("default", "unknown")))
    assert merger.catalog() is before


def test_a_service_goes_with_its_last_platform() -> None:
    _, merger = merged(service("10.0.0.1"), service("10.0.0.2"))
    merger.apply("static", Delete(KEY))
    assert [e.address for e in merger.catalog().services[KEY].endpoints] == ["10.0.0.2"]
    merger.apply("consul", Delete(KEY))
    assert KEY not in merger.catalog().services


def test_the_status_of_platforms() -> None:
    merger = Merger(["static", "consul"])
    problem = Problem("a.yaml:3:1", "what is this")
    for event in (Upsert(service("10.0.0.1", "10.0.0.2")), Synced(), problem, Stale("away")):
        merger.apply("static", event)
    static, consul = merger.status()
    assert (static.name, static.synced, static.stale, static.problems) == ("static", True, "away", (problem,))
    assert (static.services, static.endpoints, static.changes) == (1, 2, 1)
    assert (consul.synced, merger.synced) == (False, False)
    merger.apply("static", Fresh())
    merger.apply("static", Resolved("a.yaml:3:1"))
    merger.apply("static", Resolved("unknown"))
    merger.apply("static", Delete(KEY))
    merger.apply("consul", Synced())
    static = merger.status()[0]
    assert (static.stale, static.problems, static.services, static.endpoints, static.changes) == ("", (), 0, 0, 2)
    assert merger.synced


def test_names_are_unique_and_known() -> None:
    with pytest.raises(ValueError, match="unique"):
        Merger(["consul", "consul"])
    with pytest.raises(KeyError):
        Merger(["consul"]).apply("nomad", Synced())
