"""Options of `mesh-adapter start` that can't be carried out; the rest is tests/integration/test_start.py."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from mesh_adapter.cli import cli


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no platform: give --platform NAME"),
        (["--platform", "etcd"], "unknown kind of platform 'etcd': known are consul"),
        (["--platform", "static"], "file is missing"),
        (["--static-file", "x", "--config", "nacos:"], "--config nacos:: source 'nacos' is not known"),
        (["--static-file", "x", "--debounce", "11"], "--debounce"),
        (["--static-file", "x", "--http-addr", "15014", "--xds-addr", "127.0.0.1:0"], "'15014' is not HOST:PORT"),
    ],
)
def test_misuse_is_exit_status_2_and_names_the_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mesh_adapter.logs.configure", lambda *_: None)
    result = CliRunner().invoke(cli, ["start", *arguments])
    assert (result.exit_code, message in result.output) == (2, True), result.output
