"""The index finds exactly the rules that asking each of them would find."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from mixer.attributes import Reference, ValueType
from mixer.expression import Program, compile_expression
from mixer.matching import Awaited, Index, awaited
from mixer.vocabulary import ISTIO


@attrs.frozen(eq=False)
class Rule:
    name: str
    predicate: Program | None


def _rule(name: str, text: str) -> Rule:
    return Rule(name, compile_expression(text, ISTIO, ValueType.BOOL) if text else None)


AWAITED = [
    ('source.name == "a"', {"source.name": {"a"}}),
    ('"a" == source.name && response.code == 200', {"source.name": {"a"}, "response.code": {200}}),
    ('source.name == "a" || source.name == "b"', {"source.name": {"a", "b"}}),
    ('source.name == "a" || source.user == "b"', {}),
    ('(source.name | "a") == "a"', {"source.name": {"a", None}}),
    ('(source.name | "b") == "a"', {"source.name": {"a"}}),
    ('match(source.name, "a")', {"source.name": {"a"}}),
    ('match(source.name, "a*")', {}),
    ('source.name != "a"', {}),
    ('!(source.name == "a")', {}),
    ("source.name in ['a', 'b']", {"source.name": {"a", "b"}}),
    ('source.ip == ip("10.0.0.1")', {}),
]


@pytest.mark.parametrize(("text", "values"), AWAITED)
def test_what_a_condition_waits_for(text: str, values: dict[str, set[Any]]) -> None:
    found = awaited(compile_expression(text, ISTIO).term)
    assert set(found) == {Awaited(Reference(name), frozenset(each)) for name, each in values.items()}


def test_only_those_rules_are_asked_that_may_hold() -> None:
    index = Index(
        [
            _rule("always", ""),
            *(_rule(f"host-{number}", f'destination.service.host == "h{number}"') for number in range(50)),
            _rule("header", 'request.headers["x"] == "y"'),
            _rule("path", 'match(request.path, "/a*")'),
        ]
    )
    bag: dict[str, Any] = {"destination.service.host": "h7", "request.headers": {"x": "n"}, "request.path": "/b"}
    assert [each.name for each in index.candidates(bag.get)] == ["always", "host-7", "path"]
    assert [each.name for each in index.matching(bag, _unexpected)] == ["always", "host-7"]


def test_a_rule_whose_condition_has_no_value_does_not_hold_and_is_told() -> None:
    failed: list[str] = []
    index = Index([_rule("absent", "response.code > 3"), _rule("holds", "")])
    found = index.matching({}, lambda rule, error: failed.append(f"{rule.name}: {error}"))
    assert ([each.name for each in found], failed) == (["holds"], ["absent: attribute response.code is absent"])


def _unexpected(rule: Rule, error: Exception) -> None:
    raise AssertionError(f"{rule}: {error}")
