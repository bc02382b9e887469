"""The embedded authority, with a root of its own and with an operator's files, keeps the contract."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from citadel.authority import Authority
from citadel.embedded import EmbeddedAuthority
from tests.contract.authority_suite import AuthoritySuite
from tests.unit.citadel.ca_sets import offline_root


class TestEmbedded(AuthoritySuite):
    @pytest.fixture
    async def authority(self, tmp_path: Path) -> AsyncIterator[Authority]:
        found = EmbeddedAuthority(tmp_path / "ca", "cluster.local")
        await found.start()
        yield found
        await found.close()


class TestPluggedIn(AuthoritySuite):
    @pytest.fixture
    async def authority(self, tmp_path: Path) -> AsyncIterator[Authority]:
        offline_root().write(tmp_path)
        found = EmbeddedAuthority(tmp_path, "cluster.local")
        await found.start()
        yield found
        await found.close()
