"""Packages of our names that belong to another distribution."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mesh_adapter import conflicts


def test_all_packages_are_ours() -> None:
    assert conflicts.foreign_packages() == ""


def test_a_package_from_elsewhere_is_named_with_its_place_and_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stranger = tmp_path / "stranger"
    stranger.mkdir()
    (stranger / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(conflicts, "OURS", ("galley", "stranger", "missing_altogether"))
    problem = conflicts.foreign_packages()
    assert f"stranger ({stranger / '__init__.py'})" in problem
    assert "missing_altogether (not found)" in problem
    assert "galley" not in problem
    assert "environment of its own" in problem
    assert "stranger" not in sys.modules
