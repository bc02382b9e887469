"""Lines on standard output, and in files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.mixer.handlers.opened import instance, opened


def test_a_log_entry_is_a_line_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    handler = opened("stdio", {"outputAsJson": True, "severityLevels": {"notice": "WARNING"}})
    handler.report([instance("logentry", severity="notice", variables={"code": 200, "ip": b"\x0a\0\0\1"})])
    assert json.loads(capsys.readouterr().out) == {
        "level": "warning",
        "time": "1970-01-12T13:46:40Z",
        "instance": "one.instance.default",
        "code": 200,
        "ip": "10.0.0.1",
    }


def test_a_metric_is_a_line_too_and_what_is_below_the_level_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    handler = opened("stdio", {"logStream": "STDERR", "outputLevel": "WARNING", "metricLevel": "ERROR"})
    handler.report([instance("logentry", severity="info", variables={})])
    handler.report([instance("metric", value=3, dimensions={"app": "a"})])
    said = capsys.readouterr()
    assert (said.out, said.err) == (
        "",
        '1970-01-12T13:46:40Z\terror\tone.instance.default\t{"value": 3, "app": "a"}\n',
    )


async def test_a_file_is_appended_to(tmp_path: Path) -> None:
    path = tmp_path / "log"
    for _ in range(2):
        handler = opened("stdio", {"logStream": "FILE", "outputPath": str(path), "outputAsJson": True})
        handler.report([instance("logentry", variables={"a": "line\nbreak"})])
        await handler.close()
    assert len(path.read_text().splitlines()) == 2


async def test_a_file_rotates(tmp_path: Path) -> None:
    params = {"logStream": "ROTATED_FILE", "outputPath": str(tmp_path / "log"), "maxMegabytesBeforeRotation": 1}
    handler = opened("stdio", {**params, "maxRotatedFiles": 2})
    for _ in range(50):
        handler.report([instance("logentry", variables={"a": "x" * 100_000})])
    await handler.close()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["log", "log.1", "log.2"]
