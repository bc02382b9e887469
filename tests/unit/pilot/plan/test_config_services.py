"""Services of the configuration: what becomes of entries, how they join the platforms' services, what stays as is."""

from __future__ import annotations

from typing import Any

import attrs

from galley.config import ConfigObject
from galley.kinds.service_entry import LabelSelector, Location, Resolution, ServiceEntry, ServicePort
from galley.kinds.workload_entry import WorkloadEntry
from pilot.model.catalog import Catalog
from pilot.model.service import Locality, Port, Protocol, Service, ServiceKey
from pilot.model.service import Resolution as Found
from pilot.plan.config_services import with_config_services
from pilot.plan.index import Index
from tests.unit.pilot.plan.world import HTTP, endpoint, index, service, snapshot

WEB = ServicePort(80, "HTTP", "http")


def entry(host: str = "api.example", *, name: str = "api", namespace: str = "default", **spec: Any) -> Any:
    """A service entry for one host; with the port WEB and resolution STATIC unless its spec says otherwise."""
    filled = {"ports": (WEB,), "resolution": Resolution.STATIC, **spec}
    return ConfigObject("ServiceEntry", namespace, name, ServiceEntry(hosts=(host,), **filled))


def workload(name: str, address: str = "10.1.0.1", *, namespace: str = "default", **spec: Any) -> Any:
    return ConfigObject("WorkloadEntry", namespace, name, WorkloadEntry(address, **spec))


def joined(*parts: Service | ConfigObject[Any], before: Catalog | None = None) -> Catalog:
    world = snapshot(*parts)
    return with_config_services(world.catalog, world.config, before or Catalog())


def only(catalog: Catalog, host: str = "api.example", namespace: str = "default") -> Service:
    return catalog.services[ServiceKey(namespace, host)]


def listening(found: Service) -> list[tuple[str, dict[str, int]]]:
    return [(each.address, dict(each.ports)) for each in found.endpoints]


def test_an_entry_is_a_service_of_its_namespace() -> None:
    found = only(
        joined(
            entry(
                location=Location.MESH_INTERNAL,
                addresses=("192.0.2.1",),
                subject_alt_names=("a",),
                endpoints=(
                    WorkloadEntry("10.0.0.1", (("http", 8080),), (("v", "1"),), "vm", "eu/a", 3, "shop"),
                    WorkloadEntry("10.0.0.2"),
                ),
            )
        )
    )
    assert (found.ports, found.configured, found.external) == ((Port("http", 80, Protocol.HTTP),), True, False)
    assert (found.addresses, found.subject_alt_names) == (("192.0.2.1",), ("a",))
    first, second = found.endpoints
    assert (first.labels, first.network, first.locality) == ((("v", "1"),), "vm", Locality("eu", "a"))
    assert (first.weight, first.service_account, second.weight) == (3, "shop", 1)
    assert listening(found) == [("10.0.0.1", {"http": 8080}), ("10.0.0.2", {"http": 80})]


def test_the_target_port_is_where_endpoints_listen_that_do_not_say() -> None:
    ports = (attrs.evolve(WEB, target_port=8080), ServicePort(81, "", "more"))
    found = only(joined(entry(ports=ports, endpoints=(WorkloadEntry("10.0.0.1"), WorkloadEntry("unix:///run/a")))))
    assert listening(found) == [
        ("10.0.0.1", {"http": 8080, "more": 81}),
        ("unix:///run/a", {"http": 0, "more": 0}),
    ]
    assert found.ports[1].protocol is Protocol.UNSPECIFIED


def test_what_dns_finds_is_behind_the_host_itself_unless_endpoints_are_named() -> None:
    for told, resolution in ((Resolution.DNS, Found.DNS), (Resolution.DNS_ROUND_ROBIN, Found.DNS_ROUND_ROBIN)):
        found = only(joined(entry(resolution=told)))
        assert (found.resolution, listening(found)) == (resolution, [("api.example", {"http": 80})])
    named = only(joined(entry(resolution=Resolution.DNS, endpoints=(WorkloadEntry("eu.example"),))))
    assert listening(named) == [("eu.example", {"http": 80})]


def test_without_resolution_the_proxy_looks_up_in_the_place_of_the_application() -> None:
    found = joined(entry(resolution=Resolution.NONE), entry("*.example", name="b", resolution=Resolution.NONE))
    assert only(found).resolution is Found.DNS_ROUND_ROBIN
    assert only(found, "*.example").resolution is Found.BY_REQUEST
    assert only(found, "*.example").endpoints == ()
    assert only(joined(entry("*.a", resolution=Resolution.DYNAMIC_DNS)), "*.a").resolution is Found.BY_REQUEST


def test_a_selector_takes_workloads_and_endpoints_of_its_namespace_with_all_labels() -> None:
    wanted = (("app", "shop"), ("tier", "front"))
    found = only(
        joined(
            entry(workload_selector=LabelSelector(wanted), ports=(WEB, ServicePort(90, "", "side"))),
            workload("b", "10.1.0.2", labels=wanted, ports=(("http", 8080),)),
            attrs.evolve(workload("a", "10.1.0.1", labels=wanted[1:]), labels=wanted[:1]),
            workload("c", "10.1.0.3", labels=wanted[:1]),
            workload("d", "10.1.0.4", labels=wanted, namespace="other"),
            service("old.example", endpoints=[endpoint("10.0.0.1", labels=wanted), endpoint("10.0.0.2")]),
            service("old.example", namespace="other", endpoints=[endpoint("10.0.0.3", labels=wanted)]),
        )
    )
    assert listening(found) == [
        ("10.1.0.1", {"http": 80, "side": 90}),
        ("10.1.0.2", {"http": 8080, "side": 90}),
        ("10.0.0.1", {"http": 8080, "side": 8080}),
    ]


def test_a_platform_decides_about_its_service_and_an_entry_adds_endpoints_by_port_number() -> None:
    known = service("api.example", HTTP, endpoints=[endpoint("10.0.0.1")])
    ports = (ServicePort(80, "", "web"), ServicePort(81, "", "more"))
    found = only(joined(known, entry(ports=ports, endpoints=(WorkloadEntry("10.0.9.1", (("web", 7000),)),))))
    assert (found.ports, found.configured) == (known.ports, False)
    assert listening(found) == [("10.0.0.1", {"http": 8080}), ("10.0.9.1", {"http": 7000})]
    assert only(joined(known, entry(resolution=Resolution.DNS))) is known
    other = joined(known, entry(namespace="other", endpoints=(WorkloadEntry("10.0.9.1"),)))
    assert only(other) is known


def test_entries_for_one_host_join_if_they_agree_about_resolution() -> None:
    first = entry(name="a", endpoints=(WorkloadEntry("10.0.0.1"),))
    more = entry(name="b", ports=(WEB, ServicePort(443, "TLS", "tls")), endpoints=(WorkloadEntry("10.0.0.2"),))
    found = only(joined(more, first))
    assert [port.number for port in found.ports] == [80, 443]
    assert listening(found) == [("10.0.0.1", {"http": 80}), ("10.0.0.2", {"http": 80, "tls": 443})]
    assert only(joined(first, entry(name="b", resolution=Resolution.DNS))) == only(joined(first))


def test_visibility_is_by_namespace() -> None:
    world = index(
        entry("own.example", name="a", export_to=(".",)),
        entry("told.example", name="b", export_to=("third",)),
        entry("none.example", name="c", export_to=("~",)),
        entry("all.example", name="d", export_to=("*",)),
    )
    seen = {namespace: [each.host for each in world.hosts.visible(namespace)] for namespace in ("default", "third")}
    assert seen == {"default": ["all.example", "own.example"], "third": ["all.example", "told.example"]}
    assert world.hosts.find("own.example", "third") is None


def test_a_short_name_never_means_an_entry() -> None:
    assert index(entry("api.example")).hosts.find("api", "default") is None


def test_what_did_not_change_is_the_same_object() -> None:
    parts = (
        entry(workload_selector=LabelSelector((("a", "b"),))),
        entry("other.example", name="other", endpoints=(WorkloadEntry("10.0.0.9"),)),
    )
    old = Index.of(snapshot(*parts, service("web.example", endpoints=[endpoint(labels=(("a", "b"),))])))
    same = Index.of(snapshot(*parts, service("web.example", endpoints=[endpoint(labels=(("a", "b"),))])), old)
    assert same.catalog.changed(old.catalog) == frozenset()
    new = Index.of(
        snapshot(*parts, service("web.example", endpoints=[endpoint("10.0.0.2", labels=(("a", "b"),))])), old
    )
    assert {key.host for key in new.catalog.changed(old.catalog)} == {"web.example", "api.example"}
    bare = snapshot(service())
    assert with_config_services(bare.catalog, bare.config, old.catalog) is bare.catalog
