"""An Open Policy Agent's data API, answered as the agent's documentation says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mixer.result import CheckResult
from mixer.status import Code
from tests.unit.mixer.handlers.far_ends import http_peer
from tests.unit.mixer.handlers.opened import instance, opened_now

ASKED = instance(
    "authorization",
    "authz",
    subject={"user": "ada", "properties": {"ip": b"\x0a\0\0\x01"}},
    action={"method": "GET", "path": "/books"},
)


async def _checked(status: int = 200, answer: Any = None, **params: Any) -> tuple[CheckResult, Any]:
    async with http_peer(status, answer) as far:
        handler = opened_now("opa", {"serverUrl": far.url, "checkMethod": "data.mixerauthz.allow", **params})
        try:
            return await handler.check(ASKED), far
        finally:
            await handler.close()


async def test_the_agent_is_asked_with_subject_and_action() -> None:
    result, far = await _checked(answer={"result": True}, token="secret")
    assert result.status.ok
    assert far.paths == ["/v1/data/mixerauthz/allow"]
    assert json.loads(far.bodies[0]) == {
        "input": {
            "subject": {"user": "ada", "properties": {"ip": "10.0.0.1"}},
            "action": {"method": "GET", "path": "/books"},
        }
    }
    assert far.headers[0]["Authorization"] == "Bearer secret"


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({"result": False}, "opa: request was rejected"),
        ({}, "opa: request was rejected"),
        ({"result": "true"}, "opa: request was rejected"),
        ({"result": {"allow": False, "message": "not on Sundays"}}, "not on Sundays"),
    ],
)
async def test_all_but_true_refuses(answer: Any, message: str) -> None:
    result, _ = await _checked(answer=answer)
    assert (result.status.code, result.status.message) == (Code.PERMISSION_DENIED, message)


@pytest.mark.parametrize(("status", "answer"), [(500, {}), (200, b"nonsense"), (200, [1])])
async def test_no_answer_is_left_to_the_rule_unless_fail_close_is_said(status: int, answer: Any) -> None:
    with pytest.raises(ValueError, match=r"OPA|Expecting"):
        await _checked(status, answer)
    for close in (True, False):
        result, _ = await _checked(status, answer, failClose=close)
        assert result.status.ok is not close
        assert result.valid_use_count == 0
