"""Certificates of ten seconds and new roots under the load of two real Envoys: not one request fails.

The embedded CA goes through a whole rotation, the control plane killed at each step of it; Vault is sealed in the
midst of one. `bench/citadel_rotation.py` runs leaves for ten minutes.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from mesh_adapter.cli import cli
from tests.e2e.traffic import Load
from tests.e2e.world import eventually
from tests.integration.control_plane_child import Child, metric
from tests.integration.mtls_pair import Pair
from tests.integration.test_vault_authority import token, unseal_key, with_setup
from tests.servers.vault import Vault

pytestmark = pytest.mark.integration
LEAF = ("--workload-cert-ttl", "10s", "--max-workload-cert-ttl", "10s")
LONGER = ("--workload-cert-ttl", "20s", "--max-workload-cert-ttl", "20s")
"""Where the control plane is killed: half of a leaf's life is what a restart may take on a busy machine."""


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[Child]:
    ca = ("--ca", "embedded", "--ca-dir", str(tmp_path / "ca"), "--ca-root-spread", "8s")
    child = Child(tmp_path, *ca, "--attest", f"static,join_tokens={tmp_path}/join", *LONGER)
    child.start()
    yield child
    child.process.stop()


def crash(child: Child) -> None:
    child.process.kill()
    child.start()


def check(load: Load, pair: Pair, certificates: int) -> None:
    """Every request was answered, over many handshakes, and each side had so many certificates."""
    assert not load.failures, f"{len(load.failures)} of {load.count} failed, the first: {load.failures[0]}"
    handshakes = pair.callee.stats("listener.").items()
    assert sum(value for name, value in handshakes if name.endswith("ssl.handshake")) > load.count / 20
    for agent in pair.agents.values():
        assert agent.certificates >= certificates, agent.log


def test_a_root_is_rotated_and_the_control_plane_killed_at_each_step(embedded: Child, tmp_path: Path) -> None:
    old = tmp_path / "ca" / "1" / "root-cert.pem"
    with Pair(embedded, tmp_path, old) as pair, pair.load() as load:
        eventually(lambda: load.count > 500, "under load")
        rotate = ["cert", "rotate", "--ca-dir", str(tmp_path / "ca"), "--ca-root-spread", "8s"]
        assert CliRunner().invoke(cli, rotate).output.startswith("spreading")
        crash(embedded)
        eventually(lambda: state(tmp_path) == "draining", "draining")
        crash(embedded)
        eventually(lambda: state(tmp_path) == "stable", "stable", seconds=80)
        crash(embedded)
        had = {name: agent.certificates for name, agent in pair.agents.items()}
        eventually(
            lambda: all(agent.certificates > had[name] for name, agent in pair.agents.items()), "renewed once more"
        )
        load.stop()
        check(load, pair, 4)
        assert metric(embedded, "citadel_server_trusted_roots") == 1


def state(folder: Path) -> str:
    """The step that the CA is at."""
    return str(json.loads((folder / "ca" / "state.json").read_text())["step"])


def test_vault_is_sealed_in_the_midst_of_a_rotation(tmp_path: Path) -> None:
    with Vault(tmp_path / "vault") as vault:
        with_setup(vault, lambda setup: setup.run())
        secret = token(vault)
        root = tmp_path / "root.pem"
        root.write_bytes(vault.call("GET", "/mesh-pki/ca_chain", token="").body)
        options = ("--ca", "vault", "--vault-addr", vault.url, "--attest", f"static,join_tokens={tmp_path}/join", *LEAF)
        child = Child(tmp_path, *options, environment={"VAULT_TOKEN": secret})
        child.start()
        try:
            with Pair(child, tmp_path, root) as pair, pair.load() as load:
                eventually(lambda: load.count > 200, "under load")
                with_setup(vault, lambda setup: setup.begin())
                eventually(lambda: metric(child, "citadel_server_trusted_roots") == 2, "two roots")
                key = unseal_key(vault)
                vault.write("/sys/seal", {})
                sealed = time.monotonic()
                eventually(lambda: all("again in" in agent.log for agent in pair.agents.values()), "refused")
                assert time.monotonic() - sealed < 9, "what is held lives no longer"
                vault.call("PUT", "/sys/unseal", {"key": key}, token="")
                had = {name: agent.certificates for name, agent in pair.agents.items()}
                eventually(
                    lambda: all(agent.certificates > had[name] for name, agent in pair.agents.items()), "renewed"
                )
                crash(child)
                eventually(
                    lambda: all(agent.certificates > had[name] + 1 for name, agent in pair.agents.items()), "again"
                )
                load.stop()
                check(load, pair, 3)
        finally:
            child.process.stop()
