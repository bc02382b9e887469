"""What --credentials may name."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click
import pytest

from citadel.credentials import SecretSource
from citadel.credentials.files import FilesSource
from citadel.credentials.vault import VaultSource
from mesh_adapter.assembly import Options, SetupError
from mesh_adapter.authorities import VaultOptions
from mesh_adapter.secret_sources import secret_sources

VAULT = VaultOptions(addr="http://127.0.0.1:1", login={"method": "token", "token": "t", "token_file": ""})


def source(spec: str, vault: VaultOptions = VAULT) -> SecretSource:
    return secret_sources(Options(credentials=(spec,)), vault, lambda: datetime.now(UTC))[spec]


def test_a_path_is_a_folder(tmp_path: Path) -> None:
    assert isinstance(source(str(tmp_path)), FilesSource)


def test_vault_is_reached_as_its_options_say() -> None:
    assert isinstance(source("vault:secret/mesh"), VaultSource)
    with pytest.raises(click.UsageError, match="--vault-addr"):
        source("vault:secret", VaultOptions())
    with pytest.raises(SetupError, match="it names no mount"):
        source("vault:")


@pytest.mark.parametrize("spec", ["consul:mesh", "s3:bucket"])
def test_another_place_is_refused_with_those_that_are_known(spec: str) -> None:
    with pytest.raises(SetupError, match=r"is not known.*give a directory, vault:MOUNT/PREFIX, or kubernetes:"):
        source(spec)


def test_consul_is_refused_with_the_reason() -> None:
    with pytest.raises(SetupError, match="would have the private keys"):
        source("consul:mesh")
