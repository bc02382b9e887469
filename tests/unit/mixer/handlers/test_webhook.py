"""What a webhook is asked and told."""

from __future__ import annotations

import datetime
import json
from typing import Any

import pytest

from mixer.result import CheckResult
from mixer.status import Code
from tests.unit.mixer.handlers.far_ends import http_peer
from tests.unit.mixer.handlers.opened import instance, opened_now


async def _checked(status: int = 200, answer: Any = None) -> tuple[CheckResult, Any]:
    async with http_peer(status, answer) as far:
        handler = opened_now("webhook", {"url": far.url + "/hook", "headers": {"X-Key": "k"}})
        try:
            return await handler.check(instance("listentry", "entry", value="a")), far
        finally:
            await handler.close()


async def test_a_check_is_asked_with_the_instance() -> None:
    result, far = await _checked(204)
    assert result.status.ok
    assert far.headers[0]["X-Key"] == "k"
    asked = {"instance": "entry", "namespace": "default", "template": "listentry", "fields": {"value": "a"}}
    assert json.loads(far.bodies[0]) == asked


@pytest.mark.parametrize(
    ("status", "answer", "code"),
    [
        (200, {"allow": False, "message": "no"}, Code.PERMISSION_DENIED),
        (403, {"message": "no"}, Code.PERMISSION_DENIED),
        (401, None, Code.UNAUTHENTICATED),
        (200, {"allow": True}, Code.OK),
        (200, {"allow": "yes"}, Code.PERMISSION_DENIED),
    ],
)
async def test_the_answer_says_whether_it_passes(status: int, answer: Any, code: Code) -> None:
    result, _ = await _checked(status, answer)
    assert result.status.code is code


async def test_the_answer_says_how_long_it_holds() -> None:
    result, _ = await _checked(200, {"validDuration": "2s", "validUseCount": 7})
    assert (result.valid_duration, result.valid_use_count) == (datetime.timedelta(seconds=2), 7)


@pytest.mark.parametrize(("status", "answer"), [(500, None), (302, None), (200, {"validDuration": "soon"})])
async def test_anything_else_is_no_answer(status: int, answer: Any) -> None:
    with pytest.raises(ValueError, match="the webhook"):
        await _checked(status, answer)


async def test_reports_come_in_batches() -> None:
    async with http_peer() as far:
        handler = opened_now("webhook", {"url": far.url, "batchSize": 3})
        handler.report([instance("logentry", "log", variables={"n": number}) for number in range(4)])
        await handler.close()
        told = [json.loads(body) for body in far.bodies]
        assert [len(each) for each in told] == [3, 1]
        assert told[1][0]["fields"] == {"variables": {"n": 3}}
