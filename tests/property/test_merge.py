"""The merge does not depend on the order in which platforms are heard, nor on how often they repeat themselves."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.merge import Merger
from adapters.platform import Delete, Upsert
from adapters.settings import Arrangement
from pilot.model.service import Endpoint, Port, Protocol, Resolution, Service, ServiceKey

PLATFORMS = ("static", "consul", "nomad")
KEYS = tuple(ServiceKey("default", f"{name}.example") for name in ("web", "db", "api"))

ports = st.lists(
    st.builds(Port, st.sampled_from(("http", "tcp", "admin")), st.sampled_from((80, 8080)), st.sampled_from(Protocol)),
    max_size=2,
    unique_by=(lambda port: port.number, lambda port: port.name),
)


@st.composite
def services(draw: st.DrawFn) -> Service:
    own = tuple(draw(ports))
    addresses = draw(st.lists(st.sampled_from(("10.0.0.1", "10.0.0.2", "10.0.0.3")), max_size=3, unique=True))
    endpoints = tuple(Endpoint(a, tuple((p.name, p.number) for p in own), a) for a in addresses)
    label = draw(st.sampled_from(((), (("team", "a"),), (("team", "b"),))))
    origin, name = draw(st.sampled_from(("here:1", "there:2"))), draw(st.sampled_from(("", "a", "b")))
    found = draw(st.sampled_from((Resolution.ENDPOINTS,) * 4 + (Resolution.DNS,)))
    return Service(draw(st.sampled_from(KEYS)), own, endpoints, label, origin, found, name=name)


changes = st.one_of(st.builds(Upsert, services()), st.builds(Delete, st.sampled_from(KEYS)))
histories = st.lists(st.tuples(st.sampled_from(PLATFORMS), changes), max_size=12)


def told(history: Sequence[tuple[str, Upsert | Delete]]) -> Merger:
    merger = Merger(PLATFORMS)
    for platform, change in history:
        merger.apply(platform, change)
    return merger


@settings(deadline=None)
@given(histories, st.permutations(PLATFORMS))
def test_the_outcome_does_not_depend_on_which_platform_is_heard_first(
    history: list[tuple[str, Upsert | Delete]], order: list[str]
) -> None:
    one_after_the_other = sorted(history, key=lambda item: order.index(item[0]))
    first, second = told(history), told(one_after_the_other)
    assert dict(first.catalog().services) == dict(second.catalog().services)
    assert first.conflicts() == second.conflicts()


@settings(deadline=None)
@given(histories)
def test_reading_the_catalog_in_between_changes_nothing(history: list[tuple[str, Upsert | Delete]]) -> None:
    merger = Merger(PLATFORMS)
    for platform, change in history:
        merger.apply(platform, change)
        merger.catalog()
    assert dict(merger.catalog().services) == dict(told(history).catalog().services)


@settings(deadline=None)
@given(histories)
def test_what_did_not_change_is_the_same_object(history: list[tuple[str, Upsert | Delete]]) -> None:
    merger = Merger(PLATFORMS)
    for platform, change in history:
        before = merger.catalog()
        merger.apply(platform, change)
        after = merger.catalog()
        for key in before.services.keys() & after.services.keys():
            assert (before.services[key] is after.services[key]) == (before.services[key] == after.services[key])


@settings(deadline=None)
@given(histories)
def test_every_endpoint_finds_its_ports_and_names_are_unique(history: list[tuple[str, Upsert | Delete]]) -> None:
    for service in told(history).catalog().services.values():
        names = [port.name for port in service.ports]
        assert len(set(names)) == len(names)
        assert len({port.number for port in service.ports}) == len(service.ports)
        assert all(name in names for endpoint in service.endpoints for name, _ in endpoint.ports)


@settings(deadline=None)
@given(histories, st.permutations(PLATFORMS))
def test_the_order_of_platforms_may_change_while_running(
    history: list[tuple[str, Upsert | Delete]], order: list[str]
) -> None:
    changed, fresh = told(history), Merger(order)
    changed.catalog()
    changed.arrange(order, Arrangement())
    for platform, change in history:
        fresh.apply(platform, change)
    assert dict(changed.catalog().services) == dict(fresh.catalog().services)
    assert changed.conflicts() == fresh.conflicts()
