"""Every case's outputs are what its files say; `pytest --update-golden` writes them anew and deletes the stale ones."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.golden.case import actual, expected, folders, load, stale


@pytest.fixture
def update(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--update-golden"))


@pytest.mark.parametrize("folder", folders(), ids=lambda folder: folder.name)
def test_the_plan_and_its_encoding_are_the_golden_ones(folder: Path, update: bool) -> None:
    found = actual(load(folder))
    if update:
        for name, text in found.items():
            (folder / name).write_text(text, "utf-8")
    wanted = expected(folder)
    if found != wanted:  # a protobuf map comes back in any order: equal content is enough
        assert _content(found) == _content(wanted)


def test_no_file_is_stale(update: bool) -> None:
    if update:
        for path in stale():
            path.unlink()
    assert stale() == []


def _content(texts: dict[str, str]) -> dict[str, object]:
    return {name: yaml.load(text, Loader=yaml.CSafeLoader) for name, text in texts.items()}
