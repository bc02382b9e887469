"""What `/debug/syncz` prints."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import attrs

from pilot.xds.protocol import Node
from pilot.xds.protocol.status import State
from pilot.xds.resource import CDS
from pilot.xds.syncz import ConnectionStatus, syncz
from tests.unit.pilot.xds.conversation import Conversation, asks, cluster, nacks, state, told

NOON = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)


def connection(proxy: str, minutes: int = 0) -> ConnectionStatus:
    conversation = Conversation("sotw", state(cluster("a", 1, "Service default/a"))) << asks(CDS) >> told(CDS, ["a"])
    conversation << nacks(CDS, "a is bad")
    node = Node(proxy, "web", user_agent_name="envoy", user_agent_version="1.40.0")
    return ConnectionStatus(
        node, "ipv4:10.0.0.1:4711", "sotw", NOON + timedelta(minutes=minutes), conversation.session.status()
    )


def test_connections_are_listed_by_proxy_and_then_by_age() -> None:
    listed = syncz([connection("b"), connection("a", 5), connection("a")])
    assert [(each["proxy"], each["connectedAt"]) for each in listed] == [
        ("a", "2024-05-01T12:00:00+00:00"),
        ("a", "2024-05-01T12:05:00+00:00"),
        ("b", "2024-05-01T12:00:00+00:00"),
    ]


def test_secrets_concern_those_who_ask_for_them() -> None:
    quiet = connection("a")
    asking = attrs.evolve(quiet, types=tuple(attrs.evolve(each, state=State.SYNCED) for each in quiet.types))
    before, after = json.loads(json.dumps(syncz([quiet, asking])))
    assert set(after["types"]) - set(before["types"]) == {"SDS"}


def test_every_type_says_its_state_and_what_was_refused() -> None:
    (listed,) = json.loads(json.dumps(syncz([connection("a")])))
    assert (listed["version"], listed["userAgent"], listed["cluster"]) == ("1.40.0", "envoy", "web")
    assert {name: each["state"] for name, each in listed["types"].items()} == {
        "CDS": "NACKED",
        "EDS": "NOT SENT",
        "LDS": "NOT SENT",
        "RDS": "NOT SENT",
    }
    assert listed["types"]["CDS"]["error"] == "a is bad"
    assert listed["types"]["CDS"]["objects"] == [{"name": "a", "origin": "Service default/a"}]
