"""The rules in force, compiled: what dispatch judges by. Immutable; a request is judged by one whole RuleSet.

Made by `mixer.rules`. Rules of the root namespace concern everybody, others the namespace they live in: that of the
destination, or of the source where the proxy reports outbound traffic.
"""

from __future__ import annotations

import enum
import functools
from collections.abc import Mapping
from typing import Any

import attrs

from galley.config import ConfigObject, Problem
from galley.kinds.mesh_config import ROOT_NAMESPACE
from galley.kinds.mixer import HeaderOperation
from mixer.attributes import Bag, Vocabulary
from mixer.charges import NO_CHARGES, Charges
from mixer.expression import Program
from mixer.handler import HandlerType, InstanceType
from mixer.instance import CompiledInstance
from mixer.matching import Index
from mixer.sampling import SamplingPlan
from mixer.template import Variety


@attrs.frozen
class FailurePolicy:
    """What a call that fails comes to, and how hard it is tried. Times in seconds; `timeout` is for each try."""

    open: bool = False
    timeout: float = 0.5
    retries: int = 0
    base_wait: float = 0.08
    max_wait: float = 1.0


@attrs.frozen(eq=False)
class HandlerConfig:
    """A handler to be opened. `name` is NAME.NAMESPACE; handlers of equal `signature` are one open handler."""

    name: str
    type: HandlerType[Any]
    params: Any
    instances: tuple[InstanceType, ...] = ()
    origin: str = ""

    @functools.cached_property
    def signature(self) -> tuple[Any, ...]:
        """Whatever a new configuration must share for the open handler to be kept."""
        instances = tuple(
            (each.name, each.namespace, each.template.name, tuple(each.types.items())) for each in self.instances
        )
        return self.name, self.type, self.params, instances


@attrs.frozen(eq=False)
class Call:
    """One instance that a rule gives a handler. `output` is what header operations call the answer by."""

    handler: str
    instance: CompiledInstance
    output: str = ""


@attrs.frozen(eq=False)
class HeaderEditor:
    """A header operation of a rule, its values compiled."""

    name: str
    values: tuple[Program, ...]
    operation: HeaderOperation


@attrs.frozen(eq=False)
class CompiledRule:
    """One rule. `calls` holds what its handlers are given, by the phase they are called in."""

    name: str
    namespace: str
    origin: str
    predicate: Program | None
    calls: Mapping[Phase, tuple[Call, ...]]
    request_headers: tuple[HeaderEditor, ...] = ()
    response_headers: tuple[HeaderEditor, ...] = ()
    sampling: SamplingPlan | None = None
    failure: FailurePolicy = FailurePolicy()
    handlers: tuple[HandlerConfig, ...] = ()

    def __str__(self) -> str:
        return f"rule {self.namespace}/{self.name}"


class Phase(enum.Enum):
    """When calls are made, in this order; a Report has GENERATE and REPORT only."""

    GENERATE = "GENERATE"
    CHECK = "CHECK"
    QUOTA = "QUOTA"
    REPORT = "REPORT"


PHASES: Mapping[Variety, Phase] = {
    Variety.ATTRIBUTE_GENERATOR: Phase.GENERATE,
    Variety.CHECK: Phase.CHECK,
    Variety.CHECK_WITH_OUTPUT: Phase.CHECK,
    Variety.QUOTA: Phase.QUOTA,
    Variety.REPORT: Phase.REPORT,
}


@attrs.frozen(eq=False)
class RuleSet:
    """`rules` in the order they are carried out: the root namespace's first, then by namespace and name."""

    vocabulary: Vocabulary
    rules: tuple[CompiledRule, ...] = ()
    handlers: Mapping[str, HandlerConfig] = attrs.field(factory=dict)
    problems: tuple[Problem, ...] = ()
    root_namespace: str = ROOT_NAMESPACE
    sources: tuple[ConfigObject[Any], ...] = attrs.field(default=(), repr=False)
    """What it was made of: objects that did not change are the same objects in the next configuration."""
    charges: Charges = NO_CHARGES
    """What requests cost, where proxies ask for them."""

    def index(self, phase: Phase, bag: Bag) -> Index[CompiledRule]:
        """The rules of a phase that may concern this bag, by its namespace."""
        indexes = self._indexes[phase]
        return indexes.get(identity_namespace(bag)) or indexes[self.root_namespace]

    @functools.cached_property
    def _indexes(self) -> Mapping[Phase, Mapping[Any, Index[CompiledRule]]]:
        namespaces = {self.root_namespace, *(rule.namespace for rule in self.rules)}
        return {
            phase: {
                namespace: Index(
                    rule
                    for rule in self.rules
                    if rule.namespace in (self.root_namespace, namespace) and _takes_part(rule, phase)
                )
                for namespace in namespaces
            }
            for phase in Phase
        }


def _takes_part(rule: CompiledRule, phase: Phase) -> bool:
    headers = phase is Phase.CHECK and (rule.request_headers or rule.response_headers)
    return bool(rule.calls.get(phase) or headers)


def identity_namespace(bag: Bag) -> Any:
    """Whose rules concern the bag; None, which is no namespace, where it does not say."""
    outbound = bag.get("context.reporter.kind") == "outbound"
    return bag.get("source.namespace" if outbound else "destination.namespace")
