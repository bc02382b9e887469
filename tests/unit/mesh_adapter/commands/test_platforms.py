"""`mesh-adapter platforms`."""

from __future__ import annotations

import json
from typing import Any

import yaml
from click.testing import CliRunner, Result

from mesh_adapter.cli import cli
from tests.unit.mesh_adapter.answering import answering


def platform(name: str, state: str = "SYNCED", **more: Any) -> dict[str, Any]:
    told = {"services": 2, "endpoints": 3, "held": 0, "problems": [], "failures": 0, "stale": "", "stale_since": ""}
    return {"name": name, "kind": "consul", "state": state, **told, **more}


def run(platforms: list[dict[str, Any]], *arguments: str) -> Result:
    with answering({"/debug/platforms": (200, platforms)}) as address:
        return CliRunner().invoke(cli, ["platforms", "--http-addr", address, *arguments])


STALE = platform(
    "west",
    "STALE",
    stale="refused",
    stale_since="2026-03-01T10:41:07+00:00",
    problems=[{"where": "consul dc1/web", "message": "no port", "mend": "register one"}],
)


def test_a_line_for_each_and_why_one_is_stale() -> None:
    result = run([platform("east"), STALE])
    assert result.exit_code == 1
    assert [line.split() for line in result.output.splitlines()[:3]] == [
        ["NAME", "KIND", "STATE", "SERVICES", "ENDPOINTS", "HELD", "PROBLEMS", "FAILURES"],
        ["east", "consul", "SYNCED", "2", "3", "0", "0", "0"],
        ["west", "consul", "STALE", "2", "3", "0", "1", "0"],
    ]
    assert result.output.splitlines()[4:] == [
        "west: stale since 2026-03-01T10:41:07+00:00: refused",
        "west: consul dc1/web: no port (register one)",
    ]


def test_one_by_its_name_for_programs() -> None:
    result = run([platform("east"), STALE], "east", "-o", "json")
    assert (result.exit_code, [each["name"] for each in json.loads(result.output)]) == (0, ["east"])
    assert yaml.safe_load(run([STALE], "-o", "yaml").output) == [STALE]


def test_a_platform_that_has_not_told_all_yet_is_exit_status_1() -> None:
    assert run([platform("east", "SYNCING")]).exit_code == 1
    assert run([]).exit_code == 0


def test_a_name_that_none_has() -> None:
    result = run([platform("east")], "west")
    assert (result.exit_code, "no platform 'west'" in result.output, "there are east" in result.output) == (
        1,
        True,
        True,
    )
