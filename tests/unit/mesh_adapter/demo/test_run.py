"""What the command hands back."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from mesh_adapter.commands.demo import demo
from mesh_adapter.demo.run import Outcome, summary
from mesh_adapter.demo.verdict import Measured, Step

GOOD = Step(1, "split", {"v1": 100.0}, Measured({"v1": 10}))
BAD = Step(2, "loss", {"v1": 100.0}, Measured({"v1": 10}, {"lost": 1}))


def test_one_bad_step_spoils_it() -> None:
    good, bad = (Outcome(steps, 29.96, Path("/tmp/demo")) for steps in ((GOOD, GOOD), (GOOD, BAD)))
    assert good.as_json()["ok"] is True
    assert good.as_json()["seconds"] == 30.0
    assert [step["ok"] for step in bad.as_json()["steps"]] == [True, False]
    assert "everything was seen as it was configured; 30.0 s in all" in summary(good)
    assert "NOT everything was seen as it was configured; 30.0 s in all" in summary(bad)


def test_json_without_an_end_is_a_mistake() -> None:
    result = CliRunner().invoke(demo, ["-o", "json"])
    assert result.exit_code == 2
    assert "-o json needs --once" in result.output


def test_a_directory_that_is_not_the_demos_is_refused(tmp_path: Path) -> None:
    (tmp_path / "precious").touch()
    result = CliRunner().invoke(demo, ["--once", "--dir", str(tmp_path), "--envoy", "/bin/true"])
    assert result.exit_code == 1
    assert str(tmp_path) in result.output or "/bin/true" in result.output
