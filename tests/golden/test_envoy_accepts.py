"""Envoy's own opinion of every golden `envoy.yaml`: all at once, and one by one only to name the culprit."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.golden.case import folders
from tests.golden.static_bootstrap import Resources, bootstrap
from tests.servers.envoy import InvalidConfigError, validate
from tests.servers.tls import Authority

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("envoy_binary")]


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Stand-ins for the files that cases name, by the field that names them."""
    authority = Authority(tmp_path_factory.mktemp("certificates"))
    client = authority.issue("client")
    return {
        "certificate_chain": str(client.cert_file),
        "private_key": str(client.key_file),
        "trusted_ca": str(client.ca_file),
        "crl": str(authority.revocations()),
    }


@pytest.fixture(scope="session")
def all_accepted(files: dict[str, str]) -> bool:
    """Whether one Envoy takes all cases together."""
    try:
        validate(bootstrap({folder.name: golden(folder) for folder in folders()}, files))
    except InvalidConfigError:
        return False
    return True


@pytest.mark.parametrize("folder", folders(), ids=lambda folder: folder.name)
def test_envoy_accepts(folder: Path, all_accepted: bool, files: dict[str, str]) -> None:
    if not all_accepted:
        validate(bootstrap({folder.name: golden(folder)}, files))


def test_envoy_accepts_all_together(all_accepted: bool) -> None:
    assert all_accepted, "each case by itself is accepted where no other test of this file failed"


def test_envoy_would_refuse_two_virtual_hosts_of_one_domain() -> None:
    """So that a transformation that loses the routes is noticed."""
    resources = golden(next(folder for folder in folders() if folder.name == "default-route"))
    hosts = resources["routes"][0]["virtual_hosts"]
    hosts.append({**hosts[0], "name": "again"})
    with pytest.raises(InvalidConfigError, match="Only unique values for domains are permitted"):
        validate(bootstrap({"twice": resources}))


def golden(folder: Path) -> Resources:
    text = (folder / "envoy.yaml").read_text("utf-8")
    resources: Resources = yaml.load(text, Loader=yaml.CSafeLoader)
    return resources
