"""`mesh-adapter inject` and Nomad itself: HCL is read by it, and what is printed passes its validation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from mesh_adapter.cli import cli
from tests.servers.nomad import Nomad

pytestmark = pytest.mark.integration

INJECTED = Path(__file__).parents[1] / "unit" / "mesh_adapter" / "injected"
EXAMPLE = Path(__file__).parents[2] / "deploy" / "nomad" / "shop.nomad.hcl"
HCL = """
variable "port" {
  type = number
}
job "web" {
  group "g" {
    network {
      mode = "bridge"
      port "http" {
        to = var.port
      }
    }
    service {
      name     = "web"
      provider = "nomad"
      port     = "http"
    }
    task "t" {
      driver = "exec"
      config {
        command = "/bin/sleep"
      }
    }
  }
}
"""


def inject(nomad: Nomad, *arguments: str | Path, text: str | None = None) -> Result:
    options = ("--control-plane", "172.26.64.1:15010", "--nomad-addr", nomad.http_addr)
    return CliRunner().invoke(cli, ["inject", *map(str, arguments), *options], input=text)


def validated(nomad: Nomad, printed: str) -> str:
    """What Nomad finds wrong with a job; empty if nothing."""
    answer: dict[str, Any] = nomad.call("PUT", "/v1/validate/job", json.loads(printed)).json
    return str(answer["Error"] or "")


def test_hcl_is_read_by_nomad_with_its_variables(nomad: Nomad, tmp_path: Path) -> None:
    values = tmp_path / "values.hcl"
    values.write_text("port = 9090\n")
    result = inject(nomad, "-", "--var-file", values, text=HCL)
    assert result.exit_code == 0, result.stderr
    (group,) = json.loads(result.stdout)["Job"]["TaskGroups"]
    assert group["Networks"][0]["DynamicPorts"][0]["To"] == 9090
    assert validated(nomad, result.stdout) == ""


def test_what_nomad_can_not_read_is_told_with_its_line(nomad: Nomad) -> None:
    result = inject(nomad, "-", text='job "web" {\n  group {\n}')
    assert result.exit_code == 1
    assert "Nomad can't read it" in result.stderr
    assert "stdin:3" in result.stderr
    assert "port" in inject(nomad, "-", text=HCL).stderr


@pytest.mark.parametrize("case", ["bridge", "host", "consul"])
def test_every_golden_case_is_a_job_by_nomads_own_validation(nomad: Nomad, case: str) -> None:
    whole = json.loads((INJECTED / case / "job.json").read_text())
    job = whole.get("Job", whole) | {"Datacenters": ["dc1"]}
    result = inject(nomad, "-", text=json.dumps(job))
    assert result.exit_code == 0, result.stderr
    assert validated(nomad, result.stdout) == ""


def test_the_example_is_injected_as_its_page_says(nomad: Nomad) -> None:
    result = inject(nomad, EXAMPLE)
    assert result.exit_code == 0, result.stderr
    groups = json.loads(result.stdout)["Job"]["TaskGroups"]
    assert [[task["Name"] for task in group["Tasks"]] for group in groups] == [
        ["serve", "mesh-proxy"],
        ["call", "mesh-proxy"],
    ]
    assert validated(nomad, result.stdout) == ""
