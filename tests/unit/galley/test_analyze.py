"""Findings across objects."""

from __future__ import annotations

import datetime

import pytest

from galley.analyze import analyze
from galley.config import Config
from galley.process import State, fold
from tests.unit.galley.documents import destination_rule, loaded, virtual_service

HOSTS = ("reviews.service.consul", "ratings.service.consul")
NOW = datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)


def config(*texts: str) -> Config:
    state = fold(State(), loaded("---\n".join(texts)), NOW)
    assert not state.problems()
    return state.config()


def told(*texts: str) -> list[tuple[str, str]]:
    return [(problem.code, problem.message) for problem in analyze(config(*texts), HOSTS)]


def test_known_hosts_by_full_short_and_wildcard_name() -> None:
    spec = (
        "hosts: [x]\nhttp: [{route: [{destination: {host: reviews}}, {destination: {host: Ratings.service.consul}}]}]\n"
    )
    assert told(virtual_service(spec), destination_rule("host: '*.service.consul'\n")) == []


def test_hosts_that_no_platform_knows() -> None:
    found = told(
        virtual_service(
            "hosts: [x]\nhttp: [{route: [{destination: {host: a.b}}]}]\ntcp: [{route: [{destination: {host: c}}]}]\n"
        ),
        destination_rule("host: '*.d'\n"),
    )
    assert found == [
        ("IST0101", "spec.http[0].route[0].destination.host refers to host 'a.b', not found"),
        ("IST0101", "spec.tcp[0].route[0].destination.host refers to host 'c', not found"),
        ("IST0101", "spec.host refers to host '*.d', not found"),
    ]


def test_a_problem_names_its_object_and_is_a_warning() -> None:
    (problem,) = analyze(config(destination_rule("host: d\n")), HOSTS)
    assert problem.warning
    assert str(problem) == (
        "rules.yaml:1  DestinationRule default/reviews: spec.host refers to host 'd', not found [IST0101]\n"
        "    correct the name, or register the service"
    )


def test_a_subset_that_no_rule_defines() -> None:
    routed = virtual_service("hosts: [x]\nhttp: [{route: [{destination: {host: reviews, subset: v1}}]}]\n")
    assert told(routed) == [
        ("IST0101", "spec.http[0].route[0].destination.subset refers to subset 'v1' of reviews, not found")
    ]
    for host in ("reviews", "reviews.service.consul", "'*.service.consul'"):
        assert told(routed, destination_rule(f"host: {host}\nsubsets: [{{name: v1}}]\n")) == []


def test_two_virtual_services_for_one_host() -> None:
    first = virtual_service("hosts: [reviews]\nhttp: [{directResponse: {status: 200}}]\n", name="a")
    second = virtual_service("hosts: [reviews.service.consul]\nhttp: [{directResponse: {status: 200}}]\n", name="b")
    assert told(first, second) == [
        ("IST0109", "host 'reviews.service.consul' is also routed by VirtualService default/a (rules.yaml:1)")
    ]


def test_unknown_short_names_in_two_namespaces_are_two_hosts() -> None:
    text = virtual_service("hosts: [x]\nhttp: [{directResponse: {status: 200}}]\n")
    assert told(text, text.replace("{name: reviews}", "{name: reviews, namespace: other}")) == []


def test_a_rule_after_one_that_takes_everything() -> None:
    for everything in ("", "match: [{name: all}], ", "match: [{uri: {prefix: /}}], "):
        answer = "directResponse: {status: 200}"
        text = virtual_service(f"hosts: [x]\nhttp: [{{{everything}{answer}}}, {{name: late, {answer}}}]\n")
        assert told(text) == [("IST0130", "spec.http[1] (late) is never reached: spec.http[0] takes its requests")]


def test_a_rule_whose_matches_all_came_before() -> None:
    answer = "directResponse: {status: 200}"
    first, second = "match: [{uri: {exact: /a}}]", "match: [{uri: {exact: /b}}]"
    both = "match: [{name: x, uri: {exact: /b}}, {uri: {exact: /a}}]"
    text = virtual_service(f"hosts: [x]\nhttp: [{{{first}, {answer}}}, {{{second}, {answer}}}, {{{both}, {answer}}}]\n")
    assert [code for code, _ in told(text)] == ["IST0130"]


def test_copies_and_connections_go_to_known_hosts_too() -> None:
    to = "route: [{destination: {host: reviews}}]"
    mirrors = f"mirrors: [{{destination: {{host: b.c}}}}], {to}"
    http = f"http: [{{mirror: {{host: a.b}}, match: [{{port: 1}}], {to}}}, {{{mirrors}}}]"
    tls = "tls: [{match: [{sniHosts: [x]}], route: [{destination: {host: c.d}}]}]"
    assert [message for _, message in told(virtual_service(f"hosts: [x]\n{http}\n{tls}\n"))] == [
        "spec.http[0].mirror.host refers to host 'a.b', not found",
        "spec.http[1].mirrors[0].destination.host refers to host 'b.c', not found",
        "spec.tls[0].route[0].destination.host refers to host 'c.d', not found",
    ]


def test_a_delegate_that_is_missing_and_one_that_nobody_wants() -> None:
    route = "http: [{route: [{destination: {host: reviews}}]}]\n"
    found = told(
        virtual_service("hosts: [x]\nhttp: [{delegate: {name: gone}}]\n"),
        virtual_service(route, name="lonely"),
    )
    missing, lonely = found
    assert missing[0] == "IST0101"
    assert "delegate virtual service 'default/gone', not found" in missing[1]
    assert lonely == ("", "spec has no hosts and no virtual service delegates to it, so it routes nothing")


@pytest.mark.parametrize(
    ("first", "second", "conflict"),
    [
        ("", "", True),
        ("gateways: [edge]", "", False),
        ("gateways: [edge, mesh]", "", True),
        ("exportTo: [a]", "exportTo: [b]", False),
        ("exportTo: [a, b]", "exportTo: [b]", True),
        ("exportTo: ['.']", "exportTo: [default]", True),
        ("exportTo: ['.']", "", True),
        ("exportTo: ['~']", "", False),
    ],
)
def test_two_rules_for_a_host_conflict_where_one_client_could_have_both(
    first: str, second: str, conflict: bool
) -> None:
    texts = [
        virtual_service(
            f"hosts: [reviews]\nhttp: [{{route: [{{destination: {{host: reviews}}}}]}}]\n{more}\n", name=name
        )
        for name, more in (("a", first), ("b", second))
    ]
    assert ("IST0109" in [code for code, _ in told(*texts)]) is conflict


def test_what_a_delegate_leaves_is_reached_by_the_next_rule() -> None:
    to = "route: [{destination: {host: reviews}}]"
    root = virtual_service(f"hosts: [reviews]\nhttp: [{{delegate: {{name: leaf}}}}, {{{to}}}]\n")
    leaf = virtual_service(f"http: [{{match: [{{port: 80}}], {to}}}]\n", name="leaf")
    assert told(root, leaf) == []
