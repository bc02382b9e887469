"""Files read once, as the command line does."""

from __future__ import annotations

from pathlib import Path

from galley.load import load_files
from tests.unit.galley.documents import destination_rule, virtual_service


def test_files_and_directories_are_loaded(tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "a.yaml").write_text(virtual_service())
    (tmp_path / "b.txt").write_text(destination_rule())
    config, problems = load_files([tmp_path / "rules", tmp_path / "b.txt"])
    assert [str(each) for each in config.objects()] == [
        "VirtualService default/reviews",
        "DestinationRule default/reviews",
    ]
    assert not problems


def test_problems_carry_the_path_as_it_was_given(tmp_path: Path) -> None:
    bad, absent = tmp_path / "a.yaml", tmp_path / "absent.yaml"
    bad.write_text(virtual_service("hosts: [a]\n"))
    config, problems = load_files([bad, absent])
    assert not config.objects()
    assert [str(problem).split("  ")[0] for problem in problems] == [f"{bad}:4:1", str(absent)]
    assert problems[1].message == "does not exist"
