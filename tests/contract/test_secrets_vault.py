"""The contract of secret sources, against a real Vault with the rights that we ship; sealed, and without permission."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from citadel.credentials import Broken, Found, Fresh, SecretSource, Stale, Synced
from citadel.credentials.vault import VaultSource
from citadel.vault_client import Login, VaultClient
from tests.contract.secret_suite import SecretSuite, Watching
from tests.servers.vault import Vault
from tests.unit.citadel.credentials.pem import pair

pytestmark = pytest.mark.integration
POLICY = Path(__file__).parents[2] / "deploy" / "vault" / "credentials.hcl"
_numbers = itertools.count()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vault]:
    with Vault(tmp_path_factory.mktemp("vault")) as found:
        yield found


class Kv:
    """A prefix of its own in one Vault."""

    def __init__(self, vault: Vault) -> None:
        self.vault, self.prefix = vault, f"mesh-{next(_numbers)}"
        policy = POLICY.read_text().replace("/mesh/", f"/{self.prefix}/")
        vault.call("PUT", f"/sys/policies/acl/{self.prefix}", {"policy": policy})
        wishes = {"policies": [self.prefix], "no_default_policy": True}
        self.token = str(vault.write("/auth/token/create", wishes)["auth"]["client_token"])

    def source(self) -> SecretSource:
        client = VaultClient(self.vault.url, Login(token=self.token))
        return VaultSource(client, f"secret/{self.prefix}", clock=lambda: datetime.now(UTC), every=0.1)

    def put(self, namespace: str, name: str, data: Mapping[str, bytes]) -> None:
        fields = {key: value.decode() for key, value in data.items()}
        self.vault.write(f"/secret/data/{self.prefix}/{namespace}/{name}", {"data": fields})

    def remove(self, namespace: str, name: str) -> None:
        self.vault.call("DELETE", f"/secret/metadata/{self.prefix}/{namespace}/{name}")


@pytest.fixture
def backend(server: Vault) -> Kv:
    return Kv(server)


class TestVault(SecretSuite):
    """The suite."""

    def test_what_may_not_be_read_is_stale_until_it_may(self, backend: Kv, watch: Callable[[], Watching]) -> None:
        """As when it is sealed: what was told stays, and the rest comes when Vault is back."""
        backend.put("default", "web", pair())
        watching = watch()
        watching.until(lambda event: isinstance(event, Synced))
        policy = backend.vault.read(f"/sys/policies/acl/{backend.prefix}")["policy"]
        backend.vault.call("PUT", f"/sys/policies/acl/{backend.prefix}", {"policy": 'path "none" {}'})
        event = watching.until(lambda each: isinstance(each, Stale))
        assert isinstance(event, Stale)
        assert "does not permit" in event.reason
        backend.put("default", "late", pair())
        backend.vault.call("PUT", f"/sys/policies/acl/{backend.prefix}", {"policy": policy})
        watching.until(lambda each: isinstance(each, Fresh))
        assert any(isinstance(each, Found) and each.name == "late" for each in watching.events)

    def test_a_version_that_was_deleted_is_broken_and_one_that_came_back_is_told(
        self, backend: Kv, watch: Callable[[], Watching]
    ) -> None:
        backend.put("default", "web", pair())
        watching = watch()
        watching.until(lambda event: isinstance(event, Synced))
        path = f"/secret/data/{backend.prefix}/default/web"
        backend.vault.call("DELETE", path)
        backend.put("default", "web", (new := pair()))
        watching.until(lambda each: isinstance(each, Found) and dict(each.data) == new)
        assert not any(isinstance(each, Broken) for each in watching.events[-1:])
