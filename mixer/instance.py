"""An instance object against its template: expressions checked, and compiled into one function that makes the values.

Pure; called by `mixer.rules` for every instance that is new or changed. Expressions stand where the template has a
field; a number or a truth value that YAML gives stands for itself.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import attrs

from galley.document import Path
from galley.finding import Finding
from mixer.attributes import Bag, Reference, Value, ValueType, Vocabulary
from mixer.expression import EvaluationError, ExpressionError, Language, Program, compile_expression
from mixer.expression.emit import Record, emit
from mixer.handler import Instance, InstanceType
from mixer.template import Entries, Field, Message, Scalar, Template

OUT = "$out."


@attrs.frozen(eq=False)
class Binding:
    """An attribute that a generator's output becomes; `program` reads `$out.NAME`."""

    attribute: str
    program: Program


@attrs.frozen(eq=False)
class CompiledInstance:
    """An instance ready to be made: `build` raises EvaluationError where an attribute it needs is absent."""

    type: InstanceType
    programs: tuple[Program, ...] = attrs.field(repr=False)
    bindings: tuple[Binding, ...] = ()
    _run: Callable[[Callable[..., Any]], dict[str, Any]] = attrs.field(alias="run", repr=False, kw_only=True)

    @property
    def name(self) -> str:
        return self.type.name

    @property
    def references(self) -> frozenset[Reference]:
        """All that it may read."""
        return frozenset(reference for program in self.programs for reference in program.references)

    def build(self, bag: Bag) -> Instance:
        """The instance for this bag."""
        if self._fixed is not None:
            return self._fixed
        try:
            fields = self._run(bag.get)
        except EvaluationError:
            raise
        except Exception as error:
            raise EvaluationError(f"{type(error).__name__}: {error}") from error
        return Instance(*self._identity, fields)

    @functools.cached_property
    def _identity(self) -> tuple[str, str, str]:
        return self.type.name, self.type.namespace, self.type.template.name

    @functools.cached_property
    def _fixed(self) -> Instance | None:
        """The one instance of a template without expressions."""
        return None if self.programs else Instance(*self._identity, {})

    def bind(self, outputs: Mapping[str, Value]) -> dict[str, Value]:
        """The attributes that a generator's outputs become; those whose outputs are absent are left out."""
        bag = {OUT + name: value for name, value in outputs.items()}
        bound = {}
        for each in self.bindings:
            try:
                bound[each.attribute] = each.program.evaluate(bag)
            except EvaluationError:
                continue  # the generator does not know it: the attribute stays as it was
        return bound


def compile_instance(
    name: str,
    namespace: str,
    template: Template,
    params: Mapping[str, Any],
    vocabulary: Vocabulary,
    *,
    bindings: Mapping[str, str] | None = None,
    language: Language | None = None,
    path: Path = ("spec", "params"),
) -> tuple[CompiledInstance, list[Finding]]:
    """The compiled instance, and what is wrong; with findings it is not to be used."""
    compiler = _Compiler(vocabulary, language)
    record = compiler.message(template.fields, params, path)
    bound = tuple(_bindings(template, bindings or {}, vocabulary, compiler.findings))
    type_ = InstanceType(name, namespace, template, compiler.types)
    programs = tuple(compiler.programs)
    return CompiledInstance(type_, programs, bound, run=emit(record)), compiler.findings


@attrs.define(eq=False)
class _Compiler:
    vocabulary: Vocabulary
    language: Language | None
    findings: list[Finding] = attrs.field(factory=list)
    programs: list[Program] = attrs.field(factory=list)
    types: dict[str, ValueType] = attrs.field(factory=dict)

    def message(self, fields: Mapping[str, Field], data: object, path: Path, within: str = "") -> Record:
        record: dict[str, Any] = {}
        for key, field, item in self._known(fields, data, path):
            here = (*path, key)
            match field:
                case Message(inner):
                    record[key] = self.message(inner, item, here, f"{within}{key}.")
                case Entries(of):
                    record[key] = self._entries(of, item, here, f"{within}{key}.")
                case Scalar():
                    program = self._program(field, item, here)
                    if program is not None:
                        record[key], self.types[within + key] = program.term, program.type
        return record

    def _known(self, fields: Mapping[str, Field], data: object, path: Path) -> Iterator[tuple[str, Field, object]]:
        if not isinstance(data, Mapping):
            self.findings.append(Finding(path, "expected a mapping"))
            return
        for given, item in data.items():
            name = _camel(given)
            if name not in fields:
                known = f"known are {', '.join(fields)}" if fields else "the template has no fields"
                self.findings.append(Finding((*path, given), "is not a known field", known))
            elif item is not None:
                yield name, fields[name], item

    def _entries(self, of: Scalar, data: object, path: Path, within: str) -> Record:
        if not isinstance(data, Mapping):
            self.findings.append(Finding(path, "expected a mapping of names to expressions"))
            return {}
        record = {}
        for key, item in data.items():
            program = self._program(of, item, (*path, key))
            if program is not None:
                record[key], self.types[within + key] = program.term, program.type
        return record

    def _program(self, scalar: Scalar, item: object, path: Path) -> Program | None:
        if isinstance(item, bool):
            item = "true" if item else "false"
        elif isinstance(item, int | float):
            item = str(item)
        if not isinstance(item, str):
            self.findings.append(Finding(path, "expected an expression"))
            return None
        wanted = scalar.types[0] if len(scalar.types) == 1 else None
        program = compile_at(item, self.vocabulary, wanted, self.language, path, self.findings)
        if program is None:
            return None
        if len(scalar.types) > 1 and program.type not in scalar.types:
            known = " or ".join(each.value for each in scalar.types)
            self.findings.append(Finding(path, f"expected {known}, got {program.type.value}"))
            return None
        self.programs.append(program)
        return program


def compile_at(
    text: str,
    vocabulary: Vocabulary,
    wanted: ValueType | None,
    language: Language | None,
    path: Path,
    findings: list[Finding],
) -> Program | None:
    """The program of an expression that stands at `path`; what is wrong is appended with its place in the text."""
    try:
        return compile_expression(text, vocabulary, wanted, language)
    except ExpressionError as error:
        findings.append(Finding(path, f"at {error.position}: {error.message}", error.mend))
        return None


def _bindings(
    template: Template, bindings: Mapping[str, str], vocabulary: Vocabulary, findings: list[Finding]
) -> Iterator[Binding]:
    outputs = Vocabulary({OUT + name: type_ for name, type_ in template.outputs.items()})
    for attribute, text in bindings.items():
        here = ("spec", "attributeBindings", attribute)
        wanted = vocabulary.types.get(attribute)
        if wanted is None:
            findings.append(Finding(here, "is an unknown attribute", vocabulary.nearest(attribute)))
            continue
        program = compile_at(text, outputs, wanted, None, here, findings)
        if program is not None:
            yield Binding(attribute, program)


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part[:1].upper() + part[1:] for part in rest)
