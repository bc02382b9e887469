"""Configuration → RuleSet: expressions typed and compiled, handlers and instances found, parameters checked.

Pure but for the import of adapters that configuration names. Called by `mesh_adapter` whenever Mixer's part of the
configuration changes, and by `mesh-adapter validate`. A rule that has a mistake, or refers to what has one, is a
Problem and the others stand; where a former RuleSet is given, its version of the rule stays in force.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Generic, TypeVar

import attrs

from galley.config import Config, ConfigObject, Problem
from galley.document import Path
from galley.finding import Finding
from galley.kinds.mixer import (
    ADAPTERS,
    TEMPLATES,
    Denominator,
    FailPolicy,
    Handler,
    HeaderOperation,
    HeaderOperationTemplate,
    Instance,
    Rule,
    RuleFailPolicy,
    Sampling,
)
from galley.providers import mesh_config
from galley.schema import Struct
from mixer.attributes import ValueType, Vocabulary
from mixer.charges import compile_charges
from mixer.handler import HandlerType, handler_type, remote_handler_type
from mixer.instance import CompiledInstance, compile_at, compile_instance
from mixer.ruleset import (
    PHASES,
    Call,
    CompiledRule,
    FailurePolicy,
    HandlerConfig,
    HeaderEditor,
    Phase,
    RuleSet,
)
from mixer.sampling import SamplingPlan
from mixer.template import Variety
from mixer.templates import find_template
from mixer.vocabulary import ISTIO
from mixer.wire.adapter_messages import TEMPLATES as REMOTE_TEMPLATES

_PERCENT = {Denominator.HUNDRED: 100, Denominator.TEN_THOUSAND: 1}
T = TypeVar("T")
_UNUSED = "is read, and nothing uses it in this version"


def compile_rules(config: Config, former: RuleSet | None = None) -> RuleSet:
    """The RuleSet of the configuration; `problems` holds all that is wrong with it, with coordinates.

    It is `former` itself if nothing that concerns Mixer changed.
    """
    sources, root_namespace = _sources(config), mesh_config(config).root_namespace
    if former is not None and former.sources == sources and former.root_namespace == root_namespace:
        return former
    return _Compilation(config, former, root_namespace).run(sources)


def _sources(config: Config) -> tuple[ConfigObject[Any], ...]:
    return (
        *config.rules,
        *config.handlers,
        *config.legacy_handlers,
        *config.instances,
        *config.legacy_instances,
        *config.attribute_manifests,
        *config.adapters,
        *config.templates,
        *config.quota_specs,
        *config.quota_spec_bindings,
        *config.http_api_specs,
        *config.http_api_spec_bindings,
    )


@attrs.frozen(eq=False)
class _Usable:
    """A handler whose parameters passed, before it is known what it is given."""

    name: str
    type: HandlerType[Any]
    params: Any
    origin: str


class _Compilation:
    def __init__(self, config: Config, former: RuleSet | None, root_namespace: str) -> None:
        self._config = config
        self._former = former
        self._root = root_namespace
        self._problems: list[Problem] = []
        self._vocabulary = self._declared()
        self._adapters = _Directory(((each, each.spec) for each in config.adapters), ("adapter",))
        self._handlers = _Directory(self._all_handlers(), ("handler", *ADAPTERS))
        self._instances = _Directory(self._all_instances(), ("instance", *TEMPLATES))

    def run(self, sources: tuple[ConfigObject[Any], ...]) -> RuleSet:
        compiled: list[CompiledRule] = []
        given: dict[str, dict[str, CompiledInstance]] = {}
        for each in self._config.rules:
            rule = self._rule(each)
            if rule is not None:
                compiled.append(rule)
        ordered = sorted(compiled, key=lambda rule: (rule.namespace != self._root, rule.namespace, rule.name))
        usable = {each.name: each for each in self._handlers.members()}
        for rule in ordered:
            for call in (call for calls in rule.calls.values() for call in calls):
                key = f"{call.instance.type.template.name}.{call.instance.name}.{call.instance.type.namespace}"
                given.setdefault(call.handler, {})[key] = call.instance
        kept = {each.name: each for rule in ordered for each in rule.handlers}
        handlers = {name: _configured(usable.get(name), kept.get(name), given[name].values()) for name in sorted(given)}
        charges, told = compile_charges(self._config, self._vocabulary)
        for origin, finding in told:
            self._tell(origin, [finding])
        self._unused()
        problems = tuple(self._problems)
        return RuleSet(self._vocabulary, tuple(ordered), handlers, problems, self._root, sources, charges)

    # Vocabulary

    def _declared(self) -> Vocabulary:
        more: dict[str, ValueType] = {}
        for each in self._config.attribute_manifests:
            for name, info in each.spec.attributes:
                type_ = ValueType(info.value_type.value)
                known = ISTIO.types.get(name) or more.get(name)
                if known is not None and known is not type_:
                    finding = Finding(
                        ("spec", "attributes", name, "valueType"), f"is {known.value} elsewhere", "rename it"
                    )
                    self._tell(each, [finding])
                elif name not in ISTIO.types:
                    more[name] = type_
        former = self._former
        if former is not None and former.vocabulary.types == {**ISTIO.types, **more}:
            return former.vocabulary  # so that what was compiled before is found again
        return ISTIO.extended(more)

    # Handlers and instances: each is judged once, whoever refers to it

    def _all_handlers(self) -> Iterator[tuple[ConfigObject[Any], _Usable | None]]:
        for each in self._config.handlers:
            yield each, self._handler(each, each.spec)
        for legacy in self._config.legacy_handlers:
            yield legacy, self._adapter(legacy, legacy.kind, legacy.spec, ("spec",), ("kind",))

    def _handler(self, each: ConfigObject[Handler], spec: Handler) -> _Usable | None:
        if spec.adapter:
            return self._remote(each, spec)
        return self._adapter(each, spec.compiled_adapter, spec.params, ("spec", "params"), ("spec", "compiledAdapter"))

    def _remote(self, each: ConfigObject[Handler], spec: Handler) -> _Usable | None:
        """A handler whose adapter is a process of its own."""
        findings: list[Finding] = []
        info = self._adapters.find(spec.adapter, each.namespace, ("spec", "adapter"), findings)
        if info is None or spec.connection is None:
            self._tell(each, findings)
            return None
        try:
            type_ = remote_handler_type(spec.adapter, info, spec.connection)
        except ValueError as error:
            self._tell(each, [Finding(("spec", "adapter"), f"{spec.adapter!r} {error}", "correct the adapter object")])
            return None
        return self._parsed(each, type_, spec.params, ("spec", "params"))

    def _adapter(
        self, each: ConfigObject[Any], name: str, params: Struct | None, path: Path, named: Path
    ) -> _Usable | None:
        try:
            type_ = handler_type(name)
        except LookupError as error:
            self._tell(each, [Finding(named, f"is an {error.args[0]}", "use a known one, or install its package")])
            return None
        return self._parsed(each, type_, params, path)

    def _parsed(
        self, each: ConfigObject[Any], type_: HandlerType[Any], params: Struct | None, path: Path
    ) -> _Usable | None:
        value, findings = type_.parse(params.plain() if params else {}, path)
        self._tell(each, findings)
        if any(not finding.warning for finding in findings):
            return None
        return _Usable(f"{each.name}.{each.namespace}", type_, value, each.origin)

    def _all_instances(self) -> Iterator[tuple[ConfigObject[Any], CompiledInstance | None]]:
        for each in self._config.instances:
            spec: Instance = each.spec
            path = ("spec", "compiledTemplate" if spec.compiled_template else "template")
            name = spec.compiled_template or spec.template
            yield each, self._instance(each, name, spec.params, ("spec", "params"), path, spec.attribute_bindings)
        for legacy in self._config.legacy_instances:
            yield legacy, self._instance(legacy, legacy.kind, legacy.spec, ("spec",), ("kind",))

    def _instance(
        self,
        each: ConfigObject[Any],
        name: str,
        params: Struct | None,
        path: Path,
        named: Path,
        bindings: tuple[tuple[str, str], ...] = (),
    ) -> CompiledInstance | None:
        try:
            template = find_template(name)
        except LookupError as error:
            self._tell(each, [Finding(named, f"is an {error.args[0]}", "use a known one, or install its package")])
            return None
        plain = params.plain() if params else {}
        if each.kind in TEMPLATES:  # those kinds have the bindings among the fields
            bindings = (*bindings, *_texts(plain.pop("attributeBindings", plain.pop("attribute_bindings", {}))))
        compiled, findings = compile_instance(
            each.name, each.namespace, template, plain, self._vocabulary, bindings=dict(bindings), path=path
        )
        self._tell(each, findings)
        return None if findings else compiled

    # Rules

    def _rule(self, each: ConfigObject[Rule]) -> CompiledRule | None:
        findings: list[Finding] = []
        rule = self._compiled(each, findings)
        if not findings:
            return rule
        former = self._former_rule(each)
        mend = "the version before stays in force" if former else "until then the rule does not count"
        self._tell(each, [attrs.evolve(one, mend="; ".join(filter(None, (one.mend, mend)))) for one in findings])
        return former

    def _compiled(self, each: ConfigObject[Rule], findings: list[Finding]) -> CompiledRule:
        spec = each.spec
        predicate = None
        if spec.match.strip() not in ("", "true"):
            predicate = compile_at(spec.match, self._vocabulary, ValueType.BOOL, None, ("spec", "match"), findings)
        calls = self._calls(each, findings)
        vocabulary = _with_outputs(self._vocabulary, calls.get(Phase.CHECK, ()))
        requests, responses = (
            tuple(_headers(operations, vocabulary, ("spec", field), findings))
            for field, operations in (
                ("requestHeaderOperations", spec.request_header_operations),
                ("responseHeaderOperations", spec.response_header_operations),
            )
        )
        if not (spec.actions or requests or responses):
            findings.append(Finding(("spec",), "does nothing", "give it actions, or header operations"))
        sampling = _sampling(spec.sampling, self._vocabulary, findings) if spec.sampling else None
        failure = _failure(spec.fail_policy)
        return CompiledRule(
            each.name, each.namespace, each.origin, predicate, calls, requests, responses, sampling, failure
        )

    def _calls(self, each: ConfigObject[Rule], findings: list[Finding]) -> Mapping[Phase, tuple[Call, ...]]:
        calls: dict[Phase, list[Call]] = {}
        for index, action in enumerate(each.spec.actions):
            here = ("spec", "actions", index)
            handler = self._handlers.find(action.handler, each.namespace, (*here, "handler"), findings)
            for number, name in enumerate(action.instances):
                there = (*here, "instances", number)
                instance = self._instances.find(name, each.namespace, there, findings)
                if handler is None or instance is None:
                    continue
                template = instance.type.template
                if template.name not in handler.type.templates:
                    known = ", ".join(sorted(handler.type.templates))
                    message = f"is of template {template.name}, which {handler.type.name} does not take"
                    findings.append(Finding(there, message, f"it takes {known}"))
                    continue
                calls.setdefault(PHASES[template.variety], []).append(Call(handler.name, instance, action.name))
        return {phase: tuple(members) for phase, members in calls.items()}

    def _former_rule(self, each: ConfigObject[Rule]) -> CompiledRule | None:
        """The former version, which brings its handlers along in case theirs are gone or broken."""
        former = self._former
        if former is None:
            return None
        rule = next((one for one in former.rules if (one.namespace, one.name) == (each.namespace, each.name)), None)
        if rule is None:
            return None
        names = {call.handler for calls in rule.calls.values() for call in calls}
        return attrs.evolve(rule, handlers=tuple(former.handlers[name] for name in sorted(names)))

    def _unused(self) -> None:
        """What is accepted for the parts of Mixer that are not there yet."""
        config = self._config
        for each in (
            *(each for each in config.templates if each.name not in REMOTE_TEMPLATES),
            *config.http_api_specs,
            *config.http_api_spec_bindings,
        ):
            self._problems.append(Problem(each.origin, str(each), _UNUSED, "remove it", warning=True))

    def _tell(self, each: ConfigObject[Any], findings: Iterable[Finding]) -> None:
        self._problems += (
            Problem(each.origin, str(each), finding.text, finding.mend, warning=finding.warning) for finding in findings
        )


class _Directory(Generic[T]):
    """Objects by the names that rules call them: NAME, NAME.KIND, NAME.KIND.NAMESPACE or NAME.NAMESPACE."""

    def __init__(self, objects: Iterable[tuple[ConfigObject[Any], T | None]], kinds: tuple[str, ...]) -> None:
        self._kinds = kinds
        self._objects: dict[tuple[str, str], dict[str, T | None]] = {}
        for each, usable in objects:
            self._objects.setdefault((each.name, each.namespace), {})[each.kind] = usable

    def members(self) -> Iterator[T]:
        """All that are usable."""
        for by_kind in self._objects.values():
            yield from (each for each in by_kind.values() if each is not None)

    def find(self, text: str, namespace: str, path: Path, findings: list[Finding]) -> T | None:
        """What is meant by `text` in a rule of `namespace`; what keeps it from being used is appended."""
        for name, kind, home in self._readings(text, namespace):
            by_kind = self._objects.get((name, home), {})
            if kind:
                by_kind = {each: usable for each, usable in by_kind.items() if each == kind}
            if not by_kind:
                continue
            if len(by_kind) > 1 and self._kinds[0] not in by_kind:
                mend = f"write {' or '.join(f'{name}.{each}' for each in sorted(by_kind))}"
                findings.append(Finding(path, f"{text!r} may mean several objects", mend))
                return None
            found = by_kind.get(self._kinds[0]) if len(by_kind) > 1 else next(iter(by_kind.values()))
            if found is None:
                findings.append(
                    Finding(path, f"refers to {text!r}, which has a mistake of its own", "correct that first")
                )
            return found
        known = sorted(name for name, home in self._objects if home == namespace)
        mend = f"there are {', '.join(known)} in {namespace}" if known else f"create it in {namespace}"
        findings.append(Finding(path, f"refers to {self._kinds[0]} {text!r}, not found", mend))
        return None

    def _readings(self, text: str, namespace: str) -> Iterator[tuple[str, str, str]]:
        """Name, kind (empty: any) and namespace, in each way that the text can be read; names may hold dots."""
        parts = text.split(".")
        for split in range(len(parts), 0, -1):
            name, rest = ".".join(parts[:split]), parts[split:]
            match rest:
                case []:
                    yield name, "", namespace
                case [kind] if kind in self._kinds:
                    yield name, kind, namespace
                case [kind, home] if kind in self._kinds:
                    yield name, kind, home
                case [home]:
                    yield name, "", home


def _configured(
    usable: _Usable | None, kept: HandlerConfig | None, instances: Iterable[CompiledInstance]
) -> HandlerConfig:
    """The handler with all that it is given; the former one only where there is none that is usable now."""
    types = tuple(each.type for each in instances)
    if usable is not None:
        return HandlerConfig(usable.name, usable.type, usable.params, types, usable.origin)
    assert kept is not None  # a rule refers to usable handlers, or brings its own along
    return attrs.evolve(kept, instances=types)


def _with_outputs(vocabulary: Vocabulary, calls: Iterable[Call]) -> Vocabulary:
    outputs = {
        f"{call.output}.output.{name}": type_
        for call in calls
        if call.output and call.instance.type.template.variety is Variety.CHECK_WITH_OUTPUT
        for name, type_ in call.instance.type.template.outputs.items()
    }
    return vocabulary.extended(outputs)


def _headers(
    operations: Iterable[HeaderOperationTemplate], vocabulary: Vocabulary, path: Path, findings: list[Finding]
) -> Iterator[HeaderEditor]:
    for index, each in enumerate(operations):
        values = () if each.operation is HeaderOperation.REMOVE else each.values
        programs = [
            compile_at(text, vocabulary, ValueType.STRING, None, (*path, index, "values", number), findings)
            for number, text in enumerate(values)
        ]
        yield HeaderEditor(each.name, tuple(filter(None, programs)), each.operation)


def _sampling(sampling: Sampling, vocabulary: Vocabulary, findings: list[Finding]) -> SamplingPlan:
    plan = SamplingPlan()
    if (chance := sampling.random) is not None:
        percent = chance.percent_sampled
        program = None
        if chance.attribute_expression and not chance.use_independent_randomness:
            path = ("spec", "sampling", "random", "attributeExpression")
            program = compile_at(chance.attribute_expression, vocabulary, None, None, path, findings)
        share = percent.numerator * _PERCENT[percent.denominator] if percent else 0
        plan = attrs.evolve(plan, share=share, expression=program)
    if (limit := sampling.rate_limit) is not None:
        window = limit.sampling_duration.total_seconds() if limit.sampling_duration else 0.0
        plan = attrs.evolve(plan, window=window, free=limit.max_unsampled_entries, one_in=limit.sampling_rate)
    return plan


def _failure(policy: RuleFailPolicy | None) -> FailurePolicy:
    if policy is None:
        return FailurePolicy()
    default = FailurePolicy()
    return FailurePolicy(
        policy.policy is FailPolicy.FAIL_OPEN,
        policy.timeout.total_seconds() if policy.timeout else default.timeout,
        policy.max_retry,
        policy.base_retry_wait.total_seconds() if policy.base_retry_wait is not None else default.base_wait,
        policy.max_retry_wait.total_seconds() if policy.max_retry_wait is not None else default.max_wait,
    )


def _texts(data: object) -> Iterator[tuple[str, str]]:
    if isinstance(data, Mapping):
        yield from ((key, each) for key, each in data.items() if isinstance(each, str))
