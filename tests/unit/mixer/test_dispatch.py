"""What a Check, a quota and a Report come to, whatever their handlers do."""

from __future__ import annotations

import asyncio
import datetime
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import attrs
import pytest

from galley.kinds.mixer import HeaderOperation
from mixer.attributes import Condition, Reference, TrackedBag
from mixer.dispatch import Dispatcher
from mixer.expression import compile_expression
from mixer.isolation import FAILURES
from mixer.result import PASSED, CheckResult, DirectResponse, HeaderEdit, QuotaArgs, QuotaResult
from mixer.ruleset import FailurePolicy, HeaderEditor
from mixer.status import Code, Status
from mixer.vocabulary import ISTIO
from tests.unit.mixer.scripted import (
    DENIED,
    Line,
    Scripted,
    denies,
    grants,
    hangs,
    nonsense,
    passes,
    raises,
    rules,
)

SECOND = datetime.timedelta(seconds=1)
OPEN = FailurePolicy(open=True, timeout=0.05)


@pytest.fixture
async def dispatcher() -> AsyncIterator[Dispatcher]:
    made = Dispatcher()
    yield made
    await made.close()


async def test_no_rule_passes_for_a_minute_and_ten_thousand_uses(dispatcher: Dispatcher) -> None:
    verdict = await dispatcher.check({})
    assert (verdict.status.ok, verdict.valid_duration, verdict.valid_use_count) == (True, 60 * SECOND, 10_000)


async def test_the_first_refusal_gives_the_code_all_the_message_and_the_least_is_valid(dispatcher: Dispatcher) -> None:
    late = CheckResult(Status(Code.UNAUTHENTICATED, "who?"), 3 * SECOND, -1)
    brief = CheckResult(valid_duration=9 * SECOND, valid_use_count=5)
    dispatcher.install(
        rules(
            Line("a", Scripted(lambda _: brief)),
            Line("b", Scripted(denies)),
            Line("c", Scripted(lambda _: late)),
        )
    )
    verdict = await dispatcher.check({})
    assert verdict.status == Status(Code.PERMISSION_DENIED, "b.default:no, c.default:who?")
    assert (verdict.valid_duration, verdict.valid_use_count) == (3 * SECOND, 5)


@pytest.mark.parametrize("trouble", [raises, hangs, nonsense])
@pytest.mark.parametrize(
    ("failure", "code"), [(OPEN, Code.OK), (attrs.evolve(OPEN, open=False), Code.UNAVAILABLE)], ids=["open", "closed"]
)
async def test_a_handler_in_trouble_loses_its_own_answer_only(
    dispatcher: Dispatcher, trouble: Any, failure: FailurePolicy, code: Code
) -> None:
    dispatcher.install(rules(Line("bad", Scripted(trouble), failure=failure), Line("good", Scripted(passes))))
    verdict = await dispatcher.check({})
    assert (verdict.status.code, verdict.valid_duration) == (code, 0 * SECOND)
    dispatcher.install(rules(Line("bad", Scripted(trouble), failure=failure), Line("good", Scripted(denies))))
    assert (await dispatcher.check({})).status == Status(Code.PERMISSION_DENIED, "good.default:no")


async def test_a_threaded_handler_that_blocks_is_given_up(dispatcher: Dispatcher) -> None:
    def blocks(_: Any) -> CheckResult:
        time.sleep(0.3)
        return PASSED

    dispatcher.install(rules(Line("slow", Scripted(blocks), threaded=True), Line("good", Scripted(passes))))
    began = time.monotonic()
    verdict = await dispatcher.check({})
    assert verdict.status.code is Code.UNAVAILABLE
    assert "no answer within 0.05 s" in verdict.status.message
    assert time.monotonic() - began < 0.25


async def test_after_repeated_failures_a_handler_is_not_asked_any_more(dispatcher: Dispatcher) -> None:
    bad = Scripted(raises)
    dispatcher.install(rules(Line("bad", bad)))
    for _ in range(FAILURES + 3):
        await dispatcher.check({})
    (status,) = dispatcher.status()
    assert (len(bad.asked), status.circuit_open, status.failures) == (FAILURES, True, FAILURES)


async def test_a_failed_call_is_repeated_as_the_rule_says(dispatcher: Dispatcher) -> None:
    answers: Iterator[Exception | CheckResult] = iter([RuntimeError("once"), RuntimeError("twice"), PASSED])

    def answer(_: Any) -> CheckResult:
        each = next(answers)
        if isinstance(each, Exception):
            raise each
        return each

    failure = FailurePolicy(timeout=0.05, retries=2, base_wait=0.001, max_wait=0.002)
    dispatcher.install(rules(Line("flaky", Scripted(answer), failure=failure)))
    assert (await dispatcher.check({})).status.ok


async def test_an_instance_that_cannot_be_made_is_a_failure_of_its_rule(dispatcher: Dispatcher) -> None:
    entry = {"value": "request.host"}
    for failure, code in ((OPEN, Code.OK), (FailurePolicy(), Code.UNAVAILABLE)):
        dispatcher.install(rules(Line("list", Scripted(passes), "listentry", fields=entry, failure=failure)))
        verdict = await dispatcher.check({})
        assert verdict.status.code is code
    assert verdict.status.message == "rule istio-system/list: instance one: attribute request.host is absent"


async def test_a_rule_whose_condition_has_no_value_does_not_match(dispatcher: Dispatcher) -> None:
    dispatcher.install(rules(Line("a", Scripted(denies), match="response.code > 3")))
    assert (await dispatcher.check({})).status.ok
    assert dispatcher.evaluation_errors == 1


async def test_header_operations_are_those_of_matching_rules_of_a_check_that_passed(dispatcher: Dispatcher) -> None:
    def value(text: str) -> Any:
        vocabulary = ISTIO.extended({"a.output.value": ISTIO.types["source.name"]})
        return compile_expression(text, vocabulary)

    edits = {
        "request_headers": (
            HeaderEditor("x-a", (value('a.output.value + "!"'), value('"b"')), HeaderOperation.REPLACE),
            HeaderEditor("x-b", (value("source.name"),), HeaderOperation.APPEND),
        ),
        "response_headers": (HeaderEditor("server", (), HeaderOperation.REMOVE),),
    }
    speaks = Scripted(lambda _: CheckResult(output={"value": "hello"}))
    line = Line("a", speaks, "keyval", fields={"key": "request.host"}, more=edits)
    dispatcher.install(rules(line, Line("b", Scripted(passes), match='request.host == "h"', more=edits)))
    directive = (await dispatcher.check({"request.host": "g"})).directive
    assert directive.request_headers == (
        HeaderEdit("x-a", "hello!", HeaderOperation.REPLACE),
        HeaderEdit("x-a", "b", HeaderOperation.APPEND),
    )
    assert directive.response_headers == (HeaderEdit("server", "", HeaderOperation.REMOVE),)
    dispatcher.install(rules(line, Line("c", Scripted(denies))))
    refused = (await dispatcher.check({"request.host": "g"})).directive
    assert not refused.request_headers
    assert not refused.response_headers


async def test_a_direct_response_is_part_of_the_directive(dispatcher: Dispatcher) -> None:
    direct = DirectResponse(301, "moved", (("location", "/new"),))
    dispatcher.install(rules(Line("a", Scripted(lambda _: attrs.evolve(DENIED, direct=direct)))))
    directive = (await dispatcher.check({})).directive
    assert (directive.direct_response_code, directive.direct_response_body) == (301, "moved")
    assert directive.response_headers == (HeaderEdit("location", "/new", HeaderOperation.REPLACE),)


async def test_quotas_are_asked_for_only_if_the_check_passed(dispatcher: Dispatcher) -> None:
    counter = Scripted(grants)
    dispatcher.install(rules(Line("q", counter, "quota", instance="requests")))
    verdict = await dispatcher.check({}, {"Requests": QuotaArgs(3), "unknown": QuotaArgs(7)})
    assert {name: each.granted for name, each in verdict.quotas.items()} == {"Requests": 3, "unknown": 7}
    dispatcher.install(rules(Line("q", counter, "quota", instance="requests"), Line("d", Scripted(denies))))
    assert not (await dispatcher.check({}, {"requests": QuotaArgs(3)})).quotas
    assert len(counter.asked) == 1


async def test_the_first_rule_that_has_a_quota_grants_it(dispatcher: Dispatcher) -> None:
    first, second = Scripted(lambda *_: QuotaResult(1)), Scripted(grants)
    dispatcher.install(rules(Line("a", first, "quota"), Line("b", second, "quota")))
    verdict = await dispatcher.check({}, {"one": QuotaArgs(5)})
    assert (verdict.quotas["one"].granted, second.asked) == (1, [])


@pytest.mark.parametrize("amount", [0, -1, 2**63])
async def test_an_amount_that_is_none_is_an_invalid_argument(dispatcher: Dispatcher, amount: int) -> None:
    verdict = await dispatcher.check({}, {"one": QuotaArgs(amount)})
    assert verdict.status.code is Code.INVALID_ARGUMENT


@pytest.mark.parametrize("answer", [raises, hangs, nonsense, lambda *_: QuotaResult(-1), lambda *_: QuotaResult(99)])
async def test_a_quota_whose_handler_is_in_trouble_is_granted_as_the_rule_says(
    dispatcher: Dispatcher, answer: Any
) -> None:
    for failure, granted in ((OPEN, 5), (attrs.evolve(OPEN, open=False), 0)):
        dispatcher.install(rules(Line("q", Scripted(answer), "quota", failure=failure)))
        assert (await dispatcher.check({}, {"one": QuotaArgs(5)})).quotas["one"].granted == granted


async def test_generators_come_first_and_what_they_find_is_seen_by_all(dispatcher: Dispatcher) -> None:
    knows = Scripted(lambda _: {"source_pod_name": "web-1"})
    bindings = {"source.name": '$out.source_pod_name | "?"', "source.owner": "$out.source_owner"}
    dispatcher.install(
        rules(
            Line("deny", Scripted(denies), match='source.name == "web-1"'),
            Line("env", knows, "kubernetes", fields={"sourceUid": "source.uid"}, bindings=bindings),
            Line("log", log := Scripted(lambda _: None), "logentry", fields={"variables": {"who": "source.name"}}),
        )
    )
    bag = TrackedBag({"source.uid": "u"})
    verdict = await dispatcher.check(bag)
    assert verdict.status.code is Code.PERMISSION_DENIED
    assert verdict.references[Reference("source.uid")] is Condition.EXACT
    assert Reference("source.name") not in verdict.references
    assert await dispatcher.report([{"source.uid": "u"}]) == ()
    ((instance,),) = log.asked
    assert instance.fields == {"variables": {"who": "web-1"}}


async def test_reports_reach_a_handler_together_and_one_in_trouble_loses_its_own(dispatcher: Dispatcher) -> None:
    good, bad = Scripted(lambda _: None), Scripted(raises)
    fields = {"value": "response.code", "dimensions": {"path": 'request.path | "?"'}}
    dispatcher.install(rules(Line("a", bad, "metric", fields=fields), Line("b", good, "metric", fields=fields)))
    failures = await dispatcher.report([{"response.code": 200}, {}, {"response.code": 404, "request.path": "/"}])
    (batch,) = good.asked
    assert [each.fields for each in batch] == [
        {"value": 200, "dimensions": {"path": "?"}},
        {"value": 404, "dimensions": {"path": "/"}},
    ]
    assert sorted(failures) == [
        "a.default: broken",
        "rule istio-system/a: instance one: attribute response.code is absent",
        "rule istio-system/b: instance one: attribute response.code is absent",
    ]


async def test_a_request_is_judged_by_what_was_in_force_when_it_came(dispatcher: Dispatcher) -> None:
    go = asyncio.Event()

    async def waits(_: Any) -> CheckResult:
        await go.wait()
        return DENIED

    old, shared = Scripted(waits), Scripted(passes)
    slow = FailurePolicy(timeout=5)
    before = rules(Line("old", old, failure=slow), Line("shared", shared))
    dispatcher.install(before)
    judged = asyncio.ensure_future(dispatcher.check({}))
    await asyncio.sleep(0)
    after = rules(Line("new", Scripted(passes)))
    kept = before.handlers["shared.default"]
    dispatcher.install(attrs.evolve(after, handlers={**after.handlers, "shared.default": kept}))
    assert (await dispatcher.check({})).status.ok
    assert old.closed == 0
    go.set()
    assert (await judged).status == Status(Code.PERMISSION_DENIED, "old.default:no")
    async with asyncio.timeout(5):
        while not old.closed:
            await asyncio.sleep(0.001)
    assert (old.closed, shared.closed) == (1, 0)
    await dispatcher.close()
    assert shared.closed == 1


async def test_the_rules_of_a_namespace_concern_its_destinations(dispatcher: Dispatcher) -> None:
    compiled = rules(Line("a", Scripted(denies)))
    moved = tuple(attrs.evolve(each, namespace="prod") for each in compiled.rules)
    dispatcher.install(attrs.evolve(compiled, rules=moved))
    assert (await dispatcher.check({"destination.namespace": "dev"})).status.ok
    assert not (await dispatcher.check({"destination.namespace": "prod"})).status.ok
    outbound = {"destination.namespace": "dev", "source.namespace": "prod", "context.reporter.kind": "outbound"}
    assert not (await dispatcher.check(outbound)).status.ok
