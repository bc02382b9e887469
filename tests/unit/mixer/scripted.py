"""Handlers whose behaviour a test writes down, and the configuration that has them called."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import attrs

from mixer.attributes import ValueType
from mixer.expression import Program, compile_expression
from mixer.handler import HandlerType, Instance, Surroundings
from mixer.instance import compile_instance
from mixer.result import PASSED, CheckResult, QuotaArgs, QuotaResult
from mixer.ruleset import PHASES, Call, CompiledRule, FailurePolicy, HandlerConfig, RuleSet
from mixer.status import Code, Status
from mixer.template import Scalar, Template, Variety
from mixer.templates import TEMPLATES
from mixer.vocabulary import ISTIO

DENIED = CheckResult(Status(Code.PERMISSION_DENIED, "no"))
WITH_OUTPUT = Template(
    "keyval", Variety.CHECK_WITH_OUTPUT, {"key": Scalar((ValueType.STRING,))}, {"value": ValueType.STRING}
)


BRISK = FailurePolicy(timeout=0.05)


@attrs.frozen
class Params:
    """None."""


@attrs.define(eq=False)
class Scripted:
    """Answers with what `answer` gives for a call, sync or not; keeps account of what it was asked."""

    answer: Callable[..., Any]
    asked: list[Any] = attrs.field(factory=list)
    closed: int = 0

    def check(self, instance: Instance) -> Any:
        self.asked.append(instance)
        return self.answer(instance)

    def report(self, instances: Sequence[Instance]) -> Any:
        self.asked.append(instances)
        return self.answer(instances)

    def quota(self, instance: Instance, args: QuotaArgs) -> Any:
        self.asked.append((instance, args))
        return self.answer(instance, args)

    def generate(self, instance: Instance) -> Any:
        self.asked.append(instance)
        return self.answer(instance)

    async def close(self) -> None:
        self.closed += 1


def passes(*_: Any) -> CheckResult:
    return PASSED


def denies(*_: Any) -> CheckResult:
    return DENIED


def raises(*_: Any) -> CheckResult:
    raise RuntimeError("broken")


async def hangs(*_: Any) -> CheckResult:
    await asyncio.Event().wait()
    return PASSED


def nonsense(*_: Any) -> Any:
    return {"status": "fine"}


def grants(_: Instance, args: QuotaArgs) -> QuotaResult:
    return QuotaResult(args.amount)


def type_of(scripted: Scripted, *, threaded: bool = False) -> HandlerType[Params]:
    def open_(params: Params, surroundings: Surroundings) -> Scripted:
        return scripted

    return HandlerType("scripted", frozenset(TEMPLATES), Params, open_, threaded=threaded)


@attrs.frozen(eq=False)
class Line:
    """One rule that gives one handler one instance."""

    name: str
    handler: Scripted
    template: str = "checknothing"
    match: str = ""
    fields: dict[str, Any] = attrs.field(factory=dict)
    failure: FailurePolicy = BRISK
    instance: str = "one"
    threaded: bool = False
    bindings: dict[str, str] = attrs.field(factory=dict)
    more: dict[str, Any] = attrs.field(factory=dict)


def rules(*lines: Line) -> RuleSet:
    """A RuleSet of these rules, each with a handler named as the rule is."""
    types: dict[int, HandlerType[Params]] = {}
    compiled, handlers = [], {}
    for line in lines:
        template = WITH_OUTPUT if line.template == "keyval" else TEMPLATES[line.template]
        instance, findings = compile_instance(
            line.instance, "default", template, line.fields, ISTIO, bindings=line.bindings
        )
        assert not findings, findings
        type_ = types.setdefault(id(line.handler), type_of(line.handler, threaded=line.threaded))
        name = f"{line.name}.default"
        handlers[name] = HandlerConfig(name, type_, Params(), (instance.type,))
        compiled.append(
            CompiledRule(
                line.name,
                "istio-system",
                "",
                _predicate(line.match),
                {PHASES[template.variety]: (Call(name, instance, line.name),)},
                failure=line.failure,
                **line.more,
            )
        )
    return RuleSet(ISTIO, tuple(compiled), handlers)


def _predicate(match: str) -> Program | None:
    return compile_expression(match, ISTIO, ValueType.BOOL) if match else None
