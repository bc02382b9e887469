"""Who a name means, and which rules apply to it."""

from __future__ import annotations

import pytest

from galley.kinds.destination_rule import OutlierDetection, TrafficPolicy
from galley.kinds.selector import WorkloadSelector
from galley.kinds.virtual_service import HTTPMatchRequest, HTTPRoute, L4MatchAttributes, TCPRoute
from pilot.model.proxy import OutboundView
from pilot.plan.index import nearest, short_name
from tests.unit.pilot.plan.world import destination_rule, index, service, virtual_service

SHOP = WorkloadSelector((("app", "shop"),))
MINE = service("web.default.svc", namespace="default")
THEIRS = service("web.shop.svc", namespace="shop")


@pytest.mark.parametrize(
    ("name", "namespace", "found"),
    [
        ("web.shop.svc", "default", THEIRS),
        ("web", "default", MINE),
        ("web", "shop", THEIRS),
        ("web", "elsewhere", MINE),
        ("web.shop", "shop", None),
        ("db", "default", None),
    ],
)
def test_a_full_host_is_itself_and_a_short_name_is_looked_up_near_by_first(
    name: str, namespace: str, found: object
) -> None:
    assert index(MINE, THEIRS).hosts.find(name, namespace) is found


def test_a_service_named_by_one_word_is_found_before_others_that_begin_with_it() -> None:
    plain = service("web")
    assert index(MINE, plain).hosts.find("web", "default") is plain


def test_one_host_in_two_namespaces_is_seen_once_and_as_the_own_one() -> None:
    own, other = service(namespace="shop"), service(namespace="default")
    assert index(own, other).hosts.visible("shop") == (own,)
    assert index(own, other).hosts.visible("default") == (other,)
    assert index(own, other).hosts.visible("elsewhere") == (other,)


def test_nothing_is_near_where_nothing_is() -> None:
    assert nearest((), "default") is None


def test_a_short_name_is_the_first_label() -> None:
    assert short_name("web.default.svc") == "web"


def test_a_rule_may_name_its_host_short() -> None:
    rule = destination_rule("web", namespace="shop")
    assert index(MINE, THEIRS, rule).destination_rules.matching(THEIRS, "shop") == (rule,)
    assert index(MINE, THEIRS, rule).destination_rules.matching(MINE, "shop") == ()


def test_the_clients_namespace_wins_over_the_services_and_that_over_any() -> None:
    web = service(namespace="home")
    client, home, other = (destination_rule(namespace=each) for each in ("client", "home", "other"))
    assert index(web, client, home, other).destination_rules.matching(web, "client") == (client,)
    assert index(web, client, home, other).destination_rules.matching(web, "elsewhere") == (home,)
    assert index(web, other).destination_rules.matching(web, "elsewhere") == (other,)


def test_a_wildcard_matches_what_is_below_it_and_nothing_else() -> None:
    rule = destination_rule("*.example")
    found = index(rule).destination_rules
    assert found.matching(service("web.example"), "default") == (rule,)
    assert found.matching(service("a.web.example"), "default") == (rule,)
    assert found.matching(service("example"), "default") == ()
    assert found.matching(service("webexample"), "default") == ()


def test_the_longest_wildcard_wins() -> None:
    wide, narrow = destination_rule("*.example"), destination_rule("*.shop.example")
    assert index(wide, narrow).destination_rules.matching(service("web.shop.example"), "default") == (narrow,)


def test_a_rule_that_names_the_host_wins_over_every_wildcard() -> None:
    named, wide = destination_rule("web.example", name="z"), destination_rule("*.web.example", name="a")
    web = service("web.example")
    assert index(web, named, wide).destination_rules.matching(web, "default") == (named,)


def test_of_several_virtual_services_the_first_by_name_is_in_force() -> None:
    web, first, second = (
        service(),
        virtual_service("web.example", name="a"),
        virtual_service("web.example", name="b"),
    )
    assert index(web, second, first).virtual_service(web, "default") is first


def test_hosts_that_no_platform_knows_are_told_by_name_wildcards_last() -> None:
    rule = virtual_service("z.example", "a.example", "web", "*.wild.example")
    found = index(service(), rule).hosts_without_service("default")
    assert found == (("a.example", rule), ("z.example", rule), ("*.wild.example", rule))


def test_a_host_that_no_platform_knows_has_the_rule_of_the_clients_own_namespace_first() -> None:
    ours, theirs = (virtual_service("a.example", name=name, namespace=name) for name in ("our", "other"))
    found = index(ours, theirs)
    assert found.hosts_without_service("our") == (("a.example", ours),)
    assert found.hosts_without_service("third") == (("a.example", theirs),)


def test_a_virtual_service_holds_where_it_is_exported_to() -> None:
    web = service()

    def seen_by(export_to: tuple[str, ...]) -> list[bool]:
        found = index(web, virtual_service("web.example", http=(), export_to=export_to))
        return [found.virtual_service(web, namespace) is not None for namespace in ("default", "shop", "home")]

    seen = {export_to: seen_by(export_to) for export_to in ((), ("*",), (".",), ("shop",), (".", "shop"), ("~",))}
    assert seen == {
        (): [True, True, True],
        ("*",): [True, True, True],
        (".",): [True, False, False],
        ("shop",): [False, True, False],
        (".", "shop"): [True, True, False],
        ("~",): [False, False, False],
    }


def test_rules_for_gateways_alone_are_kept_apart_from_those_for_the_mesh() -> None:
    web = service()
    edge = virtual_service("web.example", name="a", gateways=("edge",), http=())
    both = virtual_service("web.example", name="b", gateways=("edge", "mesh"), http=())
    found = index(web, edge, both)
    assert found.virtual_service(web, "default") is both
    assert found.routing == (edge, both)


def test_source_labels_are_the_keys_that_any_match_asks_for() -> None:
    match = HTTPMatchRequest(source_labels=(("app", "shop"), ("version", "v1")))
    tcp = TCPRoute((L4MatchAttributes(source_labels=(("tier", "1"),)),))
    rule = virtual_service("web.example", http=(HTTPRoute(match=(match,)),), tcp=(tcp,))
    assert index(rule).source_labels == {"app", "version", "tier"}


def test_a_destination_rule_holds_where_it_is_exported_to() -> None:
    web = service("web.example", namespace="shop")
    private = destination_rule("web.example", name="private", namespace="shop", export_to=(".",))
    named = destination_rule("web.example", name="named", namespace="shop", export_to=("cart",))
    wide = destination_rule("*.example", name="wide", namespace="shop")
    world = index(web, private, named, wide)
    seen = {where: world.destination_rules.matching(web, where) for where in ("shop", "cart", "elsewhere")}
    assert seen == {"shop": (private,), "cart": (named,), "elsewhere": (wide,)}


def test_a_rule_with_a_selector_comes_before_those_without_for_clients_that_it_takes_in() -> None:
    web = service("web.example")
    general = destination_rule("web.example", name="a-general")
    selecting = destination_rule("web.example", name="b-selecting", workload_selector=SHOP)
    elsewhere = destination_rule("web.example", name="c-elsewhere", namespace="other", workload_selector=SHOP)
    world = index(web, general, selecting, elsewhere)
    shop, cart = OutboundView(labels=(("app", "shop"),)), OutboundView(labels=(("app", "cart"),))
    assert world.destination_rules_for(web, shop) == (selecting,)
    assert world.destination_rules_for(web, cart) == (general,)
    assert world.destination_rules_for(web, OutboundView("other", labels=(("app", "shop"),))) == (elsewhere,)


def test_rules_with_one_selector_are_merged_and_others_stay_apart() -> None:
    web = service("web.example")
    one, two = (destination_rule("web.example", name=name, workload_selector=SHOP) for name in ("a", "b"))
    narrow = WorkloadSelector((("app", "shop"), ("stage", "test")))
    other = destination_rule("web.example", name="c", workload_selector=narrow)
    view = OutboundView(labels=(("app", "shop"), ("stage", "test")))
    assert index(web, one, two, other).destination_rules_for(web, view) == (one, two)


def test_the_index_knows_whether_places_matter() -> None:
    assert not index(destination_rule("web.example")).asks_for_locality
    detecting = TrafficPolicy(outlier_detection=OutlierDetection())
    assert index(destination_rule("web.example", traffic_policy=detecting)).asks_for_locality
