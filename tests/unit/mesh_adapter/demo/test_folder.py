"""The working directory."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from mesh_adapter.demo.folder import Folder, FolderError, write


def test_it_is_made_and_may_be_used_again(tmp_path: Path) -> None:
    for _ in range(2):
        with closing(Folder(tmp_path / "new" / "demo")) as folder:
            write(folder.rules, "a")
            write(folder.rules, "b")
            assert folder.rules.read_text() == "b"
            assert [each.name for each in folder.rules.parent.iterdir()] == ["reviews.yaml"]


def test_one_demo_at_a_time(tmp_path: Path) -> None:
    with closing(Folder(tmp_path)), pytest.raises(FolderError, match="another demo runs in"):
        Folder(tmp_path)


def test_a_strangers_files_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    with pytest.raises(FolderError, match="not the demo's"):
        Folder(tmp_path)


def test_a_place_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FolderError, match="give another with --dir"):
        Folder(tmp_path / "file" / "demo")
