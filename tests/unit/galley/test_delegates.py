"""Roots and delegates, joined."""

from __future__ import annotations

from typing import Any

import pytest

from galley.config import ConfigObject
from galley.delegates import delegate_findings, merge_delegates
from galley.kinds.virtual_service import (
    Delegate,
    Destination,
    HTTPMatchRequest,
    HTTPMirrorPolicy,
    HTTPRetry,
    HTTPRoute,
    HTTPRouteDestination,
    StringMatch,
    VirtualService,
)
from tests.unit.galley.objects import validated

Rule = ConfigObject[VirtualService]
TO = (HTTPRouteDestination(Destination("web")),)


def rule(name: str, *http: HTTPRoute, namespace: str = "default", **spec: Any) -> Rule:
    return ConfigObject("VirtualService", namespace, name, VirtualService(http=http, **spec))


def root(*matches: HTTPMatchRequest, **more: Any) -> Rule:
    return rule("root", HTTPRoute(match=matches, delegate=Delegate("leaf"), **more), hosts=("web",))


def leaf(*matches: HTTPMatchRequest, **more: Any) -> Rule:
    return rule("leaf", HTTPRoute(match=matches, route=TO, **more))


def merged(*rules: Rule) -> tuple[HTTPRoute, ...]:
    (found,) = merge_delegates(rules, lambda name, namespace: f"{name}.{namespace}")
    return found.spec.http


def told(*rules: Rule) -> list[str]:
    return [f"{each.name}: {finding.text}" for each, finding in delegate_findings(rules)]


def uri(**match: str) -> HTTPMatchRequest:
    return HTTPMatchRequest(uri=StringMatch(**match))


def test_rules_without_delegates_stay_the_same_objects_and_delegates_are_no_rules() -> None:
    plain = rule("plain", HTTPRoute(route=TO), hosts=("a",))
    assert merge_delegates((plain, leaf()), lambda name, _: name) == (plain,)


@pytest.mark.parametrize(
    ("wide", "narrow", "fits"),
    [
        (uri(prefix="/a"), uri(prefix="/a/b"), True),
        (uri(prefix="/a"), uri(exact="/a"), True),
        (uri(prefix="/a/b"), uri(prefix="/a"), False),
        (uri(exact="/a"), uri(exact="/a"), True),
        (uri(exact="/a"), uri(prefix="/a"), False),
        (uri(prefix="/a"), HTTPMatchRequest(), True),
        (HTTPMatchRequest(), uri(regex="a"), True),
        (uri(prefix="/a"), uri(regex="/a.*"), False),
        (HTTPMatchRequest(port=1), HTTPMatchRequest(port=2), False),
        (HTTPMatchRequest(port=1), HTTPMatchRequest(), True),
        (HTTPMatchRequest(ignore_uri_case=True), HTTPMatchRequest(), False),
        (
            HTTPMatchRequest(headers=(("x", StringMatch()),)),
            HTTPMatchRequest(headers=(("x", StringMatch(exact="1")),)),
            True,
        ),
        (
            HTTPMatchRequest(headers=(("x", StringMatch(exact="1")),)),
            HTTPMatchRequest(headers=(("x", StringMatch()),)),
            False,
        ),
        (HTTPMatchRequest(source_namespace="a"), HTTPMatchRequest(source_namespace="b"), False),
        (HTTPMatchRequest(source_labels=(("a", "1"),)), HTTPMatchRequest(source_labels=(("a", "2"),)), False),
        (HTTPMatchRequest(gateways=("a", "b")), HTTPMatchRequest(gateways=("b", "c")), True),
        (HTTPMatchRequest(gateways=("a",)), HTTPMatchRequest(gateways=("b",)), False),
    ],
)
def test_a_delegates_match_must_lie_within_the_roots(
    wide: HTTPMatchRequest, narrow: HTTPMatchRequest, fits: bool
) -> None:
    assert bool(merged(root(wide), leaf(narrow))) is fits
    assert bool(told(root(wide), leaf(narrow))) is not fits


def test_conditions_of_both_hold_and_the_narrower_of_a_kind() -> None:
    wide = HTTPMatchRequest("r", StringMatch(prefix="/a"), port=80, headers=(("x", StringMatch(prefix="1")),))
    narrow = HTTPMatchRequest(
        "l", StringMatch(exact="/a/b"), headers=(("x", StringMatch(exact="12")), ("y", StringMatch())), stat_prefix="s"
    )
    (route,) = merged(root(wide, name="root"), leaf(narrow, name="leaf"))
    assert route.name == "root-leaf"
    assert route.match == (
        HTTPMatchRequest(
            "r-l",
            StringMatch(exact="/a/b"),
            port=80,
            headers=(("x", StringMatch(exact="12")), ("y", StringMatch())),
            stat_prefix="s",
        ),
    )


def test_each_match_is_joined_with_each_that_it_lies_within() -> None:
    (route,) = merged(root(uri(prefix="/a"), uri(prefix="/b")), leaf(uri(prefix="/a/1"), HTTPMatchRequest(port=1)))
    assert [(match.uri and match.uri.prefix, match.port) for match in route.match] == [
        ("/a/1", 0),
        ("/a", 1),
        ("/b", 1),
    ]


def test_what_the_delegate_leaves_out_it_has_from_the_root() -> None:
    ours, theirs = HTTPRetry(attempts=1), HTTPRetry(attempts=2)
    mirrors = (HTTPMirrorPolicy(Destination("copy")),)
    (inherited,) = merged(root(retries=ours, mirrors=mirrors), leaf())
    (own,) = merged(root(retries=ours, mirrors=mirrors), leaf(retries=theirs, mirror=Destination("own")))
    assert (inherited.retries, inherited.mirrors) == (ours, mirrors)
    assert (own.retries, own.mirrors, own.mirror) == (theirs, (), Destination("own"))


def test_short_names_of_a_delegate_mean_what_they_mean_at_home() -> None:
    there = rule("leaf", HTTPRoute(route=TO, mirror=Destination("copy")), namespace="team")
    wanting = rule("root", HTTPRoute(delegate=Delegate("leaf", "team")), hosts=("web",))
    (route,) = merged(wanting, there)
    assert route.route[0].destination == Destination("web.team")
    assert route.mirror == Destination("copy.team")


@pytest.mark.parametrize(("export_to", "there"), [((), True), (("*",), True), (("default",), True), ((".",), False)])
def test_a_delegate_must_be_exported_to_the_root(export_to: tuple[str, ...], there: bool) -> None:
    other = rule("leaf", HTTPRoute(route=TO), namespace="team", export_to=export_to)
    wanting = rule("root", HTTPRoute(delegate=Delegate("leaf", "team")), hosts=("web",))
    assert bool(merged(wanting, other)) is there
    assert bool(told(wanting, other)) is not there


def test_what_is_left_out_is_told_with_the_object_to_blame() -> None:
    assert told(root()) == ["root: spec.http[0].delegate refers to delegate virtual service 'default/leaf', not found"]
    assert told(root(uri(prefix="/a")), leaf(uri(prefix="/b"))) == [
        "leaf: spec.http[0] is left out: no match of it lies within those of http[0] of VirtualService default/root"
    ]
    assert told(leaf()) == ["leaf: spec has no hosts and no virtual service delegates to it, so it routes nothing"]
    assert told(root(), leaf()) == []


def test_delegates_cannot_go_round() -> None:
    """One that delegates on is refused as it is read; a root that names itself is no delegate."""
    on = validated("VirtualService", {"http": [{"delegate": {"name": "b"}}]}, "a")
    assert ["cannot contain delegate" in each.message for each in on.problems] == [True]
    itself = rule("root", HTTPRoute(delegate=Delegate("root")), hosts=("web",))
    assert merged(itself) == ()
    assert told(itself) == ["root: spec.http[0].delegate refers to delegate virtual service 'default/root', not found"]
