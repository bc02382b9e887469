"""Federation by SPIFFE bundle endpoints: two meshes that read each other's bundle, and what must not be believed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import urllib.request
from pathlib import Path
from typing import Any

import click
import pytest
from cryptography import x509

from citadel import federation, identity, jwk, profile
from citadel.federation import Federated, FederationError
from citadel.workload_messages import X509SVIDResponse
from tests.e2e.traffic import Connection
from tests.integration import mtls_pair
from tests.integration.agents import Envoyish, RunningAgent, until, watch
from tests.integration.secure_plane import SecurePlane
from tests.servers.envoy import Envoy
from tests.servers.ports import free_ports
from tests.servers.tls import Authority

pytestmark = pytest.mark.integration
OWN, OTHER = "spiffe://cluster.local", "spiffe://other.org"
ENDPOINT = "/ns/istio-system/sa/mesh-adapter"


def read(url: str) -> dict[str, Any]:
    """The bundle, as anybody may read it."""
    context = ssl._create_unverified_context()
    with urllib.request.urlopen(url, context=context, timeout=10) as answer:
        assert answer.headers["content-type"] == "application/json; charset=utf-8"
        found: dict[str, Any] = json.loads(answer.read())
        return found


def certificate(port: int) -> x509.Certificate:
    return x509.load_pem_x509_certificate(ssl.get_server_certificate(("127.0.0.1", port)).encode())


async def test_two_meshes_trust_each_other_and_merge_nothing(tmp_path: Path) -> None:
    port, other_port = free_ports(2)
    for name in ("own", "other"):
        (tmp_path / name).mkdir()
    async with SecurePlane(tmp_path / "other", domain="other.org", bundle_endpoint=f"127.0.0.1:{other_port}") as other:
        assert await other.security.listen_for_bundles() == other_port
        bundle = await asyncio.to_thread(read, f"https://127.0.0.1:{other_port}/")
        assert bundle["spiffe_refresh_hint"] == 60
        assert str(profile.spiffe_id(await asyncio.to_thread(certificate, other_port))) == OTHER + ENDPOINT
        (tmp_path / "other.json").write_text(json.dumps(bundle))
        spec = (
            f"other.org=https://127.0.0.1:{other_port}/,spiffe-id={OTHER}{ENDPOINT},bundle-file={tmp_path}/other.json"
        )
        async with (
            SecurePlane(tmp_path / "own", federate=(spec,), bundle_endpoint=f"127.0.0.1:{port}") as own,
            RunningAgent(own, tmp_path / "agent") as agent,
            agent.channel() as channel,
        ):
            await until((tmp_path / "own" / "ca" / "federation" / "other.org.json").exists, "fetched")
            await until(lambda: OTHER in agent.held.x509, "told of the other")
            response = X509SVIDResponse.FromString(await watch(channel, "FetchX509SVID").read())
            assert dict(response.federated_bundles) == {OTHER: agent.held.x509[OTHER]}
            assert response.svids[0].bundle == agent.held.own_roots != agent.held.x509[OTHER]
            assert set(agent.held.jwt) == {OWN, OTHER}
            envoy = Envoyish(channel)
            await envoy.ask("ROOTCA")
            _, secrets = await envoy.read()
            assert secrets["ROOTCA"].validation_context.HasField("custom_validator_config")
            assert len(read_own(own)) == 1, "what others read holds nothing foreign"


def read_own(plane: SecurePlane) -> tuple[x509.Certificate, ...]:
    return jwk.read(plane.security.trust.bundle()).roots


async def test_an_endpoint_that_shows_another_id_or_another_root_is_not_believed(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    async with SecurePlane(tmp_path, domain="other.org", bundle_endpoint=f"127.0.0.1:{port}") as plane:
        await plane.security.listen_for_bundles()
        url = f"https://127.0.0.1:{port}/"
        known = jwk.read(plane.security.trust.bundle())
        right = Federated("other.org", url, identity.parse(OTHER + ENDPOINT), "f")
        assert jwk.read(await asyncio.to_thread(federation.fetch, right, known)).roots == known.roots
        wrong = Federated("other.org", url, identity.parse(f"{OTHER}/ns/default/sa/web"), "f")
        with pytest.raises(FederationError, match=f"shows {OTHER}{ENDPOINT}, not"):
            await asyncio.to_thread(federation.fetch, wrong, known)
        key = profile.new_key()
        root = profile.root(
            key, "other.org", "x", known.roots[0].not_valid_before_utc, known.roots[0].not_valid_after_utc
        )
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncio.to_thread(federation.fetch, right, jwk.Bundle((root,), b"{}"))
        with pytest.raises(FederationError, match="no root"):
            await asyncio.to_thread(federation.fetch, right, None)
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncio.to_thread(federation.fetch, Federated("other.org", url), None)


async def test_by_a_certificate_of_the_web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (port,) = free_ports(1)
    made = Authority(tmp_path / "web").issue("bundles")
    files = {"bundle_endpoint_cert": str(made.cert_file), "bundle_endpoint_key": str(made.key_file)}
    async with SecurePlane(tmp_path, bundle_endpoint=f"127.0.0.1:{port}", **files) as plane:
        await plane.security.listen_for_bundles()
        monkeypatch.setenv("SSL_CERT_FILE", str(made.ca_file))
        data = await asyncio.to_thread(federation.fetch, Federated("x", f"https://localhost:{port}/"), None)
        assert jwk.read(data).roots == plane.security.issuing.roots()


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ("other.org", "is not https"),
        ("other.org=http://x/", "is not https"),
        ("other.org=https://user@x/", "is not https"),
        ("Other.org=https://x/", "upper case"),
        ("other.org=https://x/,id=y", "unknown option"),
        (f"other.org=https://x/,spiffe-id={OTHER}/a", "go together"),
        (f"other.org=https://x/,spiffe-id={OWN}/a,bundle-file=f", "is not of other.org"),
        ("cluster.local=https://x/", "the mesh's own"),
    ],
)
async def test_what_can_t_be_federated_is_a_usage_error(tmp_path: Path, spec: str, reason: str) -> None:
    with pytest.raises(click.UsageError, match=reason):
        SecurePlane(tmp_path, federate=(spec,))


async def test_envoys_of_a_federated_mesh_know_each_other_by_their_own_roots(tmp_path: Path) -> None:
    """Envoy's SPIFFE validator, with two trust domains in it, takes the peer of the own one; a real handshake."""
    (tmp_path / "other").mkdir()
    async with SecurePlane(tmp_path / "other", domain="other.org") as other:
        (tmp_path / "other.json").write_bytes(other.security.trust.bundle())
    away = f"other.org=https://127.0.0.1:1/,spiffe-id={OTHER}{ENDPOINT},bundle-file={tmp_path}/other.json"
    async with SecurePlane(tmp_path, federate=(away,)) as plane, contextlib.AsyncExitStack() as stack:
        agents = {}
        for name in ("caller", "callee"):
            (tmp_path / name).mkdir()
            (tmp_path / name / "token").write_text(plane.join_token(name))
            agents[name] = await stack.enter_async_context(RunningAgent(plane, tmp_path / name))
        for agent in agents.values():
            await until(lambda agent=agent: len(agent.held.x509) == 2, "told of both")  # type: ignore[misc]
        port, server_port = free_ports(2)
        callee = Envoy(tmp_path / "envoy-callee", mtls_pair.server(str(agents["callee"].path), server_port))
        caller = Envoy(tmp_path / "envoy-caller", mtls_pair.client(str(agents["caller"].path), port, server_port))
        try:
            for envoy in (callee, caller):
                await asyncio.to_thread(envoy.start)
                await asyncio.to_thread(envoy.wait_live)
            with contextlib.closing(Connection(port, "callee")) as connection:
                assert (await asyncio.to_thread(connection.send)).status == 200
        finally:
            for envoy in (caller, callee):
                await asyncio.to_thread(envoy.stop)
