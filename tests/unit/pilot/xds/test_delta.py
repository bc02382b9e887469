"""Delta alone. Numbers are those of the lines of the xDS checklist."""

from __future__ import annotations

import pytest

from pilot.xds.protocol import Acked, DeltaDiscoveryRequest, StaleNonce, State
from pilot.xds.resource import CDS, EDS, LDS, ORDER, RDS
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
ANY = pytest.mark.parametrize(("type_url", "make"), [(CDS, cluster), (EDS, assignment), (LDS, listener), (RDS, route)])
STREAMS = pytest.mark.parametrize("aggregated", [True, False])


@ANY
@STREAMS
def test_20_a_stale_nonce_is_counted_and_its_names_count(type_url: str, make: type, aggregated: bool) -> None:
    types = ORDER if aggregated else (type_url,)
    conversation = (
        Conversation("delta", state(make("a"), make("b")), types)
        << asks(type_url, "a")
        >> told(type_url, ["a"])
        << acks(type_url)
        << DeltaDiscoveryRequest(type_url, "77", subscribe=("b",), unsubscribe=("a",))
        >> told(type_url, ["b"])
        << acks(type_url)
        << state(make("a", 2), make("b"))
        >> silence
    )
    assert StaleNonce(type_url, "77") in conversation.events()


def test_every_response_is_answered_for_by_its_own_nonce() -> None:
    conversation = (
        Conversation("delta", state(assignment("a"), assignment("b")))
        << asks(EDS, "a")
        >> told(EDS, ["a"], nonce=(first := Nonce()))
        << asks(EDS, "b")
        >> told(EDS, ["b"], nonce=(second := Nonce()))
        << acks(EDS, nonce=first)
        << state(assignment("a", 2), assignment("b"))
        >> silence
        << acks(EDS, nonce=second)
        >> told(EDS, ["a"], version=2)
    )
    assert [type(each) for each in conversation.events()] == [Acked, Acked]


@ANY
def test_21_a_name_subscribed_again_is_told_again(type_url: str, make: type) -> None:
    (
        Conversation("delta", state(make("a")))
        << asks(type_url, "a")
        >> told(type_url, ["a"])
        << acks(type_url)
        << asks(type_url, "a")
        >> told(type_url, ["a"])
    )


@ANY
def test_22_to_drop_a_name_never_asked_for_is_ignored(type_url: str, make: type) -> None:
    conversation = Conversation("delta", state(make("a"))) << asks(type_url, "a") >> told(type_url, ["a"])
    conversation << acks(type_url) << drops(type_url, "never", "*") >> silence
    conversation << state(make("a", 2)) >> told(type_url, ["a"])


@ANY
def test_23_to_drop_a_name_needs_no_response(type_url: str, make: type) -> None:
    conversation = Conversation("delta", state(make("a"))) << asks(type_url, "a") >> told(type_url, ["a"])
    conversation << acks(type_url) << drops(type_url, "a") >> silence << state(make("a", 2)) >> silence


@WILD
def test_23_a_dropped_name_that_the_wildcard_covers_is_answered(type_url: str, make: type) -> None:
    """The proxy forgets the name, though the wildcard goes on to want it; or learns that there is none."""
    (
        Conversation("delta", state(make("a"), make("b")))
        << asks(type_url)
        >> told(type_url, ["a", "b"])
        << acks(type_url)
        << asks(type_url, "a", "none")
        >> told(type_url, ["a"], removed=["none"])
        << acks(type_url)
        << drops(type_url, "a", "none")
        >> told(type_url, ["a"], removed=["none"])
    )


@ANY
def test_24_a_name_that_does_not_exist_is_said_to_be_removed_at_once(type_url: str, make: type) -> None:
    (
        Conversation("delta", state(make("a")))
        << asks(type_url, "a", "none")
        >> told(type_url, ["a"], removed=["none"])
        << acks(type_url)
        << state(make("a"), make("none"))
        >> told(type_url, ["none"])
        << acks(type_url)
        >> silence
    )


@WILD
def test_25_linear_delta_initial_resources_version_set(type_url: str, make: type) -> None:
    """A new stream of a proxy that holds things: differences only, and what vanished meanwhile."""
    held = {"same": "1", "old": "1", "gone": "1"}
    (
        Conversation("delta", state(make("same"), make("old", 2), make("new")))
        << DeltaDiscoveryRequest(type_url, initial_versions=held)
        >> told(type_url, ["new", "old"], removed=["gone"])
        << acks(type_url)
        >> silence
    )


@NAMED
def test_25_initial_versions_count_for_names_too(type_url: str, make: type) -> None:
    held = {"same": "1", "old": "1", "gone": "1"}
    (
        Conversation("delta", state(make("same"), make("old", 2), make("unwanted")))
        << DeltaDiscoveryRequest(type_url, subscribe=("same", "old", "gone"), initial_versions=held)
        >> told(type_url, ["old"], removed=["gone"])
    )


@WILD
def test_25_a_proxy_that_holds_it_all_is_told_nothing(type_url: str, make: type) -> None:
    conversation = Conversation("delta", state(make("a")))
    conversation << DeltaDiscoveryRequest(type_url, initial_versions={"a": "1"}) >> silence
    assert conversation.status(type_url).state is State.SYNCED
    conversation << state(make("a", 2)) >> told(type_url, ["a"])


def test_25_only_the_first_request_of_a_type_can_bring_versions() -> None:
    (
        Conversation("delta", state(assignment("a")))
        << asks(EDS, "b")
        >> told(EDS, removed=["b"])
        << DeltaDiscoveryRequest(EDS, subscribe=("a",), initial_versions={"a": "1"})
        >> told(EDS, ["a"])
    )


def test_25_what_is_asked_for_again_before_the_first_state_is_told_whatever_is_held() -> None:
    (
        Conversation("delta")
        << DeltaDiscoveryRequest(EDS, subscribe=("a", "b"), initial_versions={"a": "1", "b": "1"})
        << asks(EDS, "a")
        << state(assignment("a"), assignment("b"))
        >> told(EDS, ["a"])
    )


@WILD
def test_26_delta_wildcard_subscriptions(type_url: str, make: type) -> None:
    """An empty first request is the wildcard; a name joins it; without the wildcard the name is left."""
    (
        Conversation("delta", state(make("a"), make("b")))
        << asks(type_url)
        >> told(type_url, ["a", "b"])
        << acks(type_url)
        << asks(type_url, "a")
        >> told(type_url, ["a"])
        << acks(type_url)
        << drops(type_url, "*")
        >> silence
        << state(make("a", 2), make("b", 2))
        >> told(type_url, ["a"])
    )


@WILD
def test_26_the_explicit_wildcard(type_url: str, make: type) -> None:
    (
        Conversation("delta", state(make("a"), make("b")))
        << asks(type_url, "*")
        >> told(type_url, ["a", "b"])
        << acks(type_url)
        << drops(type_url, "*")
        >> silence
        << state(make("a", 2))
        >> silence
        << asks(type_url, "*")
        >> told(type_url, ["a"])
    )


@NAMED
def test_26_an_empty_first_request_for_names_is_no_wildcard(type_url: str, make: type) -> None:
    conversation = Conversation("delta", state(make("a"))) << asks(type_url) >> silence << state(make("a", 2))
    conversation >> silence << asks(type_url, "a") >> told(type_url, ["a"])


@WILD
def test_26_a_wildcard_of_nothing_is_answered_so_that_a_proxy_can_finish_its_start(type_url: str, make: type) -> None:
    Conversation("delta", state()) << asks(type_url) >> told(type_url) << acks(type_url) >> silence


@ANY
def test_27_only_resources_whose_own_version_changed_are_told(type_url: str, make: type) -> None:
    (
        Conversation("delta", state(make("a"), make("b"), make("c")))
        << asks(type_url, "*")
        >> told(type_url, ["a", "b", "c"])
        << acks(type_url)
        << state(make("a"), make("b", 2), make("c"))
        >> told(type_url, ["b"], version=2)
    )


@ANY
def test_28_delta_remove_resources(type_url: str, make: type) -> None:
    """Each removal is told once; what comes back is told again, even at the version it had."""
    (
        Conversation("delta", state(make("a"), make("b")))
        << asks(type_url, "a", "b")
        >> told(type_url, ["a", "b"])
        << acks(type_url)
        << state(make("a"))
        >> told(type_url, removed=["b"])
        << acks(type_url)
        << state(make("a"))
        >> silence
        << state(make("a"), make("b"))
        >> told(type_url, ["b"])
    )


def test_28_a_refused_removal_is_told_again_with_the_next_change() -> None:
    (
        Conversation("delta", state(listener("a"), listener("b")))
        << asks(LDS)
        >> told(LDS, ["a", "b"])
        << acks(LDS)
        << state(listener("a", "bad"))
        >> told(LDS, ["a"], removed=["b"])
        << nacks(LDS, "a is bad")
        >> silence
        << state(listener("a", "good"))
        >> told(LDS, ["a"], removed=["b"])
    )


@NAMED
def test_29_aliases_are_not_served(type_url: str, make: type) -> None:
    """Declared: only a resource's own name matches (aliases belong to VHDS, which is not served)."""
    Conversation("delta", state(make("a"))) << asks(type_url, "host/a") >> told(type_url, removed=["host/a"])


def test_25_endpoints_of_a_cluster_told_anew_are_told_though_held() -> None:
    """Back on a new stream, a proxy warms the changed cluster and waits, whatever endpoints it holds (16)."""
    held = {"a": "1", "b": "1"}
    (
        Conversation("delta", state(cluster("a", 2), assignment("a"), cluster("b"), assignment("b")))
        << DeltaDiscoveryRequest(CDS, initial_versions=held)
        >> told(CDS, ["a"])
        << DeltaDiscoveryRequest(EDS, subscribe=("a", "b"), initial_versions=held)
        >> told(EDS, ["a"])
    )


def test_25_what_was_held_counts_for_the_first_answer_only() -> None:
    conversation = Conversation("delta", state(cluster("a", 2)))
    conversation << DeltaDiscoveryRequest(CDS, initial_versions={"a": "1"}) >> told(CDS, ["a"]) << acks(CDS)
    conversation << state(cluster("a", 1)) >> told(CDS, ["a"], version=1)


@WILD
def test_26_the_wildcard_subscribed_again_is_told_everything_again_and_what_is_gone(type_url: str, make: type) -> None:
    (
        Conversation("delta", state(make("a"), make("b")))
        << asks(type_url, "*")
        >> told(type_url, ["a", "b"])
        << state(make("a"), make("c"))
        >> silence
        << asks(type_url, "*")
        >> told(type_url, ["a", "c"], removed=["b"])
    )
