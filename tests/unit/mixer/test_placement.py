"""Which rules Envoy carries out by itself, what it is told of them, and why the others are Mixer's."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from galley.config import ConfigObject
from mixer.compile import remote_needs
from mixer.placement import MOST_WAYS, placements
from pilot.model.mixer import Denial, Probe, ProbeKind
from tests.unit.mixer.configuration import handler, instance, rule, sound

KNOWN = {"context.reporter.kind": "inbound", "destination.namespace": "shop", "destination.service.host": "a.example"}
OBJECTS = (
    handler("no", "denier", {"status": {"code": 7, "message": "not you"}}),
    instance("asked", "checknothing"),
    handler("idle", "noop"),
    handler("list", "list", {"overrides": ["a"]}),
    instance("listed", "listentry", {"value": 'request.headers["x"]'}),
)


def denied(*rules: ConfigObject[Any]) -> tuple[Denial, ...] | None:
    return remote_needs(sound(*OBJECTS, *rules), KNOWN).denials


def probes_of(match: str) -> list[tuple[Probe, ...]]:
    return [each.tests for each in denied(rule("a", match, "no", ("asked",))) or ()]


X = Probe("x", ProbeKind.EXACT, "1")
GET = Probe(":method", ProbeKind.EXACT, "GET")


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        ("", [()]),
        ('request.headers["X"] == "1"', [(X,)]),
        ('"1" == request.headers["x"]', [(X,)]),
        ('request.headers["x"] != "1"', [(Probe("x", ProbeKind.NOT, "1"),)]),
        ('request.method == "GET" && request.headers["x"] == "1"', [(GET, X)]),
        ('request.method == "GET" || request.headers["x"] == "1"', [(GET,), (X,)]),
        ('request.headers["x"] == "1" || request.method == "GET"', [(X,), (attrs.evolve(X, kind=ProbeKind.NOT), GET)]),
        ('request.url_path.startsWith("/a")', [(Probe("", ProbeKind.PREFIX, "/a"),)]),
        ('match(request.url_path, "/a*")', [(Probe("", ProbeKind.PREFIX, "/a"),)]),
        ('match(request.url_path, "/a")', [(Probe("", ProbeKind.EXACT, "/a"),)]),
        ('request.path == "/a?b"', [(Probe(":path", ProbeKind.EXACT, "/a?b"),)]),
        ('destination.service.host == "a.example" && request.headers["x"] == "1"', [(X,)]),
        ('destination.service.host != "a.example" || request.headers["x"] == "1"', [(X,)]),
        ('(request.method == "GET" || request.headers["x"] == "1") && request.url_path == "/"',
         [(GET, Probe("", ProbeKind.EXACT, "/")), (X, Probe("", ProbeKind.EXACT, "/"))]),
    ],
)  # fmt: skip
def test_conditions_as_tests(match: str, expected: list[tuple[Probe, ...]]) -> None:
    assert probes_of(match) == expected


def test_the_answer_is_the_one_that_mixer_gives() -> None:
    found = denied(rule("a", "", "no", ("asked",)))
    assert found == (Denial(403, "no.istio-system:not you", (), "rule istio-system/a"),)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"match": "source.principal == 'x'".replace("'", '"')}, "Envoy does not know source.principal"),
        ({"match": 'request.headers["x"] | "" == "1"'}, "Envoy does not know default"),
        ({"match": 'request.headers["x"].endsWith("1")'}, "Envoy has no test for endsWith()"),
        ({"match": 'request.headers["x y"] == "1"'}, 'Envoy does not know request.headers["x y"]'),
        (
            {"match": r'request.headers["x"] == "\n"'},
            "Envoy can't test request.headers[\"x\"] against what can't be printed",
        ),
        (
            {"match": 'request.headers["x"].startsWith("a") || request.method == "GET"'},
            "it has no value where a header is absent on the left of ||",
        ),
        ({"match": "response.code == 200"}, "Envoy has no test for response.code against that value"),
        ({"handler": "list", "instances": ("listed",)}, "handler list.istio-system is no denier"),
        ({"failPolicy": {"policy": "FAIL_OPEN"}}, "it is to let requests pass while Mixer is away"),
        (
            {"requestHeaderOperations": [{"name": "a", "values": ['"b"']}]},
            "it changes headers by values that Mixer knows",
        ),
    ],
)
def test_what_is_mixer_s_and_why(more: dict[str, Any], why: str) -> None:
    given = {"match": "", "handler": "no", "instances": ("asked",), **more}
    (found,) = placements(sound(*OBJECTS, rule("a", **given)))
    assert (found.where, found.why) == ("mixer", why)


def test_too_many_combinations_are_mixer_s() -> None:
    one = " || ".join(f'request.headers["x"] == "{number}"' for number in range(MOST_WAYS + 1))
    (found,) = placements(sound(*OBJECTS, rule("a", one, "no", ("asked",))))
    assert found.where == "mixer"


def test_one_rule_of_mixer_s_keeps_all_of_a_port_there() -> None:
    ours, theirs = rule("a", "", "no", ("asked",)), rule("b", "", "list", ("listed",))
    assert denied(ours)
    assert denied(ours, theirs) is None
    elsewhere = rule("b", 'destination.service.host == "b.example"', "list", ("listed",))
    assert denied(ours, elsewhere)


def test_where_each_rule_runs() -> None:
    found = placements(sound(*OBJECTS, rule("a", "", "no", ("asked",)), rule("b", "", "list", ("listed",))))
    assert [(str(each.rule), each.where) for each in found] == [
        ("rule istio-system/a", "envoy"),
        ("rule istio-system/b", "mixer"),
    ]
