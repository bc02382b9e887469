"""`mesh-adapter proxy-config`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from mesh_adapter.cli import cli
from tests.unit.mesh_adapter.answering import answering
from tests.unit.mesh_adapter.envoy_dump import DUMP

KINDS = ("clusters", "endpoints", "listeners", "routes")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["proxy-config", *arguments])


@pytest.fixture
def dump_file(tmp_path: Path) -> str:
    path = tmp_path / "dump.json"
    path.write_text(json.dumps(DUMP))
    return str(path)


@pytest.mark.parametrize(
    ("kind", "header", "contained"),
    [
        ("clusters", "SERVICE FQDN", "web.example     80      v1        outbound"),
        ("endpoints", "ENDPOINT", "10.0.0.2:8080"),
        ("listeners", "NAME", "Route: 15001"),
        ("routes", "NAME", "one 90, two 10"),
    ],
)
def test_a_table_of_each_kind(dump_file: str, kind: str, header: str, contained: str) -> None:
    result = run(kind, "--file", dump_file)
    assert result.exit_code == 0
    assert result.output.startswith(header)
    assert contained in result.output


def test_from_the_control_plane_by_the_name_of_the_proxy() -> None:
    with answering({"/debug/config_dump?proxyID=web-1.default": (200, DUMP)}) as address:
        result = run("clusters", "web-1.default", "--http-addr", address)
    assert (result.exit_code, "web.example" in result.output) == (0, True)


def test_a_proxy_that_the_control_plane_does_not_know() -> None:
    with answering({"/debug/config_dump?proxyID=api": (404, "no proxy 'api' is connected; give …\n")}) as address:
        result = run("clusters", "api", "--http-addr", address)
    assert (result.exit_code, result.output) == (1, "Error: no proxy 'api' is connected; give …\n")


def test_from_the_proxy_itself() -> None:
    with answering({"/config_dump?include_eds": (200, DUMP)}) as address:
        result = run("endpoints", "--admin", address, "--fqdn", "web.example")
    assert result.exit_code == 0
    assert "127.0.0.1:15010" not in result.output


def test_an_admin_address_of_something_else() -> None:
    with answering({"/config_dump?include_eds": (200, [])}) as address:
        result = run("endpoints", "--admin", address)
    assert result.exit_code == 1
    assert f"what {address} answers is no config dump" in result.output


@pytest.mark.parametrize("kind", KINDS)
def test_json_and_yaml_say_the_same(dump_file: str, kind: str) -> None:
    as_json = json.loads(run(kind, "--file", dump_file, "-o", "json").output)
    assert as_json
    assert yaml.safe_load(run(kind, "--file", dump_file, "-o", "yaml").output) == as_json


def test_filters_are_passed_on(dump_file: str) -> None:
    result = run("clusters", "--file", dump_file, "--name", "xds", "--port", "0", "-o", "json")
    assert [each["name"] for each in json.loads(result.output)] == ["xds"]


@pytest.mark.parametrize("content", ["{", "[]", "{}"])
def test_a_file_that_is_no_dump(tmp_path: Path, content: str) -> None:
    path = tmp_path / "other.json"
    path.write_text(content)
    result = run("routes", "--file", str(path))
    assert result.exit_code == 1
    assert f"{path} can't be read as a config dump" in result.output


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    result = run("routes", "--file", str(tmp_path / "none"))
    assert (result.exit_code, "No such file" in result.output) == (1, True)


def test_without_a_proxy_it_is_misused() -> None:
    result = run("routes")
    assert result.exit_code == 2
    assert "say which proxy" in result.output
