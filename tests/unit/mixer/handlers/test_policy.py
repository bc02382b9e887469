"""Policies in the handler itself."""

from __future__ import annotations

from typing import Any

import pytest

from mixer.handler import handler_type
from tests.unit.mixer.handlers.opened import instance, opened

POLICIES = [
    {"name": "readers", "when": 'subject.user != "" && action.method == "GET"'},
    {"name": "admins", "when": 'subject.groups == "admin" && !action.path.startsWith("/secret")'},
    {"name": "blocked", "when": 'subject.properties["country"] == "XX"', "effect": "DENY", "message": "not there"},
]


def _status(handler: Any, action: dict[str, str], country: str = "CH", **subject: str) -> str:
    fields = {"subject": {"user": "", "groups": "", **subject, "properties": {"country": country}}, "action": action}
    status = handler.check(instance("authorization", "authz", **fields)).status
    return "passed" if status.ok else f"{status.code.name}: {status.message}"


GET, PUT = {"method": "GET", "path": "/books"}, {"method": "PUT", "path": "/books"}


def test_an_allowing_policy_passes_and_a_refusing_one_wins() -> None:
    handler = opened("policy", {"policies": POLICIES})
    assert _status(handler, GET, user="ada") == "passed"
    assert _status(handler, PUT, user="ada") == "PERMISSION_DENIED: no policy allows it"
    assert _status(handler, PUT, groups="admin") == "passed"
    assert _status(handler, GET, user="ada", country="XX") == "PERMISSION_DENIED: not there"


def test_what_no_policy_speaks_of_goes_by_default() -> None:
    handler = opened("policy", {"policies": POLICIES, "default": "ALLOW"})
    assert _status(handler, PUT) == "passed"


def test_an_absent_field_allows_nothing_and_escapes_no_refusal() -> None:
    handler = opened("policy", {"policies": POLICIES})
    status = handler.check(instance("authorization", "authz", action=GET, subject={"user": "ada"})).status
    assert status.message.startswith("policy blocked cannot be decided: ")
    handler = opened("policy", {"policies": POLICIES[:1]})
    assert not handler.check(instance("authorization", "authz", action=GET)).status.ok


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ({"name": "a", "when": 'subject.usr == "x"'}, "policies[0].when at 1:1: unknown attribute subject.usr"),
        ({"name": "a", "when": "subject.user"}, "policies[0].when at 1:1: expected BOOL"),
        ({"when": "true"}, "policies[0].name is missing"),
    ],
)
def test_a_mistake_is_told_with_its_place(policy: dict[str, str], said: str) -> None:
    _, findings = handler_type("policy").parse({"policies": [policy]})
    assert said in findings[0].text
