"""`mesh-adapter validate`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mesh_adapter.cli import cli
from tests.unit.galley.documents import destination_rule, virtual_service

UNEVEN = """\
hosts: [reviews]
http:
- route:
  - {destination: {host: reviews}, weight: 50}
  - {destination: {host: other}, weight: 40}
"""


def validate(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, ["validate", *map(str, arguments)])


def test_good_documents_of_files_and_directories(tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "a.yaml").write_text(virtual_service())
    (tmp_path / "b.yaml").write_text(destination_rule())
    result = validate(tmp_path / "rules", tmp_path / "b.yaml")
    assert (result.exit_code, result.output) == (0, "2 objects valid, 0 problems\n")


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a: [\n", 2, "not valid YAML"),
        (virtual_service().replace("kind: VirtualService", "kind: VirtualServer"), 2, "VirtualServer"),
        (virtual_service(UNEVEN), 7, "90"),
        (virtual_service("hosts: reviews\n"), 5, "hosts"),
        (virtual_service("hosts: [reviews]\nnone: 1\n"), 6, "none"),
    ],
)
def test_what_would_be_refused(tmp_path: Path, text: str, line: int, message: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    result = validate(path)
    assert result.exit_code == 1
    assert f"{path}:{line}:" in result.output
    assert message in result.output
    assert "0 objects valid, " in result.output


def test_one_problem_is_counted_as_one(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(virtual_service() + "---\n" + virtual_service("hosts: [a]\nnone: 1\n", "other"))
    result = validate(tmp_path)
    assert result.output.splitlines()[-1].startswith("1 object valid, ")


def test_a_path_that_is_not_there(tmp_path: Path) -> None:
    result = validate(tmp_path / "none")
    assert (result.exit_code, result.output) == (
        1,
        f"{tmp_path}/none  does not exist\n    check the path\n0 objects valid, 1 problem\n",
    )


def test_json(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(virtual_service() + "---\n" + virtual_service("hosts: [a]\nnone: 1\n", "other"))
    result = validate(tmp_path, "-o", "json")
    found = json.loads(result.output)
    assert found["objects"] == [{"object": "VirtualService default/reviews", "origin": f"{tmp_path}/a.yaml:1"}]
    assert found["problems"][0]["where"].startswith(f"{tmp_path}/a.yaml:")
    assert found["problems"][0]["object"] == "VirtualService default/other"


def test_without_a_path_it_is_misused() -> None:
    assert validate().exit_code == 2


def test_a_rule_of_mixer_is_typed(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(
        """\
apiVersion: config.istio.io/v1alpha2
kind: rule
metadata: {name: deny}
spec:
  match: source.ip == "10.0.0.1"
  actions: [{handler: deny, instances: [nothing]}]
"""
    )
    result = validate(tmp_path)
    assert result.exit_code == 1
    assert "a.yaml:1  rule default/deny: spec.match at 1:14: expected IP_ADDRESS, got STRING" in result.output
    assert "handler 'deny', not found" in result.output
