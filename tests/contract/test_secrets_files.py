"""The contract of secret sources, against a folder; and what only folders do."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from citadel.credentials import Found, Fresh, SecretSource, Stale, Synced
from citadel.credentials.files import FilesSource
from tests.contract.secret_suite import SecretSuite, Watching
from tests.unit.citadel.credentials.pem import pair


class Folder:
    """ROOT/NAMESPACE/NAME/KEY."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir()

    def source(self) -> SecretSource:
        return FilesSource(self.root)

    def put(self, namespace: str, name: str, data: Mapping[str, bytes]) -> None:
        folder = self.root / namespace / name
        folder.mkdir(parents=True, exist_ok=True)
        for key, value in data.items():
            (folder / key).write_bytes(value)

    def remove(self, namespace: str, name: str) -> None:
        shutil.rmtree(self.root / namespace / name)


@pytest.fixture
def backend(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "secrets")


class TestFiles(SecretSuite):
    """The suite."""

    def test_a_folder_that_comes_later_is_waited_for(self, backend: Folder, watch: Callable[[], Watching]) -> None:
        backend.root.rmdir()
        watching = watch()
        watching.until(lambda event: isinstance(event, Stale))
        backend.put("default", "web", pair())
        watching.until(lambda event: isinstance(event, Synced))
        assert [type(each) for each in watching.events] == [Stale, Found, Fresh, Synced]

    def test_a_link_that_is_swapped_is_a_new_version(
        self, backend: Folder, watch: Callable[[], Watching], tmp_path: Path
    ) -> None:
        """As Kubernetes changes a mounted secret."""
        old, new = Folder(tmp_path / "old"), Folder(tmp_path / "new")
        first, second = pair(), pair()
        old.put("x", "y", first)
        new.put("x", "y", second)
        (backend.root / "default").mkdir()
        link = backend.root / "default" / "web"
        link.symlink_to(old.root / "x" / "y")
        watching = watch()
        watching.until(lambda event: isinstance(event, Synced))
        (backend.root / "default" / "..swap").symlink_to(new.root / "x" / "y")
        (backend.root / "default" / "..swap").rename(link)
        watching.until(lambda event: isinstance(event, Found) and dict(event.data) == second)
