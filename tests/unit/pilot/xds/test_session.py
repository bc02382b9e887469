"""What holds for both variants, and the order among types. Numbers are those of the lines of the xDS checklist."""

from __future__ import annotations

import pytest

from pilot.envoy.discovery import new_resource
from pilot.xds.protocol import (
    DeltaDiscoveryRequest,
    DeltaSession,
    DiscoveryRequest,
    SotwSession,
    StaleNonce,
    UnknownType,
)
from pilot.xds.resource import CDS, EDS, LDS, ORDER, RDS, SDS, Resource, Resources
from tests.unit.pilot.xds.conversation import (
    Conversation,
    Nonce,
    acks,
    asks,
    assignment,
    cluster,
    drops,
    listener,
    nacks,
    route,
    silence,
    state,
    told,
)

BOTH = pytest.mark.parametrize("variant", ["sotw", "delta"])
NAMED = pytest.mark.parametrize(("type_url", "make"), [(EDS, assignment), (RDS, route)])
WILD = pytest.mark.parametrize(("type_url", "make"), [(CDS, cluster), (LDS, listener)])
STREAMS = pytest.mark.parametrize("aggregated", [True, False])


def types(aggregated: bool, type_url: str) -> tuple[str, ...]:
    return ORDER if aggregated else (type_url,)


def settled(
    variant: str, first: Resources, clusters: list[str], listeners: list[str], routes: list[str]
) -> Conversation:
    """An aggregated stream on which everything was asked for, told and accepted."""
    return (
        Conversation(variant, first)
        << asks(CDS)
        >> told(CDS, clusters, everything=clusters)
        << acks(CDS)
        << asks(EDS, *clusters)
        >> told(EDS, clusters)
        << acks(EDS)
        << asks(LDS)
        >> told(LDS, listeners, everything=listeners)
        << acks(LDS)
        << asks(RDS, *routes)
        >> told(RDS, routes)
        << acks(RDS)
        >> silence
    )


MESH = (cluster("a"), assignment("a"), cluster("b"), assignment("b"), listener("l", 1, ["r"]), route("r"))


@BOTH
def test_nothing_is_said_before_the_first_state_and_requests_are_remembered(variant: str) -> None:
    (
        Conversation(variant)
        << asks(CDS)
        >> silence
        << asks(EDS, "a")
        >> silence
        << state(cluster("a"), assignment("a"))
        >> told(CDS, ["a"], everything=["a"])
        >> told(EDS, ["a"])
        >> silence
    )


@BOTH
@STREAMS
@WILD
def test_5_an_ack_with_unchanged_names_gets_no_response(
    variant: str, aggregated: bool, type_url: str, make: type
) -> None:
    conversation = Conversation(variant, state(make("a")), types(aggregated, type_url)) << asks(type_url)
    conversation >> told(type_url, ["a"], everything=["a"]) << acks(type_url) >> silence << acks(type_url) >> silence


@BOTH
@STREAMS
@NAMED
def test_6_a_name_added_is_told_even_at_the_same_version(
    variant: str, aggregated: bool, type_url: str, make: type
) -> None:
    (
        Conversation(variant, state(make("a"), make("b")), types(aggregated, type_url))
        << asks(type_url, "a")
        >> told(type_url, ["a"])
        << acks(type_url)
        << asks(type_url, "b")
        >> told(type_url, ["b"])
        << acks(type_url)
        >> silence
    )


@BOTH
@STREAMS
@NAMED
def test_6_snapshot_create_watch_with_resource_previously_not_requested(
    variant: str, aggregated: bool, type_url: str, make: type
) -> None:
    """A name that was dropped and is asked for again is told again though it did not change."""
    (
        Conversation(variant, state(make("a"), make("b")), types(aggregated, type_url))
        << asks(type_url, "a", "b")
        >> told(type_url, ["a", "b"])
        << acks(type_url)
        << drops(type_url, "b")
        >> silence
        << asks(type_url, "b")
        >> told(type_url, ["b"])
    )


@BOTH
@STREAMS
@WILD
def test_7_a_nack_is_not_answered_by_the_same_version(
    variant: str, aggregated: bool, type_url: str, make: type
) -> None:
    bad = state(make("a", "bad"))
    (
        Conversation(variant, bad, types(aggregated, type_url))
        << asks(type_url)
        >> told(type_url, ["a"], everything=["a"])
        << nacks(type_url, "bad a")
        >> silence
        << bad
        >> silence
        << state(make("a", "good"))
        >> told(type_url, ["a"], everything=["a"], version="good")
        << acks(type_url)
        >> silence
    )


@BOTH
@STREAMS
@NAMED
def test_7_names_changed_in_a_nack_are_honoured(variant: str, aggregated: bool, type_url: str, make: type) -> None:
    (
        Conversation(variant, state(make("a"), make("b")), types(aggregated, type_url))
        << asks(type_url, "a")
        >> told(type_url, ["a"])
        << nacks(type_url, "bad a", names=["a", "b"])
        >> told(type_url, ["b"])
        << acks(type_url)
        >> silence
    )


@BOTH
@NAMED
def test_7_what_was_refused_along_with_a_bad_one_comes_with_the_next_change(
    variant: str, type_url: str, make: type
) -> None:
    (
        Conversation(variant, state(make("a"), make("b"), make("c")))
        << asks(type_url, "a", "b", "c")
        >> told(type_url, ["a", "b", "c"])
        << nacks(type_url, "resource 'a' is bad")
        >> silence
        << state(make("a"), make("b"), make("c", 2))
        >> told(type_url, ["b", "c"])
        << acks(type_url)
        << state(make("a", 2), make("b"), make("c", 2))
        >> told(type_url, ["a"])
    )


@BOTH
@STREAMS
@NAMED
def test_10_a_name_that_does_not_exist_is_told_when_it_appears(
    variant: str, aggregated: bool, type_url: str, make: type
) -> None:
    conversation = Conversation(variant, state(make("a")), types(aggregated, type_url)) << asks(type_url, "later")
    if variant == "delta":  # 24: absence is said at once
        conversation >> told(type_url, removed=["later"]) << acks(type_url)
    conversation >> silence << state(make("a"), make("later")) >> told(type_url, ["later"])


@BOTH
@NAMED
def test_11_names_asked_for_twice_are_told_once(variant: str, type_url: str, make: type) -> None:
    Conversation(variant, state(make("a"))) << asks(type_url, "a", "a") >> told(type_url, ["a"]) >> silence


@BOTH
def test_15_one_change_is_told_clusters_endpoints_listeners_routes(variant: str) -> None:
    (
        settled(variant, state(*MESH), ["a", "b"], ["l"], ["r"])
        << state(*(_newer(each) for each in MESH))
        >> told(CDS, ["a", "b"], everything=["a", "b"])
        >> told(EDS, ["a", "b"])
        >> told(LDS, ["l"], everything=["l"])
        >> told(RDS, ["r"])
        >> silence
    )


def _newer(resource: Resource) -> Resource:
    makers = {CDS: cluster, EDS: assignment, RDS: route}
    return listener("l", 2, ["r"]) if resource.type_url == LDS else makers[resource.type_url](resource.name, 2)


@BOTH
def test_15_clusters_go_when_listeners_and_routes_no_longer_lead_to_them(variant: str) -> None:
    moved = (cluster("a"), assignment("a"), cluster("c"), assignment("c"), listener("l", 2, ["r"]), route("r", 2))
    (
        settled(variant, state(*MESH), ["a", "b"], ["l"], ["r"])
        << state(*moved)
        >> told(CDS, ["c"], everything=["a", "b", "c"])
        >> told(LDS, ["l"], everything=["l"])
        >> told(RDS, ["r"])
        << acks(CDS)
        >> silence
        << asks(EDS, "c")
        >> told(EDS, ["c"])
        << acks(LDS)
        >> silence
        << acks(RDS)
        >> told(CDS, removed=["b"], everything=["a", "c"])
    )


@BOTH
def test_15_clusters_stay_while_the_proxy_refuses_the_routes_that_leave_them(variant: str) -> None:
    def moved(version: str) -> Resources:
        return state(cluster("a"), assignment("a"), listener("l", 1, ["r"]), route("r", version))

    conversation = (
        settled(variant, state(*MESH), ["a", "b"], ["l"], ["r"])
        << moved("bad")
        >> told(RDS, ["r"])
        << nacks(RDS, "r is bad")
        >> silence
        << moved("good")
        >> told(RDS, ["r"])
        << acks(RDS)
    )
    conversation >> told(CDS, removed=["b"], everything=["a"])
    if variant == "delta":
        conversation >> told(EDS, removed=["b"])
    conversation << acks(CDS) >> silence


@BOTH
def test_15_clusters_stay_until_the_new_routes_of_a_listener_are_there(variant: str) -> None:
    moved = state(cluster("a"), assignment("a"), listener("l", 2, ["s"]), route("s"))
    conversation = (
        settled(variant, state(*MESH), ["a", "b"], ["l"], ["r"]) << moved >> told(LDS, ["l"], everything=["l"])
    )
    if variant == "delta":
        conversation >> told(RDS, removed=["r"]) << acks(RDS)
    conversation << acks(LDS) >> silence << asks(RDS, "s") >> told(RDS, ["s"]) << acks(RDS)
    conversation >> told(CDS, removed=["b"], everything=["a"])


@BOTH
def test_15_a_cluster_that_nothing_led_to_goes_at_once(variant: str) -> None:
    first = (*MESH, cluster("idle"))
    (
        settled(variant, state(*first, assignment("idle")), ["a", "b", "idle"], ["l"], ["r"])
        << drops(EDS, "idle")
        << state(*MESH)
        >> told(CDS, removed=["idle"], everything=["a", "b"])
        >> silence
    )


@BOTH
def test_15_routes_do_not_overtake_clusters_that_wait_for_their_ack(variant: str) -> None:
    def mesh(version: int) -> Resources:
        return state(cluster("a", version), assignment("a"), listener("l", 1, ["r"]), route("r", version))

    (
        settled(variant, mesh(1), ["a"], ["l"], ["r"])
        << mesh(2)
        >> told(CDS, ["a"], everything=["a"])
        >> told(EDS, ["a"])
        >> told(RDS, ["r"])
        << acks(RDS)
        << mesh(3)
        >> silence
        << acks(CDS)
        >> told(CDS, ["a"], everything=["a"], version=3)
        >> told(RDS, ["r"], version=3)
    )


@BOTH
def test_16_a_changed_cluster_gets_its_endpoints_again_though_unchanged(variant: str) -> None:
    changed = (cluster("a", 2), *MESH[1:])
    (
        settled(variant, state(*MESH), ["a", "b"], ["l"], ["r"])
        << state(*changed)
        >> told(CDS, ["a"], everything=["a", "b"])
        >> told(EDS, ["a"])
        >> silence
    )


@BOTH
def test_16_a_cluster_refused_with_others_gets_its_endpoints_again_when_it_comes_again(variant: str) -> None:
    def mesh(a: object, b: object) -> Resources:
        return state(cluster("a", a), assignment("a"), cluster("b", b), assignment("b"), *MESH[4:])

    (
        settled(variant, mesh(1, 1), ["a", "b"], ["l"], ["r"])
        << mesh("bad", 2)
        >> told(CDS, ["a", "b"], everything=["a", "b"])
        >> told(EDS, ["a", "b"])
        << acks(EDS)
        << nacks(CDS, "cluster 'a' is bad")
        >> silence
        << mesh(3, 2)
        >> told(CDS, ["a", "b"], everything=["a", "b"])
        >> told(EDS, ["a", "b"])
    )


@BOTH
def test_17_a_changed_listener_gets_its_routes_again_though_unchanged(variant: str) -> None:
    (
        settled(variant, state(*MESH), ["a", "b"], ["l"], ["r"])
        << state(*MESH[:4], listener("l", 2, ["r"]), route("r"))
        >> told(LDS, ["l"], everything=["l"])
        >> told(RDS, ["r"])
        >> silence
    )


@BOTH
@NAMED
def test_18_a_part_of_the_names_is_answered_at_once(variant: str, type_url: str, make: type) -> None:
    """Declared: partial sets are not held until all names are asked for; what is asked for later is told later."""
    Conversation(variant, state(make("a"), make("b"))) << asks(type_url, "a") >> told(type_url, ["a"]) >> silence


@BOTH
def test_19_on_separate_streams_a_removal_waits_for_nobody(variant: str) -> None:
    clusters = Conversation(variant, state(*MESH), [CDS]) << asks(CDS) >> told(CDS, ["a", "b"], everything=["a", "b"])
    clusters << acks(CDS) << state(cluster("a"), route("r", 2)) >> told(CDS, removed=["b"], everything=["a"])


@BOTH
def test_a_cluster_goes_when_the_listeners_that_the_client_asked_for_have_their_routes(variant: str) -> None:
    """A gRPC client names the one it calls; the routes of others are no concern of its."""
    listeners = (listener("l", 1, ["r"]), listener("other", 1, ["q"]))
    rest = (cluster("a"), *listeners, route("r"), route("q"))
    (
        Conversation(variant, state(cluster("b"), *rest))
        << asks(LDS, "l")
        >> told(LDS, ["l"], everything=["l"])
        << acks(LDS)
        << asks(RDS, "r")
        >> told(RDS, ["r"])
        << acks(RDS)
        << asks(CDS, "a", "b")
        >> told(CDS, ["a", "b"], everything=["a", "b"])
        << acks(CDS)
        << state(*rest)
        >> told(CDS, removed=["b"], everything=["a"])
    )


@BOTH
@STREAMS
@WILD
def test_a_change_waits_for_the_answer_to_the_one_before_and_the_last_one_counts(
    variant: str, aggregated: bool, type_url: str, make: type
) -> None:
    (
        Conversation(variant, state(make("a", 1)), types(aggregated, type_url))
        << asks(type_url)
        >> told(type_url, ["a"], everything=["a"], version=1)
        << state(make("a", 2))
        >> silence
        << state(make("a", 3))
        >> silence
        << acks(type_url)
        >> told(type_url, ["a"], everything=["a"], version=3)
        << acks(type_url)
        >> silence
    )


@BOTH
def test_the_same_state_again_is_silent(variant: str) -> None:
    settled(variant, state(*MESH), ["a", "b"], ["l"], ["r"]) << state(*MESH) >> silence


@BOTH
def test_a_change_of_what_nobody_asked_for_is_silent(variant: str) -> None:
    conversation = Conversation(variant, state(assignment("a"), assignment("b"))) << asks(EDS, "a") >> told(EDS, ["a"])
    conversation << acks(EDS) << state(assignment("a"), assignment("b", 2)) >> silence


@BOTH
def test_30_heartbeats_of_a_ttl_are_not_sent(variant: str) -> None:
    """Declared: SnapshotCacheWithTTL has no counterpart, resources live until they are replaced or removed."""
    conversation = Conversation(variant, state(cluster("a"))) << asks(CDS) >> told(CDS, ["a"], everything=["a"])
    conversation << acks(CDS) << state(cluster("a")) >> silence


@BOTH
@STREAMS
@pytest.mark.parametrize("unknown", ["type.googleapis.com/envoy.config.route.v3.VirtualHost", "", "nonsense"])
def test_33_an_unknown_type_is_ignored_and_counted(variant: str, aggregated: bool, unknown: str) -> None:
    """Declared for VHDS (29) and load reporting (34) alike: not answered, and the stream goes on."""
    conversation = Conversation(variant, state(cluster("a")), types(aggregated, CDS))
    request = DiscoveryRequest if variant == "sotw" else DeltaDiscoveryRequest
    if unknown or aggregated:
        conversation << request(unknown) >> silence
        assert conversation.events() == (UnknownType(unknown),)
    else:  # a single-type service implies its type
        conversation << request("") >> told(CDS, ["a"], everything=["a"])
        assert conversation.events() == ()
        return
    conversation << asks(CDS) >> told(CDS, ["a"], everything=["a"])


@BOTH
def test_4_stale_nonces_are_counted_per_type(variant: str) -> None:
    old = Nonce()
    conversation = (
        Conversation(variant, state(cluster("a"), assignment("a"), assignment("b")))
        << asks(CDS)
        >> told(CDS, ["a"], everything=["a"])
        << asks(EDS, "a")
        >> told(EDS, ["a"], nonce=old)
        << asks(EDS, "b")
        >> told(EDS, ["b"])
        << acks(EDS)
    )
    conversation.events()
    conversation << acks(EDS, nonce=Nonce("77")) >> silence
    assert conversation.events() == (StaleNonce(EDS, "77"),)
    assert conversation.status(EDS).stale_nonces == 1
    assert conversation.status(CDS).stale_nonces == 0


def test_secrets_come_one_by_one_so_that_a_bad_one_takes_no_other_with_it() -> None:
    secrets = state(*(new_resource(SDS, name, name.encode()) for name in ("a", "b")))
    delta, sotw = DeltaSession(), SotwSession()
    delta.update(secrets)
    sotw.update(secrets)
    of_delta = delta.request(DeltaDiscoveryRequest(SDS, subscribe=("a", "b", "none")))
    assert [([each.name for each in said.resources], said.removed) for said in of_delta] == [
        (["a"], ("none",)),
        (["b"], ()),
    ]
    of_sotw = sotw.request(DiscoveryRequest(SDS, resource_names=("a", "b")))
    assert [[each.name for each in said.resources] for said in of_sotw] == [["a"], ["b"]]
    assert len({said.nonce for said in of_delta}) == 2
    assert delta.request(DeltaDiscoveryRequest(SDS, response_nonce=of_delta[0].nonce, error_detail="bad")) == ()
    assert delta.request(DeltaDiscoveryRequest(SDS, response_nonce=of_delta[1].nonce)) == ()
