"""SPIFFE's Workload API on the agent's socket: py-spiffe and go-spiffe as clients, and each MUST of the standard."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from cryptography.hazmat.primitives.serialization import load_der_private_key
from spiffe import SpiffeId, WorkloadApiClient, X509Source

from citadel.agent.evidence import Evidence
from citadel.agent.holdings import certificates
from citadel.workload_messages import (
    JWTBundlesResponse,
    JWTSVIDRequest,
    JWTSVIDResponse,
    ValidateJWTSVIDRequest,
    ValidateJWTSVIDResponse,
    X509BundlesResponse,
    X509SVIDResponse,
)
from tests.integration.agents import RunningAgent, call, until, watch
from tests.integration.secure_plane import SecurePlane, refused
from tests.servers.binaries import require

pytestmark = pytest.mark.integration
WEB = "spiffe://cluster.local/ns/default/sa/web"
DOMAIN = "spiffe://cluster.local"


@pytest.fixture
async def plane(tmp_path: Path) -> AsyncIterator[SecurePlane]:
    async with SecurePlane(tmp_path) as found:
        yield found


@pytest.fixture
async def agent(plane: SecurePlane, tmp_path: Path) -> AsyncIterator[RunningAgent]:
    """One that has its certificate and has heard of all bundles."""
    async with RunningAgent(plane, tmp_path / "agent") as found:
        await until(lambda: found.held.jwt, "told of keys")
        yield found


@pytest.fixture
async def channel(agent: RunningAgent) -> AsyncIterator[grpc.aio.Channel]:
    async with agent.channel() as found:
        yield found


# -- the clients that workloads use


def by_python(path: Path) -> dict[str, Any]:
    with WorkloadApiClient(f"unix://{path}") as client:
        context = client.fetch_x509_context()
        token = client.fetch_jwt_svid(audience={"db"})
        checked = client.validate_jwt_svid(token.token, audience="db")
        bundles = client.fetch_jwt_bundles()
        return {
            "id": str(context.default_svid.spiffe_id),
            "chain": [each.serial_number for each in context.default_svid.cert_chain],
            "domains": {str(each.trust_domain) for each in context.x509_bundle_set.bundles},
            "jwt": (str(token.spiffe_id), set(token.audience)),
            "checked": str(checked.spiffe_id),
            "keys": {str(each.trust_domain) for each in bundles.bundles},
        }


async def test_py_spiffe_fetches_all_there_is(agent: RunningAgent) -> None:
    found = await asyncio.to_thread(by_python, agent.path)
    held = agent.held.svid
    assert held is not None
    assert found["id"] == found["checked"] == WEB
    assert found["jwt"] == (WEB, {"db"})
    assert found["chain"][0] == held.chain[0].serial_number
    assert found["domains"] == found["keys"] == {"cluster.local"}


def watched_by_python(path: Path, states: int) -> set[int]:
    """Serial numbers of that many certificates, seen one after the other by a source that keeps itself up to date."""
    seen: set[int] = set()
    with X509Source(socket_path=f"unix://{path}") as source:
        end = time.monotonic() + 20
        while len(seen) < states and time.monotonic() < end:
            svid = source.get_x509_context().default_svid
            assert svid.spiffe_id == SpiffeId(WEB)
            seen.add(svid.leaf.serial_number)
            time.sleep(0.05)
    return seen


async def test_py_spiffe_watches_renewals(plane: SecurePlane, tmp_path: Path) -> None:
    async with RunningAgent(plane, tmp_path / "short", ttl=timedelta(seconds=3)) as agent:
        assert len(await asyncio.to_thread(watched_by_python, agent.path, 3)) == 3


def go_spiffe(path: Path, *words: str) -> str:
    environment = {**os.environ, "SPIFFE_ENDPOINT_SOCKET": f"unix://{path}"}
    command = [str(require("spiffe-client")), *words]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=40, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


async def test_go_spiffe_watches_renewals(plane: SecurePlane, tmp_path: Path) -> None:
    async with RunningAgent(plane, tmp_path / "short", ttl=timedelta(seconds=3)) as agent:
        lines = (await asyncio.to_thread(go_spiffe, agent.path, "x509", "4")).splitlines()
    assert {line.split()[0] for line in lines} == {WEB}
    assert len({line.split()[1] for line in lines}) >= 3, "a state may also be news of roots"
    assert lines[-1].split()[2] == "1"


async def test_go_spiffe_takes_our_jwt_svids_and_has_them_checked(
    agent: RunningAgent, channel: grpc.aio.Channel
) -> None:
    assert await asyncio.to_thread(go_spiffe, agent.path, "jwt", "db") == f"{WEB}\n"
    token = await jwt(channel, "db")
    assert await asyncio.to_thread(go_spiffe, agent.path, "validate", "db", token) == f"{WEB}\n"


# -- the standard's MUSTs, one by one


async def jwt(channel: grpc.aio.Channel, *audience: str, spiffe_id: str = "") -> str:
    request = JWTSVIDRequest(audience=audience, spiffe_id=spiffe_id)
    data = await call(channel, "FetchJWTSVID", request.SerializeToString())
    (found,) = JWTSVIDResponse.FromString(data).svids
    assert found.spiffe_id == WEB
    return str(found.svid)


@pytest.mark.parametrize("metadata", [(), (("workload.spiffe.io", "True"),), (("workload.spiffe.io", ""),)])
@pytest.mark.parametrize("method", ["FetchX509SVID", "FetchX509Bundles", "FetchJWTBundles"])
async def test_without_the_header_streams_are_refused(
    channel: grpc.aio.Channel, method: str, metadata: tuple[tuple[str, str], ...]
) -> None:
    assert (await refused(watch(channel, method, metadata).read()))[0] is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("method", ["FetchJWTSVID", "ValidateJWTSVID"])
async def test_without_the_header_calls_are_refused(channel: grpc.aio.Channel, method: str) -> None:
    assert (await refused(call(channel, method, metadata=())))[0] is grpc.StatusCode.INVALID_ARGUMENT


async def test_an_unknown_profile_is_unimplemented(channel: grpc.aio.Channel) -> None:
    assert (await refused(call(channel, "FetchWITSVID")))[0] is grpc.StatusCode.UNIMPLEMENTED


async def test_the_x509_svid_is_whole(agent: RunningAgent, channel: grpc.aio.Channel) -> None:
    """Leaf first, the key in PKCS#8 and not encrypted, the own domain's bundle, nothing foreign."""
    response = X509SVIDResponse.FromString(await watch(channel, "FetchX509SVID").read())
    (svid,) = response.svids
    held = agent.held.svid
    assert held is not None
    assert (svid.spiffe_id, svid.hint, dict(response.federated_bundles)) == (WEB, "", {})
    assert certificates(svid.x509_svid)[0] == held.chain[0]
    key = load_der_private_key(svid.x509_svid_key, None)
    assert key.public_key() == held.chain[0].public_key()
    assert svid.bundle == agent.held.own_roots


async def test_bundles_are_those_of_the_own_domain(agent: RunningAgent, channel: grpc.aio.Channel) -> None:
    x509 = X509BundlesResponse.FromString(await watch(channel, "FetchX509Bundles").read())
    assert dict(x509.bundles) == {DOMAIN: agent.held.own_roots}
    keys = JWTBundlesResponse.FromString(await watch(channel, "FetchJWTBundles").read())
    assert set(keys.bundles) == {DOMAIN}
    assert b'"use":"jwt-svid"' in keys.bundles[DOMAIN]
    assert b"x509-svid" not in keys.bundles[DOMAIN], "JWT keys alone"


async def test_each_message_is_the_whole_state(plane: SecurePlane, tmp_path: Path) -> None:
    async with RunningAgent(plane, tmp_path / "short", ttl=timedelta(seconds=3)) as agent, agent.channel() as channel:
        stream = watch(channel, "FetchX509SVID")
        for _ in range(3):
            (svid,) = X509SVIDResponse.FromString(await stream.read()).svids
            assert svid.spiffe_id == WEB
            assert svid.x509_svid
            assert svid.x509_svid_key
            assert svid.bundle


async def test_who_was_refused_has_no_identity(plane: SecurePlane, tmp_path: Path) -> None:
    (tmp_path / "bad").write_text("join-never-made")
    bad = Evidence("static", tmp_path / "bad")
    async with RunningAgent(plane, tmp_path / "a", evidence=bad) as agent, agent.channel() as channel:
        for answer in (watch(channel, "FetchX509SVID").read(), call(channel, "FetchJWTSVID")):
            code, details = await refused(answer)
            assert code is grpc.StatusCode.PERMISSION_DENIED
            assert "not known, or was used before" in details


async def test_a_replayed_join_token_gives_no_second_workload_an_identity(
    agent: RunningAgent, plane: SecurePlane, tmp_path: Path
) -> None:
    thief = Evidence("static", agent.token)
    async with RunningAgent(plane, tmp_path / "thief", evidence=thief) as second, second.channel() as channel:
        assert (await refused(watch(channel, "FetchX509SVID").read()))[0] is grpc.StatusCode.PERMISSION_DENIED
        assert second.held.svid is None


@pytest.mark.parametrize("audience", [(), ("",), ("db", ""), tuple("abcdefghijklmnopqrstuvwxyz")])
async def test_a_jwt_svid_needs_an_audience(channel: grpc.aio.Channel, audience: tuple[str, ...]) -> None:
    code, _ = await refused(call(channel, "FetchJWTSVID", JWTSVIDRequest(audience=audience).SerializeToString()))
    assert code is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_jwt_svid_of_somebody_else_is_refused(channel: grpc.aio.Channel) -> None:
    assert await jwt(channel, "db", spiffe_id=WEB)
    request = JWTSVIDRequest(audience=["db"], spiffe_id="spiffe://cluster.local/ns/default/sa/billing")
    code, _ = await refused(call(channel, "FetchJWTSVID", request.SerializeToString()))
    assert code is grpc.StatusCode.PERMISSION_DENIED


async def test_the_control_plane_gives_nobody_anothers_jwt_svid(plane: SecurePlane) -> None:
    async with plane.channel(await plane.web()) as channel:
        request = JWTSVIDRequest(audience=["db"], spiffe_id="spiffe://cluster.local/ns/default/sa/billing")
        code, _ = await refused(call(channel, "FetchJWTSVID", request.SerializeToString()))
        assert code is grpc.StatusCode.PERMISSION_DENIED
    async with plane.channel() as channel:
        code, _ = await refused(call(channel, "FetchJWTSVID", JWTSVIDRequest(audience=["db"]).SerializeToString()))
        assert code is grpc.StatusCode.UNAUTHENTICATED
        assert (await refused(watch(channel, "FetchX509Bundles").read()))[0] is grpc.StatusCode.UNAUTHENTICATED


async def test_jwt_svids_are_checked(channel: grpc.aio.Channel) -> None:
    token = await jwt(channel, "db", "cache")
    request = ValidateJWTSVIDRequest(audience="cache", svid=token)
    answer = ValidateJWTSVIDResponse.FromString(await call(channel, "ValidateJWTSVID", request.SerializeToString()))
    assert answer.spiffe_id == WEB
    for audience, svid in (("web", token), ("db", token[:-6] + "AAAAAA"), ("db", "x"), ("", token), ("db", "")):
        request = ValidateJWTSVIDRequest(audience=audience, svid=svid)
        code, _ = await refused(call(channel, "ValidateJWTSVID", request.SerializeToString()))
        assert code is grpc.StatusCode.INVALID_ARGUMENT


async def test_while_the_control_plane_is_away_a_jwt_svid_is_given_again(tmp_path: Path) -> None:
    async with SecurePlane(tmp_path) as plane:
        agent = RunningAgent(plane, tmp_path / "agent")
        await agent.__aenter__()
        async with agent.channel() as channel:
            token = await jwt(channel, "db")
    try:
        async with agent.channel() as channel:
            assert await jwt(channel, "db") == token
            request = JWTSVIDRequest(audience=["other"]).SerializeToString()
            assert (await refused(call(channel, "FetchJWTSVID", request)))[0] is grpc.StatusCode.UNAVAILABLE
    finally:
        await agent.__aexit__()
