"""Services of many platforms become one catalog."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from adapters.merge import Merger
from adapters.platform import Delete, Fresh, Problem, Resolved, Stale, Synced, Upsert
from adapters.settings import Arrangement, Network, PlatformSettings
from pilot.model.service import Endpoint, NetworkGateway, Port, Protocol, Resolution, Service, ServiceKey

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


def test_one_port_under_two_numbers_is_served_under_both_by_all() -> None:
    other = (Port("http", 8080, Protocol.HTTP),)
    found, merger = merged(service("10.0.0.1"), service("10.0.0.2", ports=other))
    assert found.ports == (Port("http", 80, Protocol.HTTP), Port("http-8080", 8080, Protocol.HTTP))
    assert [dict(e.ports) for e in found.endpoints] == [
        {"http": 8080, "http-8080": 8080},
        {"http": 16080, "http-8080": 16080},
    ]
    assert merger.conflicts() == ()


def test_one_name_for_two_protocols_is_two_ports_and_a_problem() -> None:
    found, merger = merged(service("10.0.0.1"), service("10.0.0.2", ports=(Port("http", 90, Protocol.TCP),)))
    assert found.ports == (Port("http", 80, Protocol.HTTP), Port("http-90", 90, Protocol.TCP))
    assert [dict(e.ports) for e in found.endpoints] == [{"http": 8080}, {"http-90": 8090}]
    assert "they are two ports" in merger.conflicts()[0].message


def test_the_only_port_of_a_protocol_is_the_same_port_whatever_its_name() -> None:
    other = (Port("web", 8080, Protocol.HTTP), Port("db", 5432, Protocol.TCP))
    found, _ = merged(service("10.0.0.1"), service("10.0.0.2", ports=other))
    assert [dict(e.ports) for e in found.endpoints] == [
        {"http": 8080, "http-8080": 8080},
        {"http": 16080, "http-8080": 16080, "db": 13432},
    ]


def test_which_of_two_ports_of_a_protocol_is_meant_is_not_guessed() -> None:
    other = (Port("web", 8080, Protocol.HTTP), Port("admin", 9090, Protocol.HTTP))
    found, _ = merged(service("10.0.0.1"), service("10.0.0.2", ports=other))
    assert [dict(e.ports) for e in found.endpoints] == [{"http": 8080}, {"web": 16080, "admin": 17090}]


CONSUL, NOMAD = ServiceKey("default", "web.service.consul"), ServiceKey("default", "web.default.service.nomad")


def told(key: ServiceKey, *addresses: str, name: str = "web", **more: Any) -> Upsert:
    return Upsert(attrs.evolve(service(*addresses), key=key, name=name, **more))


def both(by_name: bool = True, **settings: PlatformSettings) -> Merger:
    merger = Merger(["consul", "nomad"], Arrangement(settings, by_name=by_name))
    merger.apply("nomad", told(NOMAD, "10.1.0.1"))
    merger.apply("consul", told(CONSUL, "10.0.0.1"))
    return merger


def test_one_name_on_two_platforms_is_one_service_by_all_their_hosts() -> None:
    merger = both()
    assert set(merger.catalog().services) == {CONSUL}
    found = merger.catalog().services[CONSUL]
    assert (found.host, found.aliases) == (CONSUL.host, (NOMAD.host,))
    assert [e.address for e in found.endpoints] == ["10.0.0.1", "10.1.0.1"]
    merger.apply("consul", Delete(CONSUL))
    assert merger.catalog().services[NOMAD].aliases == ()
    merger.apply("consul", told(CONSUL, "10.0.0.2"))
    assert set(merger.catalog().services) == {CONSUL}


def test_names_in_two_namespaces_and_names_where_it_is_switched_off_are_two_services() -> None:
    assert set(both(by_name=False).catalog().services) == {CONSUL, NOMAD}
    merger = both()
    elsewhere = ServiceKey("shop", NOMAD.host)
    merger.apply("nomad", Delete(NOMAD))
    merger.apply("nomad", told(elsewhere, "10.1.0.1"))
    assert set(merger.catalog().services) == {CONSUL, elsewhere}


def test_a_third_that_shares_the_host_with_one_is_one_with_both() -> None:
    merger = Merger(["consul", "nomad", "static"])
    merger.apply("static", told(NOMAD, "10.2.0.1", name=""))
    merger.apply("consul", told(CONSUL, "10.0.0.1"))
    assert set(merger.catalog().services) == {CONSUL, NOMAD}
    merger.apply("nomad", told(NOMAD, "10.1.0.1"))
    assert [e.platform for e in merger.catalog().services[CONSUL].endpoints] == ["consul", "nomad", "static"]
    merger.apply("nomad", Delete(NOMAD))
    assert set(merger.catalog().services) == {CONSUL, NOMAD}


def test_a_name_that_is_looked_up_otherwise_stays_a_service_of_its_own() -> None:
    merger = both()
    merger.apply("nomad", told(NOMAD, "web.example", resolution=Resolution.DNS))
    assert {key: each.aliases for key, each in merger.catalog().services.items()} == {CONSUL: (), NOMAD: ()}
    assert "looked up otherwise" in merger.conflicts()[0].message
    merger.apply("nomad", told(NOMAD, "10.1.0.1"))
    assert set(merger.catalog().services) == {CONSUL}
    assert merger.conflicts() == ()


def test_endpoints_carry_what_is_said_of_their_platform() -> None:
    gateways = (NetworkGateway("203.0.113.1", 8080),)
    settings = {"nomad": PlatformSettings(network="west", priority=2)}
    merger = Merger(["consul", "nomad"], Arrangement(settings, (Network("west", gateways),)))
    merger.apply("nomad", told(NOMAD, "10.1.0.1"))
    merger.apply("consul", told(CONSUL, "10.0.0.1"))
    ours, theirs = merger.catalog().services[CONSUL].endpoints
    assert (ours.priority, ours.network, ours.gateways) == (0, "", ())
    assert (theirs.priority, theirs.network, theirs.gateways) == (2, "west", gateways)


def test_platforms_come_go_and_change_places_while_running() -> None:
    merger = both()
    before = merger.catalog()
    merger.arrange(["nomad", "consul", "static"], Arrangement({"consul": PlatformSettings(priority=1)}))
    found = merger.catalog().services[NOMAD]
    assert [(e.platform, e.priority) for e in found.endpoints] == [("nomad", 0), ("consul", 1)]
    assert [each.name for each in merger.status()] == ["nomad", "consul", "static"]
    merger.arrange(["consul"], Arrangement())
    assert [e.address for e in merger.catalog().services[CONSUL].endpoints] == ["10.0.0.1"]
    merger.arrange(["consul", "nomad"], Arrangement())
    merger.apply("nomad", told(NOMAD, "10.1.0.1"))
    assert merger.catalog().services == before.services
    merger.forget("consul")
    assert set(merger.catalog().services) == {NOMAD}


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
