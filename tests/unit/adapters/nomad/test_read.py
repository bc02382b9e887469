"""Nomad's JSON, as it is and as it should not be."""

from __future__ import annotations

import json
from typing import Any

import pytest

from adapters.nomad import read
from adapters.nomad.facts import Deregistered, JobTold, NodeGone, NodeTold, Registered, Unreadable
from adapters.nomad.read import UnreadableError
from adapters.platform import Problem

REGISTRATION = {"ID": "r1", "Namespace": "default", "ServiceName": "web", "AllocID": "a1", "Address": "h", "Port": 1}


def event(topic: str, kind: str, payload: Any, key: str = "k") -> bytes:
    one = {"Topic": topic, "Type": kind, "Key": key, "Namespace": "default", "Index": 7, "Payload": payload}
    return json.dumps({"Index": 7, "Events": [one]}).encode()


def test_a_half_written_registration_is_a_problem_and_the_others_count() -> None:
    problems: list[Problem] = []
    broken = [{"ID": "r2"}, None, {**REGISTRATION, "ID": ""}, {**REGISTRATION, "Port": "many"}]
    found = read.registrations(json.dumps([REGISTRATION, *broken]).encode(), problems)
    assert list(found) == ["r1"]
    assert len(problems) == 4
    assert problems[0].where == "nomad registration r2"


def test_an_id_that_is_listed_twice_counts_once() -> None:
    body = json.dumps([REGISTRATION, {**REGISTRATION, "Port": 2}]).encode()
    assert [r.port for r in read.registrations(body, []).values()] == [2]


@pytest.mark.parametrize("body", [b"", b"{", b"{}", b'"x"', b"[" * 100_000])
def test_what_is_no_list_is_unreadable(body: bytes) -> None:
    with pytest.raises(UnreadableError):
        read.registrations(body, [])


def test_an_empty_list_may_be_null() -> None:
    assert read.service_names(b"null") == ()


def test_several_events_of_one_line_and_heartbeats() -> None:
    """N3, N4: one line may hold many events, and a heartbeat none."""
    assert read.events(b"{}") == ()
    lines = [json.loads(event("Service", "ServiceRegistration", {"Service": REGISTRATION})) for _ in range(2)]
    both = json.dumps({"Events": lines[0]["Events"] + lines[1]["Events"]}).encode()
    assert [type(e) for e in read.events(both)] == [Registered, Registered]


def test_events_of_each_topic() -> None:
    node = {"ID": "n1", "Status": "ready", "SecretID": ""}
    job = {"ID": "j", "Namespace": "default", "Version": 3, "JobModifyIndex": 6, "TaskGroups": None}
    (gone,) = read.events(event("Service", "ServiceDeregistration", {"Service": REGISTRATION}))
    assert gone == Deregistered(7, ("default", "web"), "r1")
    assert isinstance(read.events(event("Node", "NodeDrain", {"Node": node}))[0], NodeTold)
    assert read.events(event("Node", "NodeDeregistration", {"Node": node}, key="n1")) == (NodeGone(7, "n1"),)
    (told,) = read.events(event("Job", "JobRegistered", {"Job": job}))
    assert isinstance(told, JobTold)
    assert (told.spec.version, told.spec.modified) == (3, 6)
    assert read.events(event("Job", "JobDeregistered", {"Job": job})) == ()
    assert read.events(event("Evaluation", "EvaluationUpdated", {})) == ()


@pytest.mark.parametrize("topic", ["Service", "Allocation", "Node", "Job"])
def test_an_event_that_can_not_be_read_says_so(topic: str) -> None:
    (found,) = read.events(event(topic, "Updated", {topic: {"ID": "x"}, "Job": {"ID": ""}}))
    assert isinstance(found, Unreadable)
    assert found.problem.where == f"nomad event {topic}/k"


def test_services_of_groups_and_tasks_and_their_providers() -> None:
    group = {"Name": "g", "Services": [{"Name": "a", "Provider": "nomad", "Checks": [{}], "Meta": {"k": "v"}}]}
    group |= {"Tasks": [{"Services": [{"Name": "b"}]}, {"Services": None}]}
    job = {"ID": "j", "Namespace": "default", "TaskGroups": [group]}
    (spec,) = read.specs({"Versions": [job]})
    assert [(s.name, s.provider, s.checks, s.meta) for s in spec.services] == [
        ("a", "nomad", 1, (("k", "v"),)),
        ("b", "consul", 0, ()),
    ]


@pytest.mark.parametrize("found", [None, [], {}, {"Versions": [{}]}])
def test_versions_that_are_none(found: object) -> None:
    with pytest.raises(UnreadableError):
        read.specs(found)


def test_statuses_of_checks_by_service() -> None:
    body = {"1": {"Service": "web", "Status": "success"}, "2": {"Service": "web", "Status": "failure"}}
    assert read.checks(json.dumps(body).encode()) == {"web": ("success", "failure")}
