"""`policy`: decides by expressions whether a subject may do an action; the policies stand in the parameters.

What `opa` asks an agent, decided here: the expressions are those of rules (Istio's or CEL), over the fields of the
template `authorization`. A refusing policy wins over an allowing one; what none speaks of goes by `default`.
"""

from __future__ import annotations

import datetime
import enum
from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from galley.finding import Finding
from galley.schema import Int32
from mixer.attributes import Value, ValueType, Vocabulary
from mixer.expression import EvaluationError, ExpressionError, Program, compile_expression
from mixer.handler import HandlerType, Instance, Surroundings
from mixer.quota import dimension_text
from mixer.result import CheckResult
from mixer.status import OK, Code, Status

_TEXTS = (
    "subject.user",
    "subject.groups",
    "action.namespace",
    "action.service",
    "action.method",
    "action.path",
)
_MAPS = ("subject.properties", "action.properties")
VOCABULARY = Vocabulary({**dict.fromkeys(_TEXTS, ValueType.STRING), **dict.fromkeys(_MAPS, ValueType.STRING_MAP)})
"""What policies may speak of; properties of any type are text here."""


class Effect(enum.Enum):
    """What a policy does where its condition holds."""

    DENY = "DENY"
    ALLOW = "ALLOW"


@attrs.frozen
class PolicyParams:
    """One policy. Without `when` it always holds."""

    name: str = ""
    when: str = ""
    effect: Effect = Effect.ALLOW
    message: str = ""


@attrs.frozen
class Params:
    """Ours."""

    policies: tuple[PolicyParams, ...] = ()
    default: Effect = Effect.DENY
    caching_interval: datetime.timedelta = datetime.timedelta(seconds=60)
    caching_use_count: Int32 = 10_000


@attrs.frozen(eq=False)
class _Policy:
    name: str
    condition: Program | None
    refused: Status | None

    def holds(self, bag: Mapping[str, Value]) -> bool:
        return self.condition is None or bool(self.condition.evaluate(bag))


class PolicyHandler:
    """Answers at once."""

    def __init__(self, params: Params) -> None:
        ordered = sorted(params.policies, key=lambda each: each.effect is Effect.ALLOW)
        self._policies = [_compiled(each) for each in ordered]
        self._passed = CheckResult(OK, params.caching_interval, params.caching_use_count)
        default = Status(Code.PERMISSION_DENIED, "no policy allows it")
        self._default = OK if params.default is Effect.ALLOW else default

    def check(self, instance: Instance) -> CheckResult:
        bag = _bag(instance.fields)
        for policy in self._policies:
            try:
                holds = policy.holds(bag)
            except EvaluationError as error:
                # An absent field: nothing is allowed by it, and what it might refuse is refused.
                if policy.refused is None:
                    continue
                message = f"policy {policy.name} cannot be decided: {error}"
                return self._result(Status(Code.PERMISSION_DENIED, message))
            if holds:
                return self._result(policy.refused or OK)
        return self._result(self._default)

    def _result(self, status: Status) -> CheckResult:
        return self._passed if status.ok else attrs.evolve(self._passed, status=status)

    async def close(self) -> None:
        return None


def _compiled(params: PolicyParams) -> _Policy:
    condition = compile_expression(params.when, VOCABULARY, ValueType.BOOL) if params.when.strip() else None
    message = params.message or f"refused by policy {params.name}"
    refused = Status(Code.PERMISSION_DENIED, message) if params.effect is Effect.DENY else None
    return _Policy(params.name, condition, refused)


def _bag(fields: Mapping[str, Any]) -> dict[str, Value]:
    bag: dict[str, Value] = {}
    for part in ("subject", "action"):
        for name, value in fields.get(part, {}).items():
            if isinstance(value, Mapping):
                bag[f"{part}.{name}"] = {key: dimension_text(each) for key, each in value.items()}
            else:
                bag[f"{part}.{name}"] = value
    return bag


def _check(params: Params) -> Iterator[Finding]:
    names: set[str] = set()
    for index, each in enumerate(params.policies):
        here = ("policies", index)
        if not each.name:
            yield Finding((*here, "name"), "is missing", "it is told to who is refused")
        elif each.name in names:
            yield Finding((*here, "name"), f"{each.name!r} is given twice", "keep one of the two")
        names.add(each.name)
        try:
            _compiled(each)
        except ExpressionError as error:
            yield Finding((*here, "when"), f"at {error.position}: {error.message}", error.mend)
    if params.caching_interval < datetime.timedelta():
        yield Finding(("cachingInterval",), "must not be negative")


def _open(params: Params, surroundings: Surroundings) -> PolicyHandler:
    return PolicyHandler(params)


POLICY = HandlerType("policy", frozenset({"authorization"}), Params, _open, _check)
