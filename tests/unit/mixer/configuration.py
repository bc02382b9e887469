"""Mixer configuration in few words, for the tests of rules, dispatch and handlers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from galley.config import Config, ConfigObject
from galley.validate import validate
from mixer.rules import compile_rules
from mixer.ruleset import RuleSet
from tests.unit.galley.documents import document

API = "config.istio.io/v1alpha2"
ROOT = "istio-system"


def accepted(kind: str, name: str, spec: Mapping[str, Any], namespace: str = ROOT) -> ConfigObject[Any]:
    """One object, without a word against it."""
    metadata = {"name": name, "namespace": namespace}
    text = json.dumps({"apiVersion": API, "kind": kind, "metadata": metadata, "spec": spec})
    verdict = validate(document(text, f"{name}.yaml"))
    assert not verdict.problems, [str(each) for each in verdict.problems]
    assert verdict.object is not None
    return verdict.object


def handler(name: str, adapter: str, params: Mapping[str, Any] | None = None, **more: Any) -> ConfigObject[Any]:
    return accepted("handler", name, {"compiledAdapter": adapter, "params": params or {}}, **more)


def instance(name: str, template: str, params: Mapping[str, Any] | None = None, **more: Any) -> ConfigObject[Any]:
    return accepted("instance", name, {"compiledTemplate": template, "params": params or {}}, **more)


def rule(
    name: str,
    match: str = "",
    handler: str = "",
    instances: tuple[str, ...] = (),
    *,
    namespace: str = ROOT,
    **more: Any,
) -> ConfigObject[Any]:
    actions = [{"handler": handler, "instances": list(instances)}] if handler else []
    return accepted("rule", name, {"match": match, "actions": actions, **more}, namespace=namespace)


def rules_of(*objects: ConfigObject[Any], former: RuleSet | None = None) -> RuleSet:
    """The RuleSet of the objects, problems and all."""
    return compile_rules(Config.of(objects), former)


def sound(*objects: ConfigObject[Any]) -> RuleSet:
    """The same, without problems."""
    rules = rules_of(*objects)
    assert not rules.problems, [str(each) for each in rules.problems]
    return rules
