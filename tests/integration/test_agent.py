"""The sidecar's agent against a control plane: the first certificate, renewal, restarts, and Envoy's secrets."""

from __future__ import annotations

import asyncio
import logging
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import grpc.aio
import pytest
from cryptography import x509

from citadel import profile
from citadel.agent.evidence import Evidence
from citadel.agent.local_socket import SocketError
from citadel.agent.sds import SERVICE as SDS
from citadel.agent.secrets import TYPE
from citadel.embedded import EmbeddedAuthority
from tests.integration.agents import DeltaRequest, DeltaResponse, Envoyish, Request, RunningAgent, Secret, until
from tests.integration.secure_plane import SecurePlane, refused

pytestmark = pytest.mark.integration
WEB = "spiffe://cluster.local/ns/default/sa/web"


async def test_envoy_is_given_its_own_certificate_and_whom_to_trust(tmp_path: Path) -> None:
    async with SecurePlane(tmp_path) as plane, RunningAgent(plane, tmp_path / "a") as agent, agent.channel() as channel:
        envoy = Envoyish(channel)
        await envoy.ask("default", "ROOTCA")
        _, secrets = await envoy.read()
        chain = secrets["default"].tls_certificate.certificate_chain.inline_bytes
        leaf = x509.load_pem_x509_certificate(chain)
        assert str(profile.spiffe_id(leaf)) == WEB
        assert secrets["ROOTCA"].validation_context.trusted_ca.inline_bytes.decode() == plane.roots
        assert agent.held.svid is not None
        assert secrets["default"].tls_certificate.private_key.inline_bytes == profile.key_pem(agent.held.svid.key)


async def test_the_socket_is_its_users_alone(tmp_path: Path) -> None:
    async with SecurePlane(tmp_path) as plane, RunningAgent(plane, tmp_path / "a") as agent:
        assert stat.S_IMODE(agent.path.stat().st_mode) == 0o600
        second = RunningAgent(plane, tmp_path / "a")
        second.path.parent.rmdir()
        with pytest.raises(SocketError, match="is served by another process"):
            await type(agent.agent)(agent.settings, agent.agent._socket).__aenter__()
    async with SecurePlane(tmp_path) as plane, RunningAgent(plane, tmp_path / "b", group=65534) as agent:
        found = agent.path.stat()
        assert (stat.S_IMODE(found.st_mode), found.st_gid) == (0o660, 65534)


async def test_a_renewed_certificate_is_pushed_and_has_another_key(tmp_path: Path) -> None:
    short = timedelta(seconds=3)
    async with SecurePlane(tmp_path) as plane, RunningAgent(plane, tmp_path / "a", ttl=short) as agent:
        async with agent.channel() as channel:
            envoy = Envoyish(channel)
            await envoy.ask("default")
            keys = []
            for _ in range(3):
                response, secrets = await asyncio.wait_for(envoy.read(), 10)
                keys.append(secrets["default"].tls_certificate.private_key.inline_bytes)
                await envoy.ask("default", nonce=response.nonce)
        assert len(set(keys)) == 3
        assert plane.count("citadel_server_authentication_failure_count") == 0


async def test_another_services_secret_is_not_given(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with SecurePlane(tmp_path) as plane, RunningAgent(plane, tmp_path / "a") as agent, agent.channel() as channel:
        envoy = Envoyish(channel)
        foreign = "spiffe://cluster.local/ns/default/sa/billing"
        with caplog.at_level(logging.WARNING):
            await envoy.ask("default", foreign, "kubernetes://billing-tls")
            _, secrets = await envoy.read()
        assert set(secrets) == {"default"}
        assert agent.agent.secrets.refused == 2
        assert f"audit: a secret was asked for that is not this workload's: {foreign!r}" in caplog.text


async def test_delta_says_that_a_foreign_secret_is_not_there(tmp_path: Path) -> None:
    async with SecurePlane(tmp_path) as plane, RunningAgent(plane, tmp_path / "a") as agent, agent.channel() as channel:
        call = channel.stream_stream(f"/{SDS}/DeltaSecrets")(timeout=10)
        await call.write(DeltaRequest(type_url=TYPE, resource_names_subscribe=["ROOTCA", "other"]).SerializeToString())
        answer = DeltaResponse.FromString(await call.read())
        assert [each.name for each in answer.resources] == ["ROOTCA"]
        assert Secret.FromString(answer.resources[0].resource.value).validation_context.trusted_ca.inline_bytes
        assert list(answer.removed_resources) == ["other"]


async def test_another_type_is_refused(tmp_path: Path) -> None:
    async with SecurePlane(tmp_path) as plane, RunningAgent(plane, tmp_path / "a") as agent, agent.channel() as channel:
        call = channel.stream_stream(f"/{SDS}/StreamSecrets")(timeout=10)
        await call.write(Request(type_url="type.googleapis.com/other").SerializeToString())
        assert (await refused(call.read()))[0] is grpc.StatusCode.INVALID_ARGUMENT


async def test_what_is_kept_makes_a_restart_without_evidence(tmp_path: Path) -> None:
    """A join token is good once: the second start has only what the first one kept."""
    kept = tmp_path / "kept"
    async with SecurePlane(tmp_path) as plane:
        async with RunningAgent(plane, tmp_path / "a", folder=kept) as agent:
            await until(lambda: agent.held.svid, "certified")
            first = agent.held.svid
        assert stat.S_IMODE((kept / "identity.pem").stat().st_mode) == 0o600
        async with RunningAgent(plane, tmp_path / "a", folder=kept, evidence=None) as agent:
            assert agent.held.svid is not None
            assert first is not None
            assert agent.held.svid.chain == first.chain
        (kept / "identity.pem").write_bytes(b"damaged")
        async with RunningAgent(plane, tmp_path / "a", folder=kept) as agent:
            await until(agent.agent.keeper.tried.is_set, "tried")
            assert agent.held.svid is None
            assert agent.agent.keeper.refused, "the token was used before"


async def test_while_the_control_plane_is_away_what_is_held_is_served(tmp_path: Path) -> None:
    async with SecurePlane(tmp_path) as plane:
        agent = RunningAgent(plane, tmp_path / "a", ttl=timedelta(seconds=60))
        await agent.__aenter__()
        await until(lambda: agent.held.svid, "certified")
    try:
        async with agent.channel() as channel:
            envoy = Envoyish(channel)
            await envoy.ask("default")
            _, secrets = await envoy.read()
            assert secrets["default"].tls_certificate.certificate_chain.inline_bytes
    finally:
        await agent.__aexit__()


async def test_a_first_certificate_waits_for_evidence_and_for_the_control_plane(tmp_path: Path) -> None:
    async with SecurePlane(tmp_path) as plane:
        later = tmp_path / "later"
        async with RunningAgent(plane, tmp_path / "a", evidence=Evidence("static", later)) as agent:
            await until(agent.agent.keeper.tried.is_set, "tried")
            assert "later: No such file" in agent.agent.keeper.problem
            later.write_text(plane.join_token())
            await until(lambda: agent.held.svid, "certified")


async def test_a_new_root_reaches_the_agent_at_once(tmp_path: Path) -> None:
    """Long before its certificate is renewed: roots are followed, not fetched."""
    async with SecurePlane(tmp_path) as plane, RunningAgent(plane, tmp_path / "a") as agent, agent.channel() as channel:
        await until(lambda: agent.held.jwt, "followed")
        envoy = Envoyish(channel)
        await envoy.ask("ROOTCA")
        await envoy.read()
        authority = plane.security.issuing.authority
        assert isinstance(authority, EmbeddedAuthority)
        authority.store.begin(datetime.now(UTC))
        _, secrets = await asyncio.wait_for(envoy.read(), 10)
        trusted = secrets["ROOTCA"].validation_context.trusted_ca.inline_bytes
        assert len(x509.load_pem_x509_certificates(trusted)) == 2
