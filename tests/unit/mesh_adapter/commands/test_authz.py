from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mesh_adapter.cli import cli

DOCUMENTS = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  rules:
  - from: [{source: {principals: [cluster.local/ns/default/sa/shop]}}]
    to: [{operation: {paths: ["/api/*"]}}]
  - when: [{key: "request.auth.claims[group]", values: [admin]}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: no-deletes, namespace: istio-system}
spec: {action: DENY, rules: [{to: [{operation: {methods: [DELETE]}}]}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: trial, annotations: {istio.io/dry-run: "true"}}
spec: {action: DENY, rules: [{}]}
"""


def run(folder: Path, *arguments: str, documents: str = DOCUMENTS) -> Result:
    (folder / "policies.yaml").write_text(documents)
    return CliRunner().invoke(cli, ["authz", "check", "-f", str(folder), *arguments])


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (
            ("--from", "default/shop", "--path", "/api/x"),
            0,
            "allowed: AuthorizationPolicy default/web rule 0",
        ),
        (("--from", "spiffe://cluster.local/ns/default/sa/shop", "--path", "/api/x"), 0, "rule 0 allows it"),
        (("--from", "default/shop", "--path", "/"), 1, "denied: no rule of those that allow takes it"),
        (("--path", "/api/x"), 1, "denied: no rule"),
        (("--jwt-claims", '{"group": ["admin"]}'), 0, "rule 1 allows it"),
        (
            ("--from", "default/shop", "--path", "/api/x", "--method", "DELETE"),
            1,
            "no-deletes rule 0 denies",
        ),
        (("--from", "default/shop", "--tcp"), 1, "denied: AuthorizationPolicy istio-system/no-deletes rule 0"),
        (("--label", "app=db"), 0, "allowed: no policy of this workload is against it"),
    ],
)
def test_which_policy_decides(tmp_path: Path, arguments: tuple[str, ...], status: int, told: str) -> None:
    found = run(tmp_path, "--to", "web", *arguments)
    assert (found.exit_code, told in found.output) == (status, True), found.output
    assert "trial run, which decides nothing: AuthorizationPolicy default/trial rule 0" in found.output


def test_as_json(tmp_path: Path) -> None:
    found = run(tmp_path, "--to", "other/web", "-o", "json")
    assert json.loads(found.output) == {
        "allowed": True,
        "reason": "no policy of this workload is against it",
        "policy": "",
        "audited": [],
        "trials": [],
    }


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--from", "x"), "--from 'x' is neither"),
        (("--jwt-claims", "["), "--jwt-claims is no JSON"),
        (("--jwt-claims", "[]"), "--jwt-claims is no JSON object"),
        (("--header", "x"), "--header"),
    ],
)
def test_bad_input_is_a_usage_error(tmp_path: Path, arguments: tuple[str, ...], told: str) -> None:
    found = run(tmp_path, "--to", "web", *arguments)
    assert (found.exit_code, told in found.output) == (2, True), found.output


def test_documents_that_are_refused_decide_nothing(tmp_path: Path) -> None:
    broken = DOCUMENTS.replace("action: DENY", "action: DENIED", 1)
    assert run(tmp_path, "--to", "web", documents=broken).exit_code == 2
