"""The contract of a Source, kept by watched files; and what only files can do."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from galley.document import Fresh, Loaded, Removed, Stale, Synced, Unreadable
from galley.ingest.files import FilesSource
from tests.contract.source_suite import SourceContract, Watching
from tests.unit.galley.documents import virtual_service


class Folder:
    """A directory, written to as careful programs do: beside, then renamed into place."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(exist_ok=True)

    def source(self) -> FilesSource:
        return FilesSource(self.root)

    def put(self, unit: str, text: str) -> None:
        beside = self.root / f".{unit}.new"
        beside.write_text(text)
        beside.rename(self.root / f"{unit}.yaml")

    def remove(self, unit: str) -> None:
        (self.root / f"{unit}.yaml").unlink()

    def name(self, unit: str) -> str:
        return str(self.root / f"{unit}.yaml")


class TestFilesSource(SourceContract):
    @pytest.fixture
    def backend(self, tmp_path: Path) -> Folder:
        return Folder(tmp_path / "rules")


Watch = Callable[[str | Path], Watching]


@pytest.fixture
def watch(request: pytest.FixtureRequest) -> Watch:
    """Starts watching; ends it with the test."""

    def start(root: str | Path) -> Watching:
        watching = Watching(FilesSource(root))
        request.addfinalizer(watching.end)
        return watching

    return start


def test_a_directory_that_comes_later_is_waited_for(watch: Watch, tmp_path: Path) -> None:
    root = tmp_path / "rules"
    watching = watch(root)
    stale = watching.until(lambda event: isinstance(event, Stale))
    assert stale == Stale(f"{root} cannot be listed: it does not exist")
    Folder(tmp_path / "new").put("a", virtual_service())
    (tmp_path / "new").rename(root)
    assert [type(event) for event in watching.until_synced()] == [Stale, Loaded, Fresh]


def test_a_directory_that_vanishes_is_held(watch: Watch, tmp_path: Path) -> None:
    folder = Folder(tmp_path / "rules")
    folder.put("a", virtual_service())
    folder.put("b", virtual_service(name="b"))
    watching = watch(folder.root)
    told = len(watching.until_synced()) + 1
    folder.root.rename(tmp_path / "away")
    watching.until(lambda event: isinstance(event, Stale))
    (tmp_path / "away" / "b.yaml").unlink()
    (tmp_path / "away").rename(folder.root)
    watching.until(lambda event: isinstance(event, Fresh))
    assert [type(event) for event in watching.seen[told:]] == [Stale, Removed, Fresh]
    folder.put("c", virtual_service(name="c"))
    watching.until_loaded(folder.name("c"))


def test_a_directory_replaced_by_an_empty_one_is_held(watch: Watch, tmp_path: Path) -> None:
    folder = Folder(tmp_path / "rules")
    folder.put("a", virtual_service())
    watching = watch(folder.root)
    watching.until_synced()
    folder.root.rename(tmp_path / "away")
    folder.root.mkdir()
    watching.until(lambda event: isinstance(event, Stale))
    folder.put("b", virtual_service(name="b"))
    watching.until(lambda event: isinstance(event, Fresh))
    assert Removed(folder.name("a")) in watching.seen


def test_a_config_map_is_swapped_as_a_whole(watch: Watch, tmp_path: Path) -> None:
    for version, name in (("..1", "one"), ("..2", "two")):
        (tmp_path / version).mkdir()
        (tmp_path / version / "a.yaml").write_text(virtual_service(name=name))
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "a.yaml").symlink_to("..data/a.yaml")
    watching = watch(tmp_path)
    (event,) = watching.until_synced()
    assert isinstance(event, Loaded)
    (tmp_path / "..data_new").symlink_to("..2")
    (tmp_path / "..data_new").rename(tmp_path / "..data")
    event = watching.until_loaded(str(tmp_path / "a.yaml"))
    assert event.documents[0].body["metadata"]["name"] == "two"


def test_hidden_temporary_and_other_files_are_left_alone(watch: Watch, tmp_path: Path) -> None:
    for name in (".a.yaml", "a.yaml~", "#a.yaml", "a.yaml.swp", "readme.md", "~a.yaml"):
        (tmp_path / name).write_text("[")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "a.yaml").write_text("[")
    (tmp_path / "deeper").mkdir()
    for name in ("a.yml", "b.json", "deeper/c.yaml"):
        (tmp_path / name).write_text(virtual_service())
    events = watch(tmp_path).until_synced()
    assert [event.unit for event in events if isinstance(event, Loaded)] == [
        str(tmp_path / "a.yml"),
        str(tmp_path / "b.json"),
        str(tmp_path / "deeper" / "c.yaml"),
    ]
    assert len(events) == 3


def test_one_file_is_watched_and_named_as_given(watch: Watch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rules.yaml").write_text(virtual_service())
    Path("other.yaml").write_text("[")
    watching = watch("rules.yaml")
    assert [event.unit for event in watching.until_synced() if isinstance(event, Loaded)] == ["rules.yaml"]
    Path("new").write_text(virtual_service(name="b"))
    Path("new").rename("rules.yaml")
    assert watching.until_loaded("rules.yaml").documents[0].where() == "rules.yaml:1:1"
    Path("rules.yaml").unlink()
    watching.until(lambda event: isinstance(event, Stale))


def test_what_is_no_readable_file_is_told(watch: Watch, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "dangling.yaml").symlink_to("nowhere")
    events = watch(tmp_path).until_synced()
    assert [event.message for event in events if isinstance(event, Unreadable)] == [
        "cannot be read: No such file or directory",
        "is not a regular file",
    ]


def test_a_file_that_is_truncated_for_a_moment_loses_nothing(watch: Watch, tmp_path: Path) -> None:
    target = tmp_path / "a.yaml"
    target.write_text(virtual_service())
    watching = watch(tmp_path)
    told = len(watching.until_synced()) + 1
    target.write_text("")
    (tmp_path / "b.yaml").write_text(virtual_service(name="b"))
    watching.until_loaded(str(tmp_path / "b.yaml"))
    assert [event.unit for event in watching.seen[told:] if isinstance(event, Loaded)] == [str(tmp_path / "b.yaml")]
    event = watching.until_loaded(str(target))
    assert event.documents == ()


def test_a_file_written_in_place_is_told(watch: Watch, tmp_path: Path) -> None:
    target = tmp_path / "a.yaml"
    target.write_text(virtual_service(name="a"))
    watching = watch(tmp_path)
    watching.until_synced()
    for name in ("b", "c", "d"):
        target.write_text(virtual_service(name=name))
        event = watching.until_loaded(str(target))
        assert event.documents[0].body["metadata"]["name"] == name


def test_everything_gone_from_a_directory_that_stays_is_believed(watch: Watch, tmp_path: Path) -> None:
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper" / "a.yaml").write_text(virtual_service())
    watching = watch(tmp_path)
    watching.until_synced()
    shutil.rmtree(tmp_path / "deeper")
    watching.until(lambda event: event == Removed(str(tmp_path / "deeper" / "a.yaml")))
    assert not any(isinstance(event, Stale | Synced) for event in watching.seen[2:])
