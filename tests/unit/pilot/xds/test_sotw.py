"""State of the world alone. Numbers are those of the lines of the xDS checklist."""

from __future__ import annotations

import pytest

from pilot.xds.protocol import DiscoveryRequest, StaleNonce, State
from pilot.xds.resource import CDS, EDS, LDS, RDS, Resources
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

WILD = pytest.mark.parametrize(("type_url", "make"), [(CDS, cluster), (LDS, listener)])
NAMED = pytest.mark.parametrize(("type_url", "make"), [(EDS, assignment), (RDS, route)])


def request(type_url: str, *names: str, version: str = "", nonce: Nonce | None = None) -> DiscoveryRequest:
    return DiscoveryRequest(type_url, version, nonce.value if nonce else "", names)


def test_2_versions_and_nonces_are_per_type() -> None:
    conversation = Conversation("sotw", state(cluster("a"), assignment("a")))
    conversation << asks(CDS) >> told(CDS, ["a"]) << acks(CDS) << asks(EDS, "a") >> told(EDS, ["a"])
    clusters, endpoints = conversation.status(CDS), conversation.status(EDS)
    assert clusters.state is State.SYNCED
    assert endpoints.state is State.STALE
    assert clusters.acked_version
    assert not endpoints.acked_version


def test_3_a_nack_is_an_error_whatever_version_it_names() -> None:
    conversation = Conversation("sotw", state(cluster("a"))) << asks(CDS) >> told(CDS, ["a"], nonce=(nonce := Nonce()))
    version = conversation.status(CDS).sent_version
    conversation << DiscoveryRequest(CDS, version, nonce.value, error_detail="") >> silence
    assert conversation.status(CDS).state is State.NACKED
    assert conversation.status(CDS).acked_version == ""


@NAMED
def test_4_stale_nonce(type_url: str, make: type) -> None:
    """The request of an overtaken nonce is ignored whole; the proxy repeats what it wants with the next nonce."""
    (
        Conversation("sotw", state(make("a"), make("b"), make("c")))
        << request(type_url, "a")
        >> told(type_url, ["a"], nonce=(first := Nonce()))
        << request(type_url, "a", "b", nonce=first)
        >> told(type_url, ["b"], nonce=(second := Nonce()))
        << request(type_url, "a", "b", "c", nonce=first)
        >> silence
        << request(type_url, "a", "b", "c", nonce=second)
        >> told(type_url, ["c"])
    )


def test_4_aggregated_handlers_drop_stale_response_after_unsubscribe() -> None:
    """After a drop, neither the old request nor a change of the dropped name is answered."""
    conversation = (
        Conversation("sotw", state(assignment("a"), assignment("b")))
        << request(EDS, "a", "b")
        >> told(EDS, ["a", "b"], nonce=(nonce := Nonce()))
        << request(EDS, "a", nonce=nonce)
        << state(assignment("a"), assignment("b", 2))
        >> silence
        << state(assignment("a", 2), assignment("b", 2))
        >> told(EDS, ["a"])
        << request(EDS, "a", "b", nonce=nonce)
        >> silence
    )
    assert StaleNonce(EDS, nonce.value) in conversation.events()


def test_a_nonce_of_an_earlier_stream_is_not_stale_on_a_new_one() -> None:
    Conversation("sotw", state(assignment("a"))) << request(EDS, "a", nonce=Nonce("41")) >> told(EDS, ["a"])


@WILD
def test_8_clusters_and_listeners_are_always_told_whole(type_url: str, make: type) -> None:
    (
        Conversation("sotw", state(make("a"), make("b")))
        << asks(type_url)
        >> told(type_url, ["a", "b"])
        << acks(type_url)
        << state(make("a"), make("b", 2), make("c"))
        >> told(type_url, ["a", "b", "c"])
        << acks(type_url)
        << state(make("c"))
        >> told(type_url, ["c"])
        << acks(type_url)
        << state()
        >> told(type_url, [])
        << acks(type_url)
        >> silence
    )


@WILD
def test_8_an_empty_state_is_told_so_that_a_proxy_can_finish_its_start(type_url: str, make: type) -> None:
    Conversation("sotw", state()) << asks(type_url) >> told(type_url, []) << acks(type_url) >> silence


@NAMED
def test_8_endpoints_and_routes_are_told_in_part_and_absence_says_nothing(type_url: str, make: type) -> None:
    (
        Conversation("sotw", state(make("a"), make("b")))
        << asks(type_url, "a", "b")
        >> told(type_url, ["a", "b"])
        << acks(type_url)
        << state(make("a", 2), make("b"))
        >> told(type_url, ["a"])
        << acks(type_url)
        << state(make("a", 2))
        >> silence
        << state(make("a", 2), make("b"))
        >> told(type_url, ["b"])
    )


@WILD
def test_9_sotw_subscriptions_with_deactivated_legacy_wildcard(type_url: str, make: type) -> None:
    """An empty list means everything until a name was named, and nothing after."""
    (
        Conversation("sotw", state(make("a"), make("b")))
        << request(type_url)
        >> told(type_url, ["a", "b"], nonce=(first := Nonce()))
        << request(type_url, "a", nonce=first)
        >> told(type_url, ["a"], nonce=(second := Nonce()))
        << request(type_url, nonce=second)
        >> silence
        << state(make("a", 2), make("b", 2))
        >> silence
    )


@NAMED
def test_9_sotw_subscriptions_with_deactivated_legacy_wildcard_for_types(type_url: str, make: type) -> None:
    """Of endpoints and routes an empty list was never everything."""
    Conversation("sotw", state(make("a"))) << request(type_url) >> silence << state(make("a", 2)) >> silence


@WILD
def test_9_the_explicit_wildcard_with_a_name_and_then_the_name_alone(type_url: str, make: type) -> None:
    (
        Conversation("sotw", state(make("a"), make("b")))
        << request(type_url, "*")
        >> told(type_url, ["a", "b"], nonce=(first := Nonce()))
        << request(type_url, "*", "a", nonce=first)
        >> told(type_url, ["a", "b"], nonce=(second := Nonce()))
        << request(type_url, "a", nonce=second)
        >> silence
        << state(make("a"), make("b", 2))
        >> silence
        << state(make("a", 2), make("b", 2))
        >> told(type_url, ["a"])
    )


@WILD
def test_9_a_wildcard_taken_up_again_is_answered_in_full(type_url: str, make: type) -> None:
    (
        Conversation("sotw", state(make("a"), make("b")))
        << request(type_url, "a")
        >> told(type_url, ["a"], nonce=(first := Nonce()))
        << request(type_url, "*", nonce=first)
        >> told(type_url, ["a", "b"])
    )


def test_10_a_listener_asked_for_by_name_that_does_not_exist_is_answered_by_its_absence() -> None:
    """LDS and CDS say everything that is wanted, so a client (gRPC's own) need not wait 15 s to know."""
    (
        Conversation("sotw", state())
        << asks(LDS, "web:80")
        >> told(LDS, [])
        << acks(LDS)
        << state(listener("web:80"), listener("other"))
        >> told(LDS, ["web:80"])
        << acks(LDS)
        << state(listener("other"))
        >> told(LDS, [])
    )


def test_12_the_latest_request_of_a_type_supersedes_earlier_ones() -> None:
    (
        Conversation("sotw")
        << request(EDS, "a", "b")
        << request(EDS, "c")
        << state(assignment("a"), assignment("b"), assignment("c"))
        >> told(EDS, ["c"])
        >> silence
    )


def test_13_not_every_request_gets_a_response() -> None:
    conversation = Conversation("sotw", state(assignment("a"))) << asks(EDS, "a") >> told(EDS, ["a"]) << acks(EDS)
    conversation >> silence << drops(EDS, "a") >> silence << request(RDS, "unknown") >> silence


@WILD
def test_14_a_new_stream_at_the_same_version_is_not_told_everything_again(type_url: str, make: type) -> None:
    now = state(make("a"), make("b"))
    version = now[type_url].version
    conversation = Conversation("sotw", now) << request(type_url, version=version) >> silence
    assert conversation.status(type_url).state is State.SYNCED
    conversation << state(make("a"), make("b", 2)) >> told(type_url, ["a", "b"])


@WILD
def test_14_a_new_stream_at_another_version_is(type_url: str, make: type) -> None:
    Conversation("sotw", state(make("a"))) << request(type_url, version="older") >> told(type_url, ["a"])


@NAMED
def test_14_a_new_stream_by_name_is_since_the_version_does_not_say_which_names(type_url: str, make: type) -> None:
    now = state(make("a"), make("b"))
    Conversation("sotw", now) << request(type_url, "a", version=now[type_url].version) >> told(type_url, ["a"])


def test_14_a_new_stream_before_the_first_state_is_judged_when_that_is_there() -> None:
    now = state(cluster("a"))
    Conversation("sotw") << request(CDS, version=now[CDS].version) << now >> silence
    Conversation("sotw") << request(CDS, version="older") << now >> told(CDS, ["a"])


def test_a_request_that_holds_nothing_starts_over() -> None:
    """No nonce and no version in the middle of a stream: answered in full, though all of it was told."""
    conversation = Conversation("sotw", state(assignment("a"), assignment("b"))) << request(EDS, "a", "b")
    conversation >> told(EDS, ["a", "b"]) << acks(EDS, ["a", "b"]) << request(EDS, "a", "b") >> told(EDS, ["a", "b"])


@WILD
def test_14_a_new_stream_that_names_clusters_or_listeners_is_too(type_url: str, make: type) -> None:
    now = state(make("a"), make("b"))
    version = now[type_url].version
    Conversation("sotw", now) << request(type_url, "a", version=version) >> told(type_url, ["a"])
    Conversation("sotw", now) << request(type_url, "*", "a", version=version) >> told(type_url, ["a", "b"])


def overtaken() -> tuple[Conversation, Nonce, Nonce]:
    """A second response on its way before the first was answered for."""
    first, second = Nonce(), Nonce()
    conversation = (
        Conversation("sotw", state(assignment("a"), assignment("b")))
        << request(EDS, "a")
        >> told(EDS, ["a"], nonce=first)
        << request(EDS, "a", "b", version="from before")
        >> told(EDS, ["b"], nonce=second)
    )
    return conversation, first, second


def test_a_refusal_of_an_overtaken_response_is_remembered() -> None:
    conversation, first, second = overtaken()
    (
        conversation
        << nacks(EDS, names=["a", "b"], nonce=first)
        >> silence
        << acks(EDS, names=["a", "b"], nonce=second)
        >> silence
        << state(assignment("a"), assignment("b", 2))
        >> told(EDS, ["a", "b"])
    )


def test_an_overtaken_response_that_is_never_answered_for_holds_nothing_up() -> None:
    conversation, _, second = overtaken()
    conversation << acks(EDS, names=["a", "b"], nonce=second) << state(assignment("a"), assignment("b", 2))
    conversation >> told(EDS, ["b"])


def test_16_a_refused_cluster_that_comes_again_with_the_full_state_gets_its_endpoints_again() -> None:
    def mesh(b: int) -> Resources:
        return state(cluster("a", "bad"), assignment("a"), cluster("b", b), assignment("b"))

    (
        Conversation("sotw", mesh(1))
        << asks(CDS)
        >> told(CDS, ["a", "b"])
        << asks(EDS, "a", "b")
        >> told(EDS, ["a", "b"])
        << acks(EDS)
        << nacks(CDS, "a is bad")
        << mesh(2)
        >> told(CDS, ["a", "b"])
        >> told(EDS, ["a", "b"])
    )
