"""`mesh-adapter proxy-status`."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from mesh_adapter.cli import cli
from tests.unit.mesh_adapter.answering import answering

WEB = "sidecar~10.0.0.1~web-1.default~service.consul"


def status(state: str = "SYNCED", error: str = "", *objects: tuple[str, str]) -> dict[str, Any]:
    return {"state": state, "error": error, "objects": [{"name": name, "origin": origin} for name, origin in objects]}


def connection(proxy: str = WEB, **types: dict[str, Any]) -> dict[str, Any]:
    return {"proxy": proxy, "variant": "delta", "version": "1.40.0", "types": types}


def run(connections: list[dict[str, Any]], *arguments: str) -> Result:
    with answering({"/debug/syncz": (200, connections)}) as address:
        return CliRunner().invoke(cli, ["proxy-status", "--http-addr", address, *arguments])


def test_a_line_for_each_proxy() -> None:
    result = run([connection(CDS=status(), LDS=status("STALE"), EDS=status()), connection("plain", CDS=status())])
    assert result.exit_code == 0
    assert [line.split("  ") for line in _squeezed(result.output)] == [
        ["NAME", "CDS", "LDS", "EDS", "RDS", "XDS", "VERSION"],
        ["web-1.default", "SYNCED", "STALE", "SYNCED", "NOT SENT", "delta", "1.40.0"],
        ["plain", "SYNCED", "NOT SENT", "NOT SENT", "NOT SENT", "delta", "1.40.0"],
    ]


def _squeezed(text: str) -> list[str]:
    return ["  ".join(filter(None, (cell.strip() for cell in line.split("  ")))) for line in text.splitlines()]


def test_a_rejection_is_explained_below_and_is_exit_status_1() -> None:
    nacked = status("NACKED", "no such filter", ("outbound|80||a", "DestinationRule default/a"), ("b", ""))
    result = run([connection(CDS=nacked), connection("plain", LDS=status("NACKED", "bad"))])
    assert result.exit_code == 1
    assert result.output.splitlines()[-2:] == [
        "web-1.default CDS: no such filter; caused by outbound|80||a (DestinationRule default/a), b",
        "plain LDS: bad",
    ]


def test_several_connections_of_one_proxy_are_one_line() -> None:
    """A proxy that uses the single-type services has a stream a type; each stream knows the other types as not sent."""
    unsent = status("NOT SENT")
    result = run([connection(CDS=status(), EDS=unsent), connection(CDS=unsent, EDS=status("NACKED", "bad"))])
    assert result.exit_code == 1
    _, line, *_ = _squeezed(result.output)
    assert line.split("  ")[:4] == ["web-1.default", "SYNCED", "NOT SENT", "NACKED"]


@pytest.mark.parametrize("asked", [WEB, "web-1.default"])
def test_one_proxy_by_id_or_by_name(asked: str) -> None:
    rejecting = connection("other", CDS=status("NACKED", "bad"))
    result = run([connection(CDS=status()), rejecting], asked)
    assert (result.exit_code, len(result.output.splitlines())) == (0, 2)


def test_a_proxy_that_is_not_connected() -> None:
    result = run([connection()], "api.default")
    assert result.exit_code == 1
    assert "proxy 'api.default' is not connected to the control plane at 127.0.0.1:" in result.output


def test_nobody_is_connected() -> None:
    result = run([])
    assert (result.exit_code, result.output.split()) == (0, ["NAME", "CDS", "LDS", "EDS", "RDS", "XDS", "VERSION"])


@pytest.mark.parametrize(("form", "read"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_for_programs(form: str, read: Any) -> None:
    result = run([connection(CDS=status("NACKED", "bad"))], "-o", form)
    assert result.exit_code == 1
    (found,) = read(result.output)
    assert (found["proxy"], found["name"], found["types"]["CDS"]["state"]) == (WEB, "web-1.default", "NACKED")


def test_a_control_plane_that_is_not_there() -> None:
    result = CliRunner().invoke(cli, ["proxy-status", "--http-addr", "127.0.0.1:1"])
    assert result.exit_code == 1
    assert "can't be reached" in result.output
