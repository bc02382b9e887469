"""`mesh-adapter mixer eval`: what it prints, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from mesh_adapter.cli import cli

ATTRIBUTES = """\
request.headers: {X-User: ada}
source.ip: 10.0.0.1
request.time: 2019-04-01T14:00:00+02:00
response.duration: 1.5s
response.code: 200
"""
MANIFEST = """\
apiVersion: config.istio.io/v1alpha2
kind: attributemanifest
metadata: {name: mine}
spec: {attributes: {job.gpus: {valueType: INT64}}}
"""


@pytest.fixture
def attributes(tmp_path: Path) -> str:
    path = tmp_path / "attributes.yaml"
    path.write_text(ATTRIBUTES)
    return str(path)


def _eval(*arguments: str) -> tuple[int, Any]:
    result = CliRunner().invoke(cli, ["mixer", "eval", *arguments])
    return result.exit_code, json.loads(result.stdout) if result.stdout else result.stderr


@pytest.mark.parametrize(
    ("text", "type_", "value", "referenced"),
    [
        ('request.headers["x-user"] == "ada"', "BOOL", True, ["request.headers"]),
        ("source.ip", "IP_ADDRESS", "10.0.0.1", ["source.ip"]),
        ("request.time", "TIMESTAMP", "2019-04-01T12:00:00Z", ["request.time"]),
        ("response.duration", "DURATION", "1.5s", ["response.duration"]),
        ("request.headers", "STRING_MAP", {"x-user": "ada"}, ["request.headers"]),
        ('source.name | request.host | "none"', "STRING", "none", ["request.host", "source.name"]),
        ("-3", "INT64", -3, []),
    ],
)
def test_type_value_and_references_are_printed(
    attributes: str, text: str, type_: str, value: object, referenced: list[str]
) -> None:
    code, said = _eval(text, "--attributes", attributes)
    assert (code, said["type"], said["value"], said["referenced"]) == (0, type_, value, referenced)


def test_the_references_say_in_what_way(attributes: str) -> None:
    _, said = _eval('request.headers["q"] | request.headers["X-User"]', "--attributes", attributes)
    assert said["references"] == [
        {"name": "request.headers", "mapKey": "q", "condition": "ABSENCE"},
        {"name": "request.headers", "mapKey": "x-user", "condition": "EXACT"},
    ]


@pytest.mark.parametrize("text", ['{"job.gpus": "INT64"}', "job.gpus: INT64\n", MANIFEST, "---\n" + MANIFEST])
def test_a_manifest_adds_attributes(tmp_path: Path, text: str) -> None:
    manifest, attributes = tmp_path / "manifest", tmp_path / "attributes"
    manifest.write_text(text)
    attributes.write_text('{"job.gpus": 3}')
    code, said = _eval("job.gpus > 2", "--attributes", str(attributes), "--manifest", str(manifest))
    assert (code, said["value"]) == (0, True)


@pytest.mark.parametrize(
    ("text", "error", "place"),
    [
        ("response.code ==", "unexpected the end, expected a value", (1, 17)),
        ('response.code == 200 &&\n request.hoost == "a"', "unknown attribute request.hoost", (2, 2)),
        ("response.code == 200 && request.host == 'a'", "attribute request.host is absent", (1, 25)),
        ('request.headers["q"] == "a"', 'request.headers has no entry "q"', (1, 1)),
    ],
)
def test_an_error_is_printed_with_its_place(attributes: str, text: str, error: str, place: tuple[int, int]) -> None:
    code, said = _eval(text, "--attributes", attributes)
    assert (code, said["error"]) == (1, error)
    assert (said["position"]["line"], said["position"]["column"]) == place


def test_the_language_can_be_said(attributes: str) -> None:
    text = 'request.host == "a" || true'
    assert _eval(text, "--attributes", attributes)[0] == 1
    assert _eval(text, "--attributes", attributes, "--lang", "CEL")[0] == 0


def test_bad_files_are_refused_with_what_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    for text, message in (
        ("source.ip: 300.0.0.1\n", 'Error: {path}: ["source.ip"] is no IP_ADDRESS'),
        ("source.nam: a\n", 'Error: {path}: ["source.nam"] is no known attribute (did you mean source.name?)'),
        ("a: [\n", "Error: {path}:2:1: is not valid YAML"),
    ):
        path.write_text(text)
        code, said = _eval("true", "--attributes", str(path))
        assert code == 1
        assert said.startswith(message.format(path=path))
    code, said = _eval("true", "--attributes", str(tmp_path / "nothing"))
    assert (code, "No such file" in said) == (1, True)
