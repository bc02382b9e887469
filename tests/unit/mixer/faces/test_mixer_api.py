"""Check and Report of istio.mixer.v1, from bytes to bytes."""

from __future__ import annotations

from typing import Any

import pytest

from mixer.attributes import Bag, Condition, Reference
from mixer.dispatch import Dispatcher
from mixer.faces.mixer_api import MixerApi
from mixer.http2.server import Call, RpcError
from mixer.ruleset import RuleSet
from mixer.status import Code
from mixer.wire import dictionary, messages, referenced
from mixer.wire.compressed import compressed, reports
from tests.unit.mixer.configuration import handler, instance, rule, sound

CALL = Call("", {}, None, "127.0.0.1")


def judged() -> RuleSet:
    user = 'request.headers["user"]'
    return sound(
        rule("deny", f'{user} == "mallory"', "denied", ("nothing",)),
        handler("denied", "denier", {"status": {"code": 7, "message": "not you"}}),
        instance("nothing", "checknothing"),
        rule(
            "tell",
            f'{user} == "alice"',
            requestHeaderOperations=[{"name": "x-who", "values": [user]}],
            responseHeaderOperations=[{"name": "x-old", "operation": "REMOVE"}],
        ),
    )


@pytest.fixture
async def api() -> MixerApi:
    dispatcher = Dispatcher()
    dispatcher.install(judged())
    return MixerApi(dispatcher)


async def checked(api: MixerApi, bag: Bag, shared: int = len(dictionary.GLOBAL), **more: Any) -> Any:
    request = messages.CheckRequest(attributes=compressed(bag, shared), global_word_count=shared, **more)
    return messages.CheckResponse.FromString(await api.check(request.SerializeToString(), CALL))


@pytest.mark.parametrize("shared", [20, len(dictionary.GLOBAL)])
async def test_a_refusal_tells_what_it_rests_on(api: MixerApi, shared: int) -> None:
    answer = await checked(api, {"request.headers": {"user": "mallory"}}, shared)
    assert (answer.precondition.status.code, answer.precondition.status.message) == (7, "denied.istio-system:not you")
    assert answer.precondition.valid_use_count == 1000
    assert answer.precondition.valid_duration.seconds == 5
    rests_on = referenced.decode(answer.precondition.referenced_attributes)
    assert rests_on[Reference("request.headers", "user")] is Condition.EXACT


async def test_what_no_rule_refuses_passes_with_its_header_operations(api: MixerApi) -> None:
    answer = await checked(api, {"request.headers": {"user": "alice"}})
    directive = answer.precondition.route_directive
    assert answer.precondition.status.code == 0
    assert [(each.name, each.value, each.operation) for each in directive.request_header_operations] == [
        ("x-who", "alice", 0)
    ]
    assert [(each.name, each.operation) for each in directive.response_header_operations] == [("x-old", 1)]


async def test_a_quota_that_nobody_keeps_is_granted(api: MixerApi) -> None:
    answer = await checked(api, {}, quotas={"gpu": {"amount": 5}})
    assert answer.quotas["gpu"].granted_amount == 5
    assert answer.quotas["gpu"].valid_duration.seconds == 60


async def test_an_amount_that_is_none_is_refused(api: MixerApi) -> None:
    answer = await checked(api, {}, quotas={"gpu": {"amount": -1}})
    assert answer.precondition.status.code == Code.INVALID_ARGUMENT
    assert not answer.quotas


async def test_what_is_known_is_added_before_the_rules_see_it() -> None:
    dispatcher = Dispatcher()
    dispatcher.install(judged())
    api = MixerApi(dispatcher, enrich=lambda bag: bag.update({"request.headers": {"user": "mallory"}}))
    assert (await checked(api, {})).precondition.status.code == 7


BAD = {
    "bytes that are no message": (b"\xff\xff\xff", "no istio.mixer.v1.CheckRequest"),
    "a longer dictionary": (
        messages.CheckRequest(global_word_count=9999).SerializeToString(),
        "inconsistent global dictionary versions used: mixer knows 222 words, caller knows 9999",
    ),
    "a wrong type": (
        messages.CheckRequest(attributes=compressed({"request.size": "big"})).SerializeToString(),
        "attribute request.size is no INT64",
    ),
    "a word that is not there": (
        messages.CheckRequest(attributes={"strings": {-5: 0}}).SerializeToString(),
        "word -5 is not in the message's own list",
    ),
}


@pytest.mark.parametrize("name", BAD)
async def test_what_breaks_the_protocol_is_an_invalid_argument(api: MixerApi, name: str) -> None:
    body, told = BAD[name]
    with pytest.raises(RpcError, match=told) as caught:
        await api.check(body, CALL)
    assert caught.value.status == Code.INVALID_ARGUMENT


async def test_reports_reach_the_rules_and_their_faults_are_told(api: MixerApi) -> None:
    assert await api.report(reports([{"request.size": 1}, {"request.size": 2}]).SerializeToString(), CALL) == b""
    with pytest.raises(RpcError, match=r"attribute request\.size is no INT64"):
        await api.report(reports([{"request.size": 1}, {"request.size": "x"}]).SerializeToString(), CALL)
