from __future__ import annotations

from typing import Any

import pytest
import yaml

from galley.document import Document
from galley.validate import Validated, validate


def judged(spec: str) -> Validated:
    body: dict[str, Any] = {"apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy"}
    return validate(Document("p.yaml", body | {"metadata": {"name": "p"}, "spec": yaml.safe_load(spec)}, {}))


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ("{rules: [{from: [{}]}]}", "spec.rules[0].from[0].source is empty"),
        ("{rules: [{to: [{operation: {}}]}]}", "spec.rules[0].to[0].operation is empty"),
        ("{rules: [{from: [{source: {ipBlocks: [x]}}]}]}", "'x' is no IP address"),
        ("{rules: [{to: [{operation: {ports: ['0']}}]}]}", "'0' is no port"),
        ("{rules: [{to: [{operation: {paths: ['/a/{x}']}}]}]}", "'/a/{x}' is no path template"),
        ("{rules: [{to: [{operation: {paths: ['/{**}/a']}}]}]}", "is no path template"),
        ("{rules: [{when: [{key: source.ip}]}]}", "has neither values nor notValues"),
        ("{rules: [{when: [{values: [a]}]}]}", "key is missing"),
        ("{rules: [{from: [{source: {principals: ['']}}]}]}", "has an empty value"),
        ("{rules: [{from: [{source: {serviceAccounts: [a], namespaces: [b]}}]}]}", "can't stand beside"),
        ("{provider: {name: x}}", "is for the action CUSTOM only"),
        ("{targetRefs: [{kind: Service}]}", "only proxies of Gateways can be found by a reference"),
        ("{selector: {matchLabels: {app: 'a*'}}}", "has a wildcard"),
    ],
)
def test_what_is_refused(spec: str, told: str) -> None:
    found = judged(spec)
    assert found.object is None
    assert told in "\n".join(map(str, found.problems))


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ("{action: CUSTOM, rules: [{}]}", "what its rules match is denied"),
        ("{action: DENY}", "DENY holds for nothing"),
        ("{rules: [{when: [{key: experimental.x, values: [a]}]}]}", "the rule allows nothing"),
    ],
)
def test_what_is_taken_to_the_safe_side_with_a_warning(spec: str, told: str) -> None:
    found = judged(spec)
    assert found.object is not None
    assert told in "\n".join(map(str, found.problems))
