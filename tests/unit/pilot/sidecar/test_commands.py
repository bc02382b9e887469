from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from mesh_adapter.commands.bootstrap import bootstrap
from mesh_adapter.commands.sidecar import sidecar


def run(*arguments: str, environment: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(bootstrap, arguments, env=environment, auto_envvar_prefix="MESH_ADAPTER_BOOTSTRAP")


def test_options_reach_the_node() -> None:
    result = run(
        *("--service", "web", "--namespace", "shop", "--port", "8080", "--protocol", "http2", "--address", "10.0.0.9"),
        *("--upstream", "db:5432@5432", "--upstream", "api@8081", "--label", "version=v1", "--locality", "eu/eu-1"),
        *("--instance", "web-1", "--dns-domain", "mesh"),
    )
    assert result.exit_code == 0, result.output
    node = json.loads(result.stdout)["node"]
    assert node["id"] == "sidecar~10.0.0.9~web-1.shop~mesh"
    assert node["locality"] == {"region": "eu", "zone": "eu-1"}
    metadata = node["metadata"]
    assert metadata["LABELS"] == {"version": "v1"}
    assert metadata["INBOUND"][0]["protocol"] == "HTTP2"
    assert [(each["host"], each["port"], each["bindPort"]) for each in metadata["UPSTREAMS"]] == [
        ("db", 5432, 5432),
        ("api", 80, 8081),
    ]


def test_json_and_yaml_say_the_same() -> None:
    arguments = ("--service", "web", "--address", "10.0.0.9")
    assert json.loads(run(*arguments).stdout) == yaml.safe_load(run(*arguments, "-o", "yaml").stdout)


def test_options_have_environment_variables() -> None:
    environment = {"MESH_ADAPTER_BOOTSTRAP_SERVICE": "web", "MESH_ADAPTER_BOOTSTRAP_UPSTREAM": "a@1 b@2"}
    node = json.loads(run(environment=environment).stdout)["node"]
    assert node["cluster"] == "web.default"
    assert len(node["metadata"]["UPSTREAMS"]) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "Missing option '--service'"),
        (("--service", "web", "--port", "0"), "'--port'"),
        (("--service", "web", "--upstream", "db"), "--upstream: 'db' names no host and local port: give HOST"),
        (("--service", "web", "--admin-port", "0"), "give --admin-port a number, or --health-port 0"),
    ],
)
def test_misuse_is_exit_status_2_with_the_mend(arguments: tuple[str, ...], message: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr


@pytest.mark.parametrize(("option", "variable"), [(("--envoy", "/bin/true"), None), ((), "/bin/true")])
def test_a_sidecar_without_an_envoy_that_runs_is_exit_status_1(option: tuple[str, ...], variable: str | None) -> None:
    result = CliRunner().invoke(sidecar, ["--service", "web", *option], env={"MESH_ADAPTER_ENVOY": variable})
    assert result.exit_code == 1
    assert "asking /bin/true for its version" in result.stderr
    assert "give --envoy PATH" in result.stderr


def test_a_port_that_is_taken_is_exit_status_1_naming_its_option(tmp_path: Path) -> None:
    envoy = tmp_path / "envoy"
    envoy.write_text("#!/bin/sh\necho 'envoy  version: 9e55809/1.40.0/Clean/RELEASE/BoringSSL'\n", encoding="utf-8")
    envoy.chmod(0o755)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        result = CliRunner().invoke(sidecar, ["--service", "web", "--envoy", str(envoy), "--outbound-port", str(port)])
    assert result.exit_code == 1
    assert f"--outbound-port: port {port} of 127.0.0.1 is taken: stop what listens there" in result.stderr
