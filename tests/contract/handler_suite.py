"""What every Mixer adapter must do. A subclass names its adapter, good and bad parameters, fields for its templates."""

from __future__ import annotations

import inspect
import time
from collections.abc import Mapping
from typing import Any, ClassVar

from prometheus_client import CollectorRegistry

from mixer.attributes import ValueType
from mixer.enrichment import Directory
from mixer.handler import Handler, HandlerType, Instance, InstanceType, Surroundings, handler_type
from mixer.result import CheckResult, QuotaArgs, QuotaResult
from mixer.template import Variety
from mixer.templates import find_template

_METHODS = {
    Variety.CHECK: "check",
    Variety.CHECK_WITH_OUTPUT: "check",
    Variety.QUOTA: "quota",
    Variety.REPORT: "report",
    Variety.ATTRIBUTE_GENERATOR: "generate",
}
_ANSWERS: dict[Variety, Any] = {
    Variety.CHECK: CheckResult,
    Variety.CHECK_WITH_OUTPUT: CheckResult,
    Variety.QUOTA: QuotaResult,
    Variety.REPORT: type(None),
    Variety.ATTRIBUTE_GENERATOR: Mapping,
}

_WRONG: tuple[Any, ...] = (True, 3.5, "nonsense", [1, "a"], {"a": 1}, [{"a": {}}])


class HandlerSuite:
    """`fields` and `types` are those of one instance, by template; a template that is not there has none."""

    name: ClassVar[str]
    params: ClassVar[Mapping[str, Any]] = {}
    bad: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    fields: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    types: ClassVar[Mapping[str, Mapping[str, ValueType]]] = {}

    @property
    def type(self) -> HandlerType[Any]:
        return handler_type(self.name)

    def given(self) -> Mapping[str, Any]:
        """Parameters to open it with: those above, and what only a test that runs can know."""
        return self.params

    def open(self) -> Handler:
        params, findings = self.type.parse(self.given())
        assert not findings, findings
        instances = tuple(
            InstanceType("one", "default", find_template(each), self.types.get(each, {}))
            for each in sorted(self.type.templates)
        )
        services = {"registry": CollectorRegistry(), "directory": Directory()}
        return self.type.open(params, Surroundings("it.default", instances, time.monotonic, time.time, services))

    def test_it_is_found_by_its_name(self) -> None:
        assert self.type.name == self.name
        assert self.type.templates

    def test_every_template_that_it_takes_is_known(self) -> None:
        for each in self.type.templates:
            find_template(each)

    def test_an_unknown_parameter_is_refused_with_its_path(self) -> None:
        _, findings = self.type.parse({**self.params, "nothingOfTheSort": 1})
        assert [each.path for each in findings] == [("spec", "params", "nothingOfTheSort")]

    def test_parameters_of_a_wrong_kind_are_refused_and_never_raise(self) -> None:
        for name in self.params:
            for wrong in _WRONG:
                self.type.parse({**self.params, name: wrong})

    def test_bad_parameters_are_refused_where_they_stand(self) -> None:
        for path, params in self.bad.items():
            _, findings = self.type.parse({**self.params, **params})
            assert path in {each.text.partition(" ")[0] for each in findings}, findings

    def test_equal_parameters_are_equal(self) -> None:
        assert self.type.parse(self.params)[0] == self.type.parse(self.params)[0]

    async def test_it_answers_for_each_of_its_templates_with_what_is_asked_for(self) -> None:
        handler = self.open()
        for name in sorted(self.type.templates):
            variety = find_template(name).variety
            instance = Instance("one", "default", name, self.fields.get(name, {}))
            arguments: tuple[Any, ...] = ((instance,),) if variety is Variety.REPORT else (instance,)
            if variety is Variety.QUOTA:
                arguments = (instance, QuotaArgs(3))
            answer = getattr(handler, _METHODS[variety])(*arguments)
            if inspect.isawaitable(answer):
                answer = await answer
            assert isinstance(answer, _ANSWERS[variety]), name
            if isinstance(answer, QuotaResult):
                assert 0 <= answer.granted <= 3
        await handler.close()

    async def test_it_can_be_opened_again_before_the_former_one_is_closed(self) -> None:
        first = self.open()
        second = self.open()
        await first.close()
        await second.close()
