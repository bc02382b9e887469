"""The fixtures with which tests here begin."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.world import Mesh, Sidecar


@pytest.fixture
def mesh(tmp_path: Path) -> Iterator[Mesh]:
    """A mesh of the test's own, with nothing started yet: for tests that stop or break a part of it."""
    with Mesh(tmp_path) as world:
        yield world


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    """A mesh that runs, for tests that leave it running; each uses services and configuration files of its own."""
    with Mesh(tmp_path_factory.mktemp("mesh")) as world:
        world.start()
        yield world


@pytest.fixture(scope="session")
def client(shared: Mesh) -> Sidecar:
    """The sidecar of somebody who calls the services of the shared mesh."""
    return shared.client()
