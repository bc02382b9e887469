"""A change does again what it can have changed, and what came out equal is the same object."""

from __future__ import annotations

import attrs
import pytest

from galley.config import Config, ConfigObject
from galley.kinds.destination_rule import Subset
from galley.kinds.gateway import Gateway, Server, ServerPort
from galley.kinds.virtual_service import HTTPMatchRequest, HTTPRoute
from pilot.generate import Generator
from pilot.model.catalog import Catalog
from pilot.model.proxy import Inbound, OutboundView, ProxyView, Upstream
from pilot.model.service import Endpoint, Service
from pilot.model.snapshot import Snapshot
from pilot.xds.resource import CDS, EDS, LDS, ORDER, RDS, SDS, Resources
from tests.unit.pilot.plan.world import destination_rule, endpoint, service, snapshot, to, virtual_service

PLAIN = ProxyView()
WITH_INBOUND = ProxyView(inbound=(Inbound(8080),))
PROXYLESS = ProxyView(proxyless=True)
WEB = service("web.example", endpoints=[endpoint("10.0.0.1")])
API = service("api.example", endpoints=[endpoint("10.0.0.9")])
RULE = destination_rule("web.example", subsets=(Subset("v1"),))
BEFORE = snapshot(WEB, API, RULE)


@pytest.fixture
def generator() -> Generator:
    """One that has told a plain proxy of `BEFORE`."""
    found = Generator()
    found.update(BEFORE)
    found.resources(PLAIN)
    return found


def with_service(changed: Service, before: Snapshot = BEFORE) -> Snapshot:
    """The same configuration, and the service put in or replaced."""
    services = {**before.catalog.services, changed.key: changed}
    return Snapshot(Catalog(services), before.config)


def with_endpoints(*endpoints: Endpoint) -> Snapshot:
    return with_service(attrs.evolve(WEB, endpoints=endpoints))


def with_config_again() -> Snapshot:
    """Another Config that says the same."""
    return Snapshot(BEFORE.catalog, Config.of(BEFORE.config.objects()))


def same_sets(one: Resources, other: Resources) -> set[str]:
    """The types whose set is the very same object."""
    return {type_url for type_url in ORDER if one[type_url] is other[type_url]}


ALL = set(ORDER)


def test_before_any_update_there_is_a_listener_and_nothing_behind_it() -> None:
    found = Generator().resources(PLAIN)
    assert {type_url: list(found[type_url].resources) for type_url in ORDER} == {
        CDS: [],
        EDS: [],
        LDS: ["virtualOutbound"],
        RDS: ["15001"],
        SDS: [],
    }


def test_asked_twice_it_answers_with_the_same_object(generator: Generator) -> None:
    assert generator.resources(PLAIN) is generator.resources(PLAIN)


def test_an_update_that_changes_nothing_leaves_every_set_as_it_is(generator: Generator) -> None:
    before, encoded = generator.resources(PLAIN), generator.encoded
    generator.update(Snapshot(Catalog(dict(BEFORE.catalog.services)), BEFORE.config))
    assert same_sets(before, generator.resources(PLAIN)) == ALL
    assert generator.encoded == encoded


def test_a_config_that_says_the_same_leaves_every_set_as_it_is(generator: Generator) -> None:
    for view in (PLAIN, WITH_INBOUND):
        before = generator.resources(view)
        generator.update(with_config_again())
        assert same_sets(before, generator.resources(view)) == ALL


def test_sets_survive_several_updates_that_nobody_asked_about(generator: Generator) -> None:
    before = generator.resources(PLAIN)
    for _ in range(3):
        generator.update(with_config_again())
    assert same_sets(before, generator.resources(PLAIN)) == ALL


def test_a_change_of_endpoints_encodes_one_resource_for_each_cluster_of_the_service(generator: Generator) -> None:
    before, encoded = generator.resources(PLAIN), generator.encoded
    generator.update(with_endpoints(endpoint("10.0.0.1"), endpoint("10.0.0.2")))
    after = generator.resources(PLAIN)
    assert generator.encoded - encoded == 2
    assert same_sets(before, after) == {SDS, CDS, LDS, RDS}
    changed = {name for name, each in after[EDS].resources.items() if each is not before[EDS].resources[name]}
    assert changed == {"outbound|80||web.example", "outbound|80|v1|web.example"}


def test_a_change_of_endpoints_that_the_proxy_does_not_see_leaves_every_set_as_it_is(generator: Generator) -> None:
    before = generator.resources(PLAIN)
    generator.update(with_endpoints(endpoint("10.0.0.1", platform="nomad", service_account="web")))
    assert same_sets(before, generator.resources(PLAIN)) == ALL


def test_a_service_that_moves_in_its_file_leaves_every_set_as_it_is(generator: Generator) -> None:
    before = generator.resources(PLAIN)
    generator.update(with_service(attrs.evolve(WEB, origin="elsewhere:7")))
    assert same_sets(before, generator.resources(PLAIN)) == ALL


def test_a_new_service_keeps_the_resources_of_the_others(generator: Generator) -> None:
    before, encoded = generator.resources(PLAIN), generator.encoded
    generator.update(with_service(service("new.example")))
    after = generator.resources(PLAIN)
    assert same_sets(before, after) == {SDS, LDS}
    assert generator.encoded - encoded == 3  # its cluster and load assignment, and the routes by host
    assert all(after[CDS].resources[name] is each for name, each in before[CDS].resources.items())


def test_an_endpoint_that_becomes_a_name_moves_into_the_cluster_and_back(generator: Generator) -> None:
    before = generator.resources(PLAIN)
    generator.update(with_endpoints(endpoint("web-1.internal")))
    assert "outbound|80||web.example" not in generator.resources(PLAIN)[EDS].resources
    generator.update(with_endpoints(endpoint("web-2.internal")))
    assert b"web-2.internal" in generator.resources(PLAIN)[CDS].resources["outbound|80||web.example"].body
    generator.update(BEFORE)
    after = generator.resources(PLAIN)
    assert [after[each].version for each in ORDER] == [before[each].version for each in ORDER]


def test_views_that_differ_in_what_is_taken_in_share_their_routes_and_endpoints(generator: Generator) -> None:
    plain, inbound = generator.resources(PLAIN), generator.resources(WITH_INBOUND)
    assert same_sets(plain, inbound) == {SDS, EDS, RDS}
    assert all(inbound[CDS].resources[name] is each for name, each in plain[CDS].resources.items())


def test_views_that_differ_in_labels_that_no_rule_asks_for_share_everything(generator: Generator) -> None:
    labelled = ProxyView(OutboundView(labels=(("app", "shop"),)))
    assert generator.resources(labelled) is generator.resources(PLAIN)


def test_views_that_differ_in_labels_that_a_rule_asks_for_share_all_but_routes() -> None:
    match = (HTTPMatchRequest(source_labels=(("app", "shop"),)),)
    generator = Generator()
    generator.update(snapshot(WEB, virtual_service("web.example", http=(HTTPRoute(match=match, route=(to(),)),))))
    plain = generator.resources(PLAIN)
    encoded = generator.encoded
    labelled = generator.resources(ProxyView(OutboundView(labels=(("app", "shop"),))))
    assert labelled[RDS].version != plain[RDS].version
    assert generator.encoded - encoded == 1


def test_a_change_of_endpoints_is_worked_out_for_every_namespace() -> None:
    generator, shop = Generator(), ProxyView(OutboundView("shop"))
    generator.update(BEFORE)
    for view in (PLAIN, shop):
        generator.resources(view)
    generator.update(with_endpoints(endpoint("10.0.0.7")))
    name = "outbound|80||web.example"
    found = [generator.resources(view)[EDS].resources[name] for view in (PLAIN, shop)]
    assert found[0] is found[1]
    assert b"10.0.0.7" in found[0].body


def test_a_view_with_upstreams_has_their_listeners_and_routes_beside_the_others(generator: Generator) -> None:
    found = generator.resources(ProxyView(upstreams=(Upstream("web", 80, 9191),)))
    assert list(found[LDS].resources) == ["127.0.0.1_9191", "virtualOutbound"]
    assert list(found[RDS].resources) == ["15001", "web.example:80"]


def test_a_grpc_client_is_told_its_targets_and_no_listener_to_open(generator: Generator) -> None:
    found = generator.resources(PROXYLESS)
    assert list(found[LDS].resources) == list(found[RDS].resources) == ["api.example:80", "web.example:80"]


def test_a_change_of_endpoints_alone_reaches_a_grpc_client_alone(generator: Generator) -> None:
    before, encoded = generator.resources(PROXYLESS), generator.encoded
    generator.update(with_endpoints(endpoint("10.0.0.1"), endpoint("10.0.0.2")))
    after = generator.resources(PROXYLESS)
    assert same_sets(before, after) == {SDS, CDS, LDS, RDS}
    assert generator.encoded - encoded == 4  # two clusters, each for the client and for the Envoy beside it
    whole = Generator()
    whole.update(with_endpoints(endpoint("10.0.0.1"), endpoint("10.0.0.2")))
    assert whole.resources(PROXYLESS)[EDS].version == after[EDS].version


def test_a_view_that_was_forgotten_is_made_again_when_asked_for(generator: Generator) -> None:
    before = generator.resources(PLAIN)
    generator.forget(PLAIN)
    generator.update(with_endpoints(endpoint("10.0.0.2")))
    generator.update(BEFORE)
    after = generator.resources(PLAIN)
    assert [after[each].version for each in ORDER] == [before[each].version for each in ORDER]


def test_forgetting_a_view_leaves_those_that_share_its_resources(generator: Generator) -> None:
    labelled = ProxyView(OutboundView(labels=(("app", "shop"),)))
    before = generator.resources(labelled)
    generator.forget(PLAIN)
    generator.update(with_endpoints(endpoint("10.0.0.2")))
    assert same_sets(before, generator.resources(labelled)) == {SDS, CDS, LDS, RDS}


def test_a_view_that_nobody_asked_for_between_two_updates_costs_nothing_any_more() -> None:
    generator, shop = Generator(), ProxyView(OutboundView("shop"))
    theirs = destination_rule("web.example", namespace="shop", subsets=(Subset("v2"),))
    before = snapshot(WEB, RULE, theirs)
    generator.update(before)
    generator.resources(PLAIN)
    generator.update(with_service(attrs.evolve(WEB, endpoints=(endpoint("10.0.0.2"),)), before))
    generator.resources(shop)
    encoded = generator.encoded
    generator.update(with_service(attrs.evolve(WEB, endpoints=(endpoint("10.0.0.3"),)), before))
    assert generator.encoded - encoded == 2  # the whole and v2; v1 is seen by nobody any more


def test_forgetting_what_was_never_asked_for_is_nothing(generator: Generator) -> None:
    generator.forget(WITH_INBOUND)


def test_a_forgotten_view_costs_nothing_any_more(generator: Generator) -> None:
    generator.forget(PLAIN)
    generator.update(with_endpoints(endpoint("10.0.0.2")))
    encoded = generator.encoded
    generator.update(with_endpoints(endpoint("10.0.0.3")))
    assert generator.encoded == encoded


def test_a_router_shares_what_is_encoded_of_services_and_listens_as_gateways_say(generator: Generator) -> None:
    before = generator.encoded
    server = Server(ServerPort(80, "HTTP", "http"), hosts=("*",))
    edge = ConfigObject("Gateway", "default", "edge", Gateway((server,)))
    generator.update(snapshot(WEB, API, RULE, edge))
    found = generator.resources(ProxyView(OutboundView(labels=(("any", "label"),)), router=True))
    plain = generator.resources(PLAIN)
    assert generator.encoded == before + 2
    assert list(found[LDS].resources) == ["0.0.0.0_80"]
    assert list(found[RDS].resources) == ["http.80"]
    for type_url in (CDS, EDS):
        assert found[type_url].version == plain[type_url].version


def test_a_router_is_told_of_endpoints_that_change() -> None:
    generator = Generator()
    router = ProxyView(router=True)
    generator.update(BEFORE)
    before = generator.resources(router)
    generator.update(with_endpoints(endpoint("10.0.0.2")))
    after = generator.resources(router)
    assert same_sets(before, after) == ALL - {EDS}
    assert after[LDS].resources == {}
