"""Rules found and carried out, in one core: 100 rules, of which five concern a request of thirty attributes.

An evaluation is one bag against all rules. The whole check has five handlers answer beside it; a report makes five
instances of four dimensions each.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from bench.figures import Figure, report
from galley.config import Config, ConfigObject
from galley.decode import decode
from galley.kinds.mixer import Handler, Instance, Rule
from mixer.attributes import TrackedBag
from mixer.dispatch import Dispatcher
from mixer.expression import compile_expression
from mixer.rules import compile_rules
from mixer.ruleset import Phase, RuleSet
from mixer.vocabulary import ISTIO

ROUNDS = 100_000
RULES = 100
NAMESPACE = "istio-system"


def _object(kind: str, name: str, spec: type[Any], data: dict[str, Any]) -> ConfigObject[Any]:
    value, findings = decode(spec, data)
    assert not findings, findings
    return ConfigObject(kind, NAMESPACE, name, value)


def rules(count: int = RULES, *, template: str = "checknothing") -> RuleSet:
    """Of `count` rules five concern the bag: one by host, one by header, one by path, one by label, one always."""
    dimensions = {f"d{number}": text for number, text in enumerate(("source.name", "request.path", "request.method"))}
    params = {"dimensions": {**dimensions, "v": 'source.labels["version"] | "?"'}, "value": "1"}
    given = params if template == "metric" else {}
    conditions = [
        'destination.service.host == "host-1" && request.method == "GET"',
        'request.headers["x-user"] == "ada"',
        'request.path.startsWith("/api") && destination.service.host == "host-1"',
        'source.labels["app"] == "web" && (source.namespace | "none") != "none"',
        "true",
    ]
    conditions += [
        f'destination.service.host == "host-{number}" && request.headers["x-user"] == "u{number}"'
        for number in range(len(conditions), count)
    ]
    made = [
        _object("handler", "noop", Handler, {"compiledAdapter": "noop"}),
        _object("instance", "one", Instance, {"compiledTemplate": template, "params": given}),
    ]
    for number, condition in enumerate(conditions):
        rule = {"match": condition, "actions": [{"handler": "noop", "instances": ["one"]}]}
        made.append(_object("rule", f"r{number:04}", Rule, rule))
    compiled = compile_rules(Config.of(made))
    assert not compiled.problems, compiled.problems
    return compiled


def bag() -> dict[str, Any]:
    """A request as an Envoy face would tell it."""
    headers = {f"x-header-{number}": "value" for number in range(20)}
    names = [name for name, type_ in ISTIO.types.items() if type_.value == "STRING"][:20]
    return {
        **dict.fromkeys(names, "some"),
        "destination.namespace": "default",
        "destination.service.host": "host-1",
        "request.method": "GET",
        "request.path": "/api/books",
        "request.headers": {**headers, "x-user": "ada"},
        "source.labels": {"app": "web", "version": "v1"},
        "source.name": "web-1",
        "source.namespace": "default",
        "context.reporter.kind": "inbound",
    }


def main() -> int:
    return report("mixer_dispatch", asyncio.run(_measured()))


async def _measured() -> list[Figure]:
    request, compiled = bag(), rules()
    program = compile_expression('request.headers["x-user"] == "ada" && source.namespace == "default"', ISTIO)
    index = compiled.index(Phase.CHECK, request)
    assert len(index.matching(request, _unexpected)) == 5
    dispatcher, reporter = Dispatcher(), Dispatcher()
    dispatcher.install(compiled)
    reporter.install(rules(template="metric"))

    async def tracked() -> None:
        await dispatcher.check(TrackedBag(request))

    figures = [
        Figure("expression", _each(lambda: program.run(request.get)), "µs", None, "two comparisons"),
        Figure(
            "dispatch",
            _each(lambda: compiled.index(Phase.CHECK, request).matching(request, _unexpected)),
            "µs",
            5.0,
            "one evaluation: the rules of 100 that hold; 5 µs are 200,000 a second and core",
        ),
        Figure("check", await _each_awaited(lambda: dispatcher.check(request)), "µs", None, "five handlers"),
        Figure("check, tracked", await _each_awaited(tracked), "µs", None, "with references for a caller's cache"),
        Figure(
            "report",
            await _each_awaited(lambda: reporter.report([request] * 100), 1000) / 100,
            "µs",
            None,
            "in hundreds: five instances each",
        ),
        Figure("compile", _each(lambda: rules(300), 3) / 1000, "ms", None, "300 rules, nothing known before"),
    ]
    await dispatcher.close()
    await reporter.close()
    return figures


def _each(run: Callable[[], Any], rounds: int = ROUNDS) -> float:
    began = time.process_time()
    for _ in range(rounds):
        run()
    return (time.process_time() - began) / rounds * 1e6


async def _each_awaited(run: Callable[[], Awaitable[Any]], rounds: int = ROUNDS // 5) -> float:
    began = time.process_time()
    for _ in range(rounds):
        await run()
    return (time.process_time() - began) / rounds * 1e6


def _unexpected(rule: Any, error: Exception) -> None:
    raise AssertionError(f"{rule}: {error}")
