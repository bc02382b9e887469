"""`mesh-adapter start --ca …` as a child: the secure port opens, survives kill -9, and a real Envoy connects by it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from click.testing import CliRunner
from cryptography import x509

from citadel import profile
from mesh_adapter.cli import cli
from tests.integration.control_plane_child import SERVICES, Child, join_token, metric
from tests.integration.secure_plane import bearer, create_certificate
from tests.integration.test_vault_authority import token, unseal_key, with_setup
from tests.servers.http import call
from tests.servers.ports import free_ports
from tests.servers.process import Process
from tests.servers.vault import Vault
from tests.unit.citadel.ca_sets import offline_root
from tests.unit.citadel.requests import csr, ec_key

pytestmark = pytest.mark.integration


@pytest.fixture
def children() -> Iterator[list[Child]]:
    found: list[Child] = []
    yield found
    for each in found:
        each.process.stop()


async def certificate(child: Child, root: bytes) -> list[str]:
    """A new workload's first one."""
    credentials = grpc.ssl_channel_credentials(root)
    async with grpc.aio.secure_channel(f"localhost:{child.tls}", credentials) as channel:
        evidence = bearer(await asyncio.to_thread(join_token, child.folder), kind="")
        return await create_certificate(channel, csr(ec_key()), metadata=evidence)


def embedded(folder: Path, children: list[Child]) -> Child:
    child = Child(
        folder, "--ca", "embedded", "--ca-dir", str(folder / "ca"), "--attest", f"static,join_tokens={folder}/join"
    )
    children.append(child)
    child.start()
    return child


async def test_after_kill_9_the_same_root_signs(tmp_path: Path, children: list[Child]) -> None:
    child = await asyncio.to_thread(embedded, tmp_path, children)
    root = (tmp_path / "ca" / "1" / "root-cert.pem").read_bytes()
    assert f"xds over TLS listening on 127.0.0.1:{child.tls}\n" in child.log
    first = await certificate(child, root)
    child.process.kill()
    await asyncio.to_thread(child.start)
    second = await certificate(child, root)
    assert first[-1] == second[-1] == root.decode()


async def test_the_running_control_plane_takes_the_steps_of_a_rotation(tmp_path: Path, children: list[Child]) -> None:
    child = await asyncio.to_thread(embedded, tmp_path, children)
    words = ["cert", "rotate", "--ca-dir", str(tmp_path / "ca")]
    assert CliRunner().invoke(cli, words).output.startswith("spreading")
    await until(child, lambda: metric(child, "citadel_server_trusted_roots") == 2)
    roots = (tmp_path / "ca" / "1" / "root-cert.pem").read_bytes() + (
        tmp_path / "ca" / "2" / "root-cert.pem"
    ).read_bytes()
    chain = await certificate(child, roots)
    assert len(x509.load_pem_x509_certificates(chain[-1].encode())) == 2


async def until(child: Child, condition: Any) -> None:
    await asyncio.to_thread(child.process.wait_until, condition, "as expected", seconds=20)


async def test_by_vault_that_is_sealed_at_the_start(vault: Vault, tmp_path: Path, children: list[Child]) -> None:
    await asyncio.to_thread(with_setup, vault, lambda setup: setup.run())
    secret = token(vault)
    root = vault.call("GET", "/mesh-pki/ca_chain", token="").body.decode()
    vault.write("/sys/seal", {})
    options = ("--ca", "vault", "--vault-addr", vault.url, "--attest", f"static,join_tokens={tmp_path}/join")
    child = Child(tmp_path, *options, environment={"VAULT_TOKEN": secret})
    children.append(child)
    await asyncio.to_thread(child.start)
    assert "sealed" in child.log
    assert "xds over TLS" not in child.log
    vault.call("PUT", "/sys/unseal", {"key": unseal_key(vault)}, token="")
    await until(child, lambda: "xds over TLS listening" in child.log)
    chain = await certificate(child, root.encode())
    leaf = x509.load_pem_x509_certificate(chain[0].encode())
    assert str(profile.spiffe_id(leaf)) == "spiffe://cluster.local/ns/default/sa/web"
    assert leaf.not_valid_after_utc > datetime.now(UTC)
    assert secret not in child.log


@pytest.mark.parametrize(
    ("options", "status", "reason"),
    [
        (["--ca", "acme"], 2, "known are embedded, vault"),
        (["--ca", "embedded", "--trust-domain", "UPPER"], 2, "write 'upper'"),
        (["--ca", "embedded", "--trust-domain-alias", "UPPER"], 2, "write 'upper'"),
        (["--ca", "embedded", "--xds-tls-addr", "15012"], 2, "is not HOST:PORT"),
        (["--ca", "embedded", "--attest", "acme"], 2, "unknown attestor 'acme'"),
        (["--ca", "embedded", "--attest", "static"], 2, "needs join_tokens"),
        (["--ca", "embedded", "--attest", "nomad,adr=x"], 2, "unknown option 'adr'"),
        (["--ca", "embedded", "--attest", "nomad,addr"], 2, "is not OPTION=VALUE"),
        (["--attest", "nomad"], 2, "--attest needs a certificate authority"),
        (["--ca", "vault"], 2, "--vault-addr"),
        (["--ca", "embedded", "--attest", "consul,addr=http://127.0.0.1:1"], 1, "Consul can't be reached"),
        (["--ca", "embedded", "--ca-dir", "BROKEN"], 1, "is not the key of"),
    ],
    ids=range(12),
)
def test_what_can_t_be_is_told_at_the_start(tmp_path: Path, options: list[str], status: int, reason: str) -> None:
    offline_root().write(tmp_path / "broken")
    (tmp_path / "broken" / "ca-key.pem").write_bytes(profile.key_pem(profile.new_key()))
    (tmp_path / "services.yaml").write_text(SERVICES)
    words = [str(tmp_path / "broken") if each == "BROKEN" else each for each in options]
    ports = ["--xds-addr", "127.0.0.1:0", "--http-addr", "127.0.0.1:0"]
    variables = {"XDG_STATE_HOME": str(tmp_path / "state"), "MESH_ADAPTER_XDS_TLS_ADDR": "127.0.0.1:0"}
    done = CliRunner(env=variables).invoke(
        cli, ["start", "--static-file", str(tmp_path / "services.yaml"), *ports, *words]
    )
    assert (done.exit_code, reason in done.output) == (status, True), done.output


@pytest.fixture
async def connected(tmp_path: Path, children: list[Child], envoy_binary: Path) -> AsyncIterator[Child]:
    """A control plane, and an Envoy that came by a certificate of `cert issue`."""
    child = await asyncio.to_thread(embedded, tmp_path, children)
    issue = [
        "cert",
        "issue",
        "--service-account",
        "web",
        "--out",
        str(tmp_path / "tls"),
        "--ca-dir",
        str(tmp_path / "ca"),
    ]
    assert (await asyncio.to_thread(CliRunner().invoke, cli, issue)).exit_code == 0
    (tmp_path / "envoy.json").write_text(json.dumps(bootstrap(child)))
    command = [str(envoy_binary), "--config-path", str(tmp_path / "envoy.json"), "--disable-hot-restart"]
    envoy = Process("envoy", command, folder=tmp_path)
    envoy.start()
    yield child
    envoy.stop()


def bootstrap(child: Child) -> Any:
    """What `mesh-adapter bootstrap` prints, with TLS to the control plane."""
    admin, inbound, outbound = free_ports(3)
    words = ["bootstrap", "--service", "web", "--xds-addr", f"127.0.0.1:{child.tls}", "--admin-port", str(admin)]
    words += [
        "--inbound-port",
        str(inbound),
        "--outbound-port",
        str(outbound),
        "--health-port",
        "0",
        "--metrics-port",
        "0",
    ]
    plain = json.loads(CliRunner().invoke(cli, words).output)
    folder = child.folder / "tls"
    names = {"match_typed_subject_alt_names": [{"san_type": "URI", "matcher": {"exact": CONTROL_PLANE}}]}
    files = {"certificate_chain": f"{folder}/cert-chain.pem", "private_key": f"{folder}/key.pem"}
    tls = {
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        "common_tls_context": {
            "tls_certificates": [{name: {"filename": file} for name, file in files.items()}],
            "validation_context": {"trusted_ca": {"filename": f"{folder}/root-cert.pem"}, **names},
        },
    }
    for cluster in plain["static_resources"]["clusters"]:
        if str(child.tls) in json.dumps(cluster):
            cluster["transport_socket"] = {"name": "envoy.transport_sockets.tls", "typed_config": tls}
    return plain


CONTROL_PLANE = "spiffe://cluster.local/ns/istio-system/sa/mesh-adapter"


async def test_an_envoy_is_configured_over_the_secure_port(connected: Child) -> None:
    def synced() -> bool:
        proxies = call("GET", f"http://127.0.0.1:{connected.http}/debug/syncz").json
        return bool(proxies) and all(each["types"]["CDS"]["state"] == "SYNCED" for each in proxies)

    await until(connected, synced)
    assert metric(connected, "citadel_server_authentication_failure_count") == 0
