"""Checks, quotas and reports: a bag's rules found, instances made, handlers asked, answers combined.

The servers of Mixer's API call it, `mesh_adapter` installs configurations. One event loop; a request is judged by the
RuleSet that was in force when it came, whole. Nothing that a handler does makes a call here raise; a call whose
handlers all answer at once never suspends.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from types import CoroutineType
from typing import Any

import attrs

from galley.kinds.mixer import HeaderOperation
from mixer.attributes import INT64, Bag, LayeredBag, TrackedBag, Value
from mixer.combine import Failure, combine, with_direct
from mixer.epoch import Epoch
from mixer.expression import EvaluationError
from mixer.handler import Instance
from mixer.open_handlers import HandlerError, OpenHandler
from mixer.result import (
    NO_DIRECTIVE,
    CheckResult,
    HeaderEdit,
    QuotaArgs,
    QuotaResult,
    RouteDirective,
    Verdict,
)
from mixer.ruleset import Call, CompiledRule, FailurePolicy, HeaderEditor, Phase, RuleSet
from mixer.status import Code, Status
from mixer.vocabulary import ISTIO

log = logging.getLogger(__name__)

_QUIET = 60.0
"""Seconds between two log lines about the same trouble of the same rule."""


@attrs.frozen
class HandlerStatus:
    """How an open handler does, for the debug page and metrics; counts since it was opened."""

    name: str
    adapter: str
    calls: int
    failures: int
    last_failure: str
    circuit_open: bool


class Dispatcher:
    """`services` are lent to handlers (see Surroundings). All methods belong to one event loop."""

    def __init__(self, services: Mapping[str, Any] | None = None) -> None:
        self._services = dict(services or {})
        self._now = Epoch(RuleSet(ISTIO), None, self._services)
        self._retired: list[Epoch] = []
        self._closing: set[asyncio.Task[None]] = set()
        self._told: dict[str, float] = {}
        self.evaluation_errors = 0

    @property
    def rules(self) -> RuleSet:
        """What is in force."""
        return self._now.rules

    def install(self, rules: RuleSet) -> None:
        """Judges by `rules` from the next request on; requests in progress are judged by what they began with."""
        former, self._now = self._now, Epoch(rules, self._now, self._services)
        self._retired.append(former)
        self._retire(former)

    async def check(self, bag: Bag, quotas: Mapping[str, QuotaArgs] | None = None) -> Verdict:
        """The verdict on one request, with an answer for each quota asked for (by the instance's name).

        Give a TrackedBag if the caller caches. Amounts outside 1 to 2^63-1 are INVALID_ARGUMENT.
        """
        for name, args in (quotas or {}).items():
            if not 1 <= args.amount <= INT64[1]:
                return Verdict(Status(Code.INVALID_ARGUMENT, f"quota {name}: amount {args.amount} is not positive"))
        epoch = self._enter()
        try:
            whole = await self._generated(epoch, bag)
            verdict = await self._checked(epoch, whole)
            if quotas and verdict.status.ok:
                verdict = attrs.evolve(verdict, quotas=await self._quotas(epoch, whole, quotas))
            if isinstance(bag, TrackedBag):
                verdict = attrs.evolve(verdict, references=bag.references)
            return verdict
        finally:
            self._leave(epoch)

    async def report(self, bags: Sequence[Bag]) -> tuple[str, ...]:
        """Hands reports to their handlers, those of one handler and template together; returns what failed."""
        epoch = self._enter()
        try:
            return await self._reported(epoch, bags)
        finally:
            self._leave(epoch)

    def status(self) -> tuple[HandlerStatus, ...]:
        """Of each open handler of the configuration in force."""
        return tuple(
            HandlerStatus(name, each.config.type.name, each.calls, each.failures, each.last_failure, each.circuit_open)
            for name, each in self._now.handlers.items()
        )

    async def close(self) -> None:
        """Closes all handlers; what they buffer is flushed. The dispatcher then knows no rules."""
        self.install(RuleSet(ISTIO))
        for epoch in self._retired:
            self._close(epoch.without([self._now]))
        self._retired.clear()
        while self._closing:
            await asyncio.gather(*self._closing, return_exceptions=True)

    # The life of epochs

    def _enter(self) -> Epoch:
        self._now.users += 1
        return self._now

    def _leave(self, epoch: Epoch) -> None:
        epoch.users -= 1
        if not epoch.users and epoch is not self._now:
            self._retire(epoch)

    def _retire(self, epoch: Epoch) -> None:
        if epoch.users or epoch not in self._retired:
            return
        self._retired.remove(epoch)
        self._close(epoch.without([self._now, *self._retired]))

    def _close(self, handlers: list[OpenHandler]) -> None:
        for handler in handlers:
            task = asyncio.get_running_loop().create_task(handler.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    # The phases

    async def _generated(self, epoch: Epoch, bag: Bag) -> Bag:
        """The bag with what attribute generators add; one that fails adds nothing."""
        index = epoch.rules.index(Phase.GENERATE, bag)
        if not index.rules:
            return bag
        found: dict[str, Value] = {}
        for rule in index.matching(bag, self._no_condition):
            for call in rule.calls[Phase.GENERATE]:
                outputs = await self._answer(epoch, rule, call, bag, "generate", Mapping)
                if isinstance(outputs, Failure):
                    self._tell(str(rule), outputs.message)
                else:
                    found.update(call.instance.bind(outputs))
        return LayeredBag(found, bag) if found else bag

    async def _checked(self, epoch: Epoch, bag: Bag) -> Verdict:
        rules = epoch.rules.index(Phase.CHECK, bag).matching(bag, self._no_condition)
        if not rules:
            return Verdict()
        calls = [(rule, call) for rule in rules for call in rule.calls.get(Phase.CHECK, ())]
        asked = [self._ask(epoch, rule, call, bag, "check", CheckResult) for rule, call in calls]
        answers = await _settle(asked)
        names = [call.handler for _, call in calls]
        for name, answer in zip(names, answers, strict=True):
            if answer.__class__ is Failure:
                self._tell(name, answer.message)
        combined = combine(names, answers)
        directive = NO_DIRECTIVE
        if combined.status.ok:
            directive = self._directive(rules, _with_outputs(bag, calls, answers))
        directive = with_direct(directive, combined.direct)
        return Verdict(combined.status, combined.valid_duration, combined.valid_use_count, directive)

    async def _quotas(self, epoch: Epoch, bag: Bag, quotas: Mapping[str, QuotaArgs]) -> dict[str, QuotaResult]:
        rules = epoch.rules.index(Phase.QUOTA, bag).matching(bag, self._no_condition)
        granted = {}
        for name, args in quotas.items():
            found = next(
                ((rule, call) for rule in rules for call in rule.calls[Phase.QUOTA] if _named(call, name)), None
            )
            result = QuotaResult(args.amount) if found is None else await self._quota(epoch, *found, bag, args)
            references = bag.references if isinstance(bag, TrackedBag) else {}
            granted[name] = attrs.evolve(result, references=references) if references else result
        return granted

    async def _quota(self, epoch: Epoch, rule: CompiledRule, call: Call, bag: Bag, args: QuotaArgs) -> QuotaResult:
        answer: QuotaResult | Failure = await self._answer(epoch, rule, call, bag, "quota", QuotaResult, args)
        if isinstance(answer, QuotaResult) and not 0 <= answer.granted <= args.amount:
            answer = Failure(f"{call.handler}: granted {answer.granted} of {args.amount}", rule.failure.open)
        if isinstance(answer, Failure):
            self._tell(call.handler, answer.message)
            return QuotaResult(args.amount if answer.open else 0, _NO_TIME)
        return answer

    async def _reported(self, epoch: Epoch, bags: Sequence[Bag]) -> tuple[str, ...]:
        batches: dict[tuple[str, str], list[Instance]] = {}
        policies: dict[tuple[str, str], FailurePolicy] = {}
        failures: list[str] = []
        for each in bags:
            bag = await self._generated(epoch, each)
            for rule in epoch.rules.index(Phase.REPORT, bag).matching(bag, self._no_condition):
                sampler = epoch.samplers.get(rule)
                if sampler is not None and not sampler.takes(bag, time.monotonic()):
                    continue
                for call in rule.calls[Phase.REPORT]:
                    key = call.handler, call.instance.type.template.name
                    try:
                        batches.setdefault(key, []).append(call.instance.build(bag))
                    except EvaluationError as error:
                        failures.append(f"{rule}: instance {call.instance.name}: {error}")
                        self._tell(str(rule), failures[-1])
                    policies.setdefault(key, rule.failure)
        keys = [key for key, batch in batches.items() if batch]
        asked = [
            self._call(epoch.handlers[key[0]], policies[key], "report", _NONE, tuple(batches[key])) for key in keys
        ]
        for answer in await _settle(asked):
            if isinstance(answer, Failure):
                failures.append(answer.message)
                self._tell(answer.message.partition(":")[0], answer.message)
        return tuple(failures)

    # One call

    async def _answer(
        self, epoch: Epoch, rule: CompiledRule, call: Call, bag: Bag, method: str, answer: type, *more: Any
    ) -> Any:
        got = self._ask(epoch, rule, call, bag, method, answer, *more)
        return await got if _takes_time(got) else got

    def _ask(
        self, epoch: Epoch, rule: CompiledRule, call: Call, bag: Bag, method: str, answer: type, *more: Any
    ) -> Any:
        """The handler's answer or a Failure, or an awaitable of one of them."""
        try:
            instance = call.instance.build(bag)
        except EvaluationError as error:
            self.evaluation_errors += 1
            return Failure(f"{rule}: instance {call.instance.name}: {error}", rule.failure.open)
        return self._call(epoch.handlers[call.handler], rule.failure, method, answer, instance, *more)

    def _call(self, handler: OpenHandler, policy: FailurePolicy, method: str, answer: type, *arguments: Any) -> Any:
        try:
            got = handler.call(method, answer, policy.timeout, *arguments)
        except HandlerError as error:
            if not policy.retries:
                return Failure(str(error), policy.open)
            return _retried(partial(handler.call, method, answer, policy.timeout, *arguments), policy, error)
        if _takes_time(got):
            return _awaited(got, partial(handler.call, method, answer, policy.timeout, *arguments), policy)
        return got

    # Header operations

    def _directive(self, rules: Sequence[CompiledRule], bag: Bag) -> RouteDirective:
        requests = [edit for rule in rules for each in rule.request_headers for edit in self._edits(rule, each, bag)]
        responses = [edit for rule in rules for each in rule.response_headers for edit in self._edits(rule, each, bag)]
        return RouteDirective(tuple(requests), tuple(responses)) if requests or responses else NO_DIRECTIVE

    def _edits(self, rule: CompiledRule, editor: HeaderEditor, bag: Bag) -> list[HeaderEdit]:
        """One edit a value: of several that replace, the first replaces and the others are added to it."""
        operation = editor.operation
        if operation is HeaderOperation.REMOVE:
            return [HeaderEdit(editor.name, "", operation)]
        edits = []
        for program in editor.values:
            try:
                edits.append(HeaderEdit(editor.name, str(program.evaluate(bag)), operation))
            except EvaluationError as error:
                self._no_condition(rule, error)
                continue
            operation = HeaderOperation.APPEND
        return edits

    def _no_condition(self, rule: CompiledRule, error: Exception) -> None:
        self.evaluation_errors += 1
        self._tell(str(rule), f"{rule}: {error}")

    def _tell(self, who: str, message: str) -> None:
        """Logs a trouble, but the same one's not again and again: requests come by the thousand."""
        now = time.monotonic()
        if now - self._told.get(who, float("-inf")) < _QUIET:
            return
        self._told[who] = now
        log.warning("%s", message, extra={"subject": who})


_NONE = type(None)
_NO_TIME = QuotaResult(0).valid_duration * 0


def _takes_time(answer: Any) -> bool:
    """Whether it is one of our own coroutines; open handlers hand out nothing else that is awaited."""
    return answer.__class__ is CoroutineType


def _named(call: Call, quota: str) -> bool:
    return call.instance.name.lower() == quota.lower()


def _with_outputs(bag: Bag, calls: Sequence[tuple[CompiledRule, Call]], answers: Sequence[Any]) -> Bag:
    outputs = {
        f"{call.output}.output.{name}": value
        for (_, call), answer in zip(calls, answers, strict=True)
        if call.output and isinstance(answer, CheckResult) and answer.output
        for name, value in answer.output.items()
    }
    return LayeredBag(outputs, bag) if outputs else bag


async def _settle(asked: list[Any]) -> list[Any]:
    """All answers in their order; those that take time are waited for together."""
    waiting = [number for number, each in enumerate(asked) if _takes_time(each)]
    if not waiting:
        return asked
    if len(waiting) == 1:
        asked[waiting[0]] = await asked[waiting[0]]
        return asked
    for number, answer in zip(waiting, await asyncio.gather(*(asked[each] for each in waiting)), strict=True):
        asked[number] = answer
    return asked


async def _awaited(got: Awaitable[Any], once: Callable[[], Any], policy: FailurePolicy) -> Any:
    try:
        return await got
    except HandlerError as error:
        return await _retried(once, policy, error)


async def _retried(once: Callable[[], Any], policy: FailurePolicy, error: HandlerError) -> Any:
    """Asks again as often as the policy says, with waits that double and vary; a Failure in the end."""
    wait = policy.base_wait
    for _ in range(policy.retries):
        await asyncio.sleep(random.uniform(wait / 2, wait))
        wait = min(wait * 2, policy.max_wait)
        try:
            got = once()
            return await got if _takes_time(got) else got
        except HandlerError as again:
            error = again
    return Failure(str(error), policy.open)
