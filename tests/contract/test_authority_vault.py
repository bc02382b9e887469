"""The authority of Vault's PKI engine keeps the contract, against a real Vault that `cert init-vault` set up."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime

import pytest

from citadel.authority import Authority
from citadel.vault import VaultAuthority
from citadel.vault_client import Login, VaultClient
from citadel.vault_setup import Layout, VaultSetup
from tests.contract.authority_suite import AuthoritySuite
from tests.servers.vault import Vault

pytestmark = pytest.mark.integration
LAYOUT = Layout("cluster.local", "mesh-pki", "mesh-adapter")


@pytest.fixture(scope="module")
def login(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Vault, Login]]:
    """One Vault for the suite, and the AppRole of a control plane."""
    with Vault(tmp_path_factory.mktemp("vault")) as vault:
        client = VaultClient(vault.url, Login(token=vault.root_token))
        client.log_in(datetime.now(UTC))
        setup = VaultSetup(client, LAYOUT)
        setup.run()
        role_id, secret_id = setup.approle()
        client.close()
        yield vault, Login("approle", role_id=role_id, secret_id=secret_id)


class TestVault(AuthoritySuite):
    @pytest.fixture
    async def authority(self, login: tuple[Vault, Login]) -> AsyncIterator[Authority]:
        vault, by = login
        found = VaultAuthority(vault.url, by)
        await found.start()
        yield found
        await found.close()
