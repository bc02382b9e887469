"""The fold: what is in force, what stays in force, and what operators are told."""

from __future__ import annotations

import datetime

from galley.document import Fresh, Removed, SourceEvent, Stale, Synced, Unreadable
from galley.process import State, fold
from tests.unit.galley.documents import ROUTED, destination_rule, loaded, virtual_service

START = datetime.datetime(2026, 1, 2, 10, 0, 0, tzinfo=datetime.UTC)
BAD = virtual_service("hosts: []\n")
GOOD = virtual_service()


def after(*events: SourceEvent, state: State | None = None, minute: int = 0) -> State:
    """The state after the events, the first of them at 10:`minute`, each next one a minute later."""
    state = state or State()
    for index, event in enumerate(events):
        state = fold(state, event, START + datetime.timedelta(minutes=minute + index))
    return state


def names(state: State) -> list[str]:
    return [str(each) for each in state.config().objects()]


def told(state: State) -> list[str]:
    return [str(problem) for problem in state.problems()]


def test_good_documents_come_into_force() -> None:
    state = after(loaded(GOOD + "---\n" + destination_rule()))
    assert names(state) == ["VirtualService default/reviews", "DestinationRule default/reviews"]
    assert not told(state)
    assert state.config().version == 1
    assert state.accepted == {"VirtualService": 1, "DestinationRule": 1}


def test_the_last_good_version_stays_while_the_new_one_is_invalid() -> None:
    before = after(loaded(GOOD))
    state = after(loaded(BAD), state=before, minute=1)
    assert state.config().virtual_services == before.config().virtual_services
    assert told(state) == [
        "rules.yaml:5:3  VirtualService default/reviews: spec.hosts virtual service must have at least one host\n"
        "    list the hosts whose traffic it routes; without hosts it is a delegate of others; "
        "the version accepted at 10:00:00 stays in force",
    ]
    assert state.rejected == {"VirtualService": 1}
    assert state.version == before.version
    mended = after(loaded(GOOD), state=state, minute=2)
    assert not told(mended)
    assert mended.config().virtual_services == before.config().virtual_services


def test_without_a_last_good_version_nothing_is_in_force() -> None:
    state = after(loaded(BAD))
    assert names(state) == []
    assert "stays in force" not in told(state)[0]


def test_an_unreadable_unit_keeps_all_its_objects() -> None:
    state = after(loaded(GOOD), Unreadable("rules.yaml", "rules.yaml:3:1", "is not valid YAML", "correct it"))
    assert names(state) == ["VirtualService default/reviews"]
    assert told(state) == [
        "rules.yaml:3:1  is not valid YAML\n    correct it; the version accepted at 10:00:00 stays in force"
    ]
    assert state.unreadable == 1
    assert not told(after(loaded(GOOD), state=state))


def test_an_object_that_is_gone_from_a_readable_unit_is_gone() -> None:
    both = GOOD + "---\n" + virtual_service(name="ratings")
    assert names(after(loaded(both), loaded(GOOD))) == ["VirtualService default/reviews"]
    assert names(after(loaded(both), loaded(""))) == []
    assert names(after(loaded(both), Removed("rules.yaml"))) == []
    assert names(after(Removed("never.yaml"))) == []


def test_a_misspelt_kind_or_name_removes_nothing() -> None:
    for broken in (GOOD.replace("kind: Virtual", "kind: Virtul"), GOOD.replace("name: reviews", "name: Reviews_")):
        state = after(loaded(GOOD), loaded(broken), loaded(broken + "\n"))
        assert names(state) == ["VirtualService default/reviews"]
        assert "the version accepted at 10:00:00 stays in force" in told(state)[0]
        assert names(after(loaded(""), state=state)) == []


def test_a_broken_document_holds_only_what_it_may_be() -> None:
    two = GOOD + "---\n" + virtual_service(name="ratings")
    state = after(loaded(two), loaded(GOOD.replace("kind: Virtual", "kind: Virtul")))
    assert names(state) == ["VirtualService default/reviews"]


def test_unchanged_objects_are_the_same_objects() -> None:
    other = virtual_service(name="ratings")
    first = after(loaded(GOOD + "---\n" + other))
    second = after(loaded(GOOD + "---\n" + other.replace("host: reviews", "host: other")), state=first)
    assert second.config().virtual_services[1] is first.config().virtual_services[1]
    assert second.config().virtual_services[0] is not first.config().virtual_services[0]
    assert second.version == first.version + 1


def test_an_object_that_only_moved_keeps_its_spec() -> None:
    first = after(loaded(GOOD))
    second = after(loaded("# a comment\n" + GOOD), state=first)
    (before,), (there,) = first.config().virtual_services, second.config().virtual_services
    assert (before.origin, there.origin) == ("rules.yaml:1", "rules.yaml:2")
    assert there.spec is before.spec
    assert second.accepted == {"VirtualService": 1}


def test_equal_content_changes_nothing() -> None:
    first = after(loaded(GOOD))
    second = after(loaded(GOOD + "# a comment\n"), state=first)
    assert second.version == first.version


def test_the_same_object_in_two_units_is_told_and_the_first_wins() -> None:
    events = [loaded(GOOD, "a.yaml"), loaded(virtual_service(ROUTED + "exportTo: ['*']\n"), "b.yaml")]
    for state in (after(*events), after(*reversed(events))):
        (winner,) = state.config().virtual_services
        assert winner.origin == "a.yaml:1"
        assert told(state) == [
            "b.yaml:1:1  VirtualService default/reviews: is defined twice: a.yaml:1 is in force, b.yaml:1 is not\n"
            "    remove one of the two, or rename it"
        ]
        assert after(Removed("a.yaml"), state=state).config().virtual_services[0].origin == "b.yaml:1"


def test_the_same_object_twice_in_one_unit() -> None:
    state = after(loaded(GOOD + "---\n" + GOOD))
    assert len(state.config().virtual_services) == 1
    (problem,) = state.problems()
    assert "rules.yaml:1 is in force, rules.yaml:8 is not" in problem.message


def test_a_broken_first_unit_does_not_take_a_good_second_out() -> None:
    for events in ([loaded(BAD, "a.yaml"), loaded(GOOD, "b.yaml")], [loaded(GOOD, "b.yaml"), loaded(BAD, "a.yaml")]):
        state = after(*events)
        assert state.config().virtual_services[0].origin == "b.yaml:1"


def test_an_object_that_moves_to_a_broken_place_stays() -> None:
    state = after(loaded(GOOD, "a.yaml"), loaded(BAD, "b.yaml"), Removed("a.yaml"))
    assert names(state) == ["VirtualService default/reviews"]
    assert names(after(Removed("b.yaml"), state=state)) == []


def test_units_of_the_same_name_in_two_sources_are_apart() -> None:
    state = fold(after(loaded(GOOD)), loaded(destination_rule()), START, source="other")
    assert len(names(state)) == 2
    assert names(fold(state, Removed("rules.yaml"), START, source="other")) == ["VirtualService default/reviews"]


def test_sources_are_synced_stale_and_fresh() -> None:
    state = fold(State(), Stale("is away"), START, source="files")
    assert state.stale == {"files": "is away"}
    state = fold(fold(state, Fresh(), START, source="files"), Synced(), START, source="files")
    assert state.stale == {}
    assert state.synced == {"files"}


def test_a_rejected_version_is_counted_once() -> None:
    state = after(loaded(BAD), loaded("# moved\n" + BAD), loaded("kind: Nothing\n", "b.yaml"))
    assert state.rejected == {"VirtualService": 1, "unknown": 1}


def test_a_warning_is_told_and_the_object_in_force() -> None:
    spec = "host: a\ntrafficPolicy: {outlierDetection: {consecutiveErrors: 3}}\n"
    state = after(loaded(destination_rule(spec)))
    assert names(state) == ["DestinationRule default/reviews"]
    assert [problem.warning for problem in state.problems()] == [True]


GATEWAYS = """\
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge}
spec: {selector: {a: b}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec: {gatewayClassName: istio, listeners: [{name: http, port: 80, protocol: HTTP}]}
"""


def test_two_kinds_of_one_name_are_two_objects() -> None:
    state = after(loaded(GATEWAYS))
    assert names(state) == ["Gateway default/edge", "gateway.networking.k8s.io/Gateway default/edge"]
    assert not told(state)
    broken = after(loaded(GATEWAYS.replace("gatewayClassName: istio", "x: 1")), state=state)
    assert names(broken) == names(state), "its last good version stays"
    assert all("gateway.networking.k8s.io/Gateway default/edge" in each for each in told(broken))


def test_another_time_of_creation_is_another_version() -> None:
    text = GOOD.replace("{name: reviews}", '{name: reviews, creationTimestamp: "2026-01-02T00:00:00Z"}')
    first = after(loaded(GOOD))
    (second,) = after(loaded(text), state=first).config().virtual_services
    assert first.config().virtual_services[0].created is None
    assert second.created == datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)
    bad = after(loaded(text.replace("2026-01-02", "yesterday")))
    assert "metadata.creationTimestamp 'yesterdayT00:00:00Z' is no time" in told(bad)[0]
