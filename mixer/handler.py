"""The contract of a Mixer adapter, and the registry of those we know.

An adapter is a `HandlerType`: a name, the templates it takes, the class of its parameters, and `open`, which makes a
`Handler` of checked parameters. Outside packages add adapters by the entry point group `mesh_adapter.handlers`
(`name = module:HANDLER_TYPE`). Dispatch keeps handlers apart: one that raises, hangs or answers nonsense loses its own
answer only. `tests/contract/handler_suite.py` holds every adapter to this page.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import attrs

from galley.decode import decode
from galley.document import Path
from galley.finding import Finding, related
from galley.kinds.mixer import AdapterInfo, Connection
from mixer.attributes import Value, ValueType
from mixer.result import CheckResult, QuotaArgs, QuotaResult
from mixer.template import Template

P = TypeVar("P")


class Instance(NamedTuple):
    """One instance with its values: `fields["value"]`, `fields["dimensions"]["source"]`; a field not given is missing.

    `name` is the object's own name, without its namespace.
    """

    name: str
    namespace: str
    template: str
    fields: Mapping[str, Any]


@attrs.frozen(eq=False)
class InstanceType:
    """What a handler may know of an instance before there is one: the type of each field, by dotted path.

    `types["dimensions.source"]`; the names that operators chose are the keys of `types` behind `dimensions.`.
    """

    name: str
    namespace: str
    template: Template
    types: Mapping[str, ValueType]


@attrs.frozen(eq=False)
class Surroundings:
    """What a handler is opened with besides its parameters.

    `name` is NAME.NAMESPACE, for messages and metrics. `instances` are those that rules give it. `monotonic` and `now`
    are the clocks, seconds. `services` holds what the composition root lends (a Prometheus registry as `registry`, who
    is who as `directory`); a handler that lacks one says so when it is opened.
    """

    name: str
    instances: tuple[InstanceType, ...]
    monotonic: Callable[[], float]
    now: Callable[[], float]
    services: Mapping[str, Any] = attrs.field(factory=dict)


class Handler(Protocol):
    """An open adapter. Every method but close is optional, by the templates that the type takes.

    Called in the event loop, from many requests at once. Either they answer at once and never block, or they are
    coroutine functions (bounded by the rule's deadline: cancelled when it is up), or the type says `threaded` and they
    are called in a few threads of the handler's own. They may raise anything: that is a failure of this handler, met by
    the rule's failure policy, never a verdict. A call may be repeated after a failure (`maxRetry`).

    check(instance) -> CheckResult                              CHECK, CHECK_WITH_OUTPUT
    report(instances) -> None                                   REPORT; those of one rule and one batch of one template
    quota(instance, args) -> QuotaResult                        QUOTA
    generate(instance) -> Mapping[str, Value]                   ATTRIBUTE_GENERATOR; outputs by name, without the absent
    """

    async def close(self) -> None:
        """Called once, when no request is in it any more; flushes what is buffered. May take five seconds at most."""


class Checks(Protocol):
    def check(self, instance: Instance) -> CheckResult | Awaitable[CheckResult]: ...


class Reports(Protocol):
    def report(self, instances: Sequence[Instance]) -> Awaitable[None] | None: ...


class Grants(Protocol):
    def quota(self, instance: Instance, args: QuotaArgs) -> QuotaResult | Awaitable[QuotaResult]: ...


class Generates(Protocol):
    def generate(self, instance: Instance) -> Mapping[str, Value] | Awaitable[Mapping[str, Value]]: ...


def _no_findings(_: object) -> Iterable[Finding]:
    return ()


@attrs.frozen(eq=False)
class HandlerType(Generic[P]):
    """One adapter: a value at module level, so that it is found by its name.

    `params` is decoded as the kinds of galley are (`galley.schema` says how to annotate it); `check` says what types
    cannot, with paths from the parameters' root. Both are pure. `open` is called in the event loop with parameters that
    passed and may raise: the handler then counts as failed, and is opened again after a while. Parameters that stay the
    same across configurations keep the open handler.
    """

    name: str
    templates: frozenset[str]
    params: type[P]
    open: Callable[[P, Surroundings], Handler]
    check: Callable[[P], Iterable[Finding]] = _no_findings
    threaded: bool = False

    def parse(self, params: Mapping[str, Any], path: Path = ("spec", "params")) -> tuple[P, list[Finding]]:
        """The checked parameters and all findings; those that are no warnings make them unusable."""
        value, findings = decode(self.params, params, path)
        broken = [finding.path for finding in findings if not finding.warning]
        for each in self.check(value):
            placed = attrs.evolve(each, path=(*path, *each.path))
            if not any(related(placed.path, other) for other in broken):
                findings.append(placed)
        return value, findings


HANDLERS: Mapping[str, str] = {
    "consulenv": "mixer.handlers.environment:CONSULENV",
    "denier": "mixer.handlers.denier:DENIER",
    "fluentd": "mixer.handlers.fluentd:FLUENTD",
    "kubernetesenv": "mixer.handlers.environment:KUBERNETESENV",
    "listchecker": "mixer.handlers.listchecker:LISTCHECKER",
    "memquota": "mixer.handlers.memquota:MEMQUOTA",
    "nomadenv": "mixer.handlers.environment:NOMADENV",
    "noop": "mixer.handlers.noop:NOOP",
    "opa": "mixer.handlers.opa:OPA",
    "opentelemetry": "mixer.handlers.opentelemetry:OPENTELEMETRY",
    "policy": "mixer.handlers.policy:POLICY",
    "prometheus": "mixer.handlers.prometheus:PROMETHEUS",
    "redisquota": "mixer.handlers.redisquota:REDISQUOTA",
    "statsd": "mixer.handlers.statsd:STATSD",
    "stdio": "mixer.handlers.stdio:STDIO",
    "webhook": "mixer.handlers.webhook:WEBHOOK",
    "zipkin": "mixer.handlers.zipkin:ZIPKIN",
}
ALIASES: Mapping[str, str] = {"list": "listchecker"}
ENTRY_POINTS = "mesh_adapter.handlers"


def handler_type(name: str) -> HandlerType[Any]:
    """The adapter `name`; LookupError that lists the known names if there is none."""
    outside = {entry.name: entry.value for entry in importlib.metadata.entry_points(group=ENTRY_POINTS)}
    target = HANDLERS.get(ALIASES.get(name, name)) or outside.get(name)
    if target is None:
        known = ", ".join(sorted({*HANDLERS, *ALIASES, *outside}))
        raise LookupError(f"unknown adapter {name!r}: known are {known}")
    module, _, attribute = target.partition(":")
    found: HandlerType[Any] = getattr(importlib.import_module(module), attribute)
    return found


def remote_handler_type(name: str, info: AdapterInfo, connection: Connection) -> HandlerType[Any]:
    """The type of an adapter object in a process of its own, which listens there; ValueError with what is wrong."""
    found: HandlerType[Any] = importlib.import_module("mixer.handlers.remote").remote_type(name, info, connection)
    return found
