"""What proxy-status is told."""

from __future__ import annotations

import attrs
import pytest

from pilot.xds.protocol import Acked, Nacked, State
from pilot.xds.protocol.status import culprits
from pilot.xds.resource import CDS, EDS
from tests.unit.pilot.xds.conversation import Conversation, acks, asks, cluster, nacks, silence, state, told

BOTH = pytest.mark.parametrize("variant", ["sotw", "delta"])


@BOTH
def test_a_type_goes_from_not_sent_over_stale_to_synced(variant: str) -> None:
    conversation = Conversation(variant, state(cluster("a")))
    assert [each.state for each in conversation.session.status()] == [State.NOT_SENT] * 5
    conversation << asks(CDS) >> told(CDS, ["a"], everything=["a"])
    assert conversation.status(CDS).state is State.STALE
    conversation << acks(CDS) >> silence
    status = conversation.status(CDS)
    assert status.state is State.SYNCED
    assert status.acked_version == status.sent_version
    assert status.acks == 1
    assert conversation.events() == (Acked(CDS, status.acked_version),)
    assert conversation.status(EDS).state is State.NOT_SENT


@BOTH
def test_a_nack_keeps_the_accepted_version_and_names_the_object(variant: str) -> None:
    bad = cluster("a", 2, "DestinationRule default/a")
    conversation = Conversation(variant, state(cluster("a"), cluster("b"))) << asks(CDS)
    conversation >> told(CDS, ["a", "b"], everything=["a", "b"]) << acks(CDS)
    accepted = conversation.status(CDS).acked_version
    conversation << state(bad, cluster("b")) >> told(CDS, ["a"], everything=["a", "b"])
    conversation << nacks(CDS, "Error adding cluster a: no good") >> silence
    status = conversation.status(CDS)
    assert (status.state, status.error) == (State.NACKED, "Error adding cluster a: no good")
    assert (status.acked_version, status.nacks) == (accepted, 1)
    assert status.culprits == (bad,)
    assert conversation.events()[-1] == Nacked(CDS, status.sent_version, status.error, (bad,))


@BOTH
def test_an_error_stays_until_something_is_accepted(variant: str) -> None:
    conversation = Conversation(variant, state(cluster("a"))) << asks(CDS) >> told(CDS, ["a"], everything=["a"])
    conversation << nacks(CDS, "bad") << state(cluster("a", 2)) >> told(CDS, ["a"], everything=["a"])
    assert (conversation.status(CDS).state, conversation.status(CDS).error) == (State.STALE, "bad")
    conversation << acks(CDS)
    assert (conversation.status(CDS).state, conversation.status(CDS).error) == (State.SYNCED, "")


@pytest.mark.parametrize(
    ("error", "named"),
    [
        ("Error adding/updating cluster(s) web: bad", ["web"]),
        ("cluster outbound|80||web.default: bad", ["outbound|80||web.default"]),
        ("webapp is bad", []),
        ("web.", ["web"]),
        ("web and outbound|80||web.default", ["outbound|80||web.default", "web"]),
        ("", []),
    ],
)
def test_culprits_are_the_resources_an_error_names(error: str, named: list[str]) -> None:
    sent = [cluster("outbound|80||web.default"), cluster("web")]
    assert [each.name for each in culprits(sent, error)] == named


def test_the_only_resource_of_a_response_is_to_blame_whatever_the_error_says() -> None:
    only = cluster("web")
    assert culprits([only], "Proto constraint validation failed") == (only,)


def test_where_an_error_names_none_what_envoy_filters_changed_is_suspected() -> None:
    plain = cluster("web")
    patched = attrs.evolve(cluster("shop"), origin="Gateway default/a", patches=("EnvoyFilter default/b",))
    assert culprits([plain, patched], "Only unique values for domains are permitted") == (patched,)
    assert culprits([plain, patched], "web is bad") == (plain,)
    assert patched.caused_by == "Gateway default/a, EnvoyFilter default/b"
