"""The secure port: who gets in as whom, what a CSR may and may not do, and what strangers can't do to others."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import warnings
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from cryptography import x509

from citadel import identity, profile
from citadel.callers import EVIDENCE
from citadel.csr import LARGEST
from citadel.secure_port import Limits, load_identity
from tests.integration.secure_plane import (
    Credential,
    SecurePlane,
    bearer,
    create_certificate,
    refused,
    speak,
    stream,
)
from tests.unit.citadel.ca_sets import offline_root
from tests.unit.citadel.requests import FORGED_NAMES, csr, ec_key, rsa_key, with_bad_signature

pytestmark = pytest.mark.integration
WEB = identity.workload("cluster.local", "default", "web")
WEB_NODE = "sidecar~10.0.0.1~web-1.default~service.consul"
UNAUTHENTICATED = grpc.StatusCode.UNAUTHENTICATED
INVALID = grpc.StatusCode.INVALID_ARGUMENT
DENIED = grpc.StatusCode.PERMISSION_DENIED


@pytest.fixture
async def plane(tmp_path: Path) -> AsyncIterator[SecurePlane]:
    async with SecurePlane(tmp_path) as found:
        yield found


def leaf_of(chain: list[str]) -> x509.Certificate:
    return x509.load_pem_x509_certificate(chain[0].encode())


# -- certificates


async def test_a_join_token_gets_a_certificate_once(plane: SecurePlane) -> None:
    token, key = plane.join_token(), ec_key()
    async with plane.channel() as channel:
        chain = await create_certificate(channel, csr(key), metadata=bearer(token), seconds=600)
        profile.check_leaf(leaf_of(chain), key.public_key(), WEB, ())
        assert chain[-1] == plane.roots
        assert leaf_of(chain).not_valid_after_utc < datetime.now(UTC) + timedelta(seconds=601)
        code, text = await refused(create_certificate(channel, csr(key), metadata=bearer(token)))
    assert (code, "used before" in text) == (UNAUTHENTICATED, True)
    assert plane.count("citadel_server_success_cert_issuance_count") == 2  # its own is the first
    assert plane.count("citadel_server_authentication_failure_count") == 1


async def test_a_token_used_twice_at_the_same_moment_is_good_once(plane: SecurePlane) -> None:
    token = plane.join_token()
    async with plane.channel() as channel:
        calls = (create_certificate(channel, csr(ec_key()), metadata=bearer(token)) for _ in range(20))
        answers = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(isinstance(each, list) for each in answers) == 1


async def test_renewal_by_the_present_certificate(plane: SecurePlane) -> None:
    async with plane.channel() as channel:
        key = ec_key()
        chain = await create_certificate(channel, csr(key), metadata=bearer(plane.join_token()))
    async with plane.channel(Credential(chain[0], key)) as channel:
        renewed = leaf_of(await create_certificate(channel, csr(fresh := ec_key())))
    profile.check_leaf(renewed, fresh.public_key(), WEB, ())


async def test_a_certificate_decides_whatever_evidence_stands_beside_it(plane: SecurePlane) -> None:
    other = plane.join_token(account="admin")
    async with plane.channel(await plane.web()) as channel:
        chain = await create_certificate(channel, csr(ec_key()), metadata=bearer(other))
    assert profile.spiffe_id(leaf_of(chain)) == WEB


@pytest.mark.parametrize("names", FORGED_NAMES, ids=range(len(FORGED_NAMES)))
async def test_a_forged_identity_in_a_request_counts_for_nothing(
    plane: SecurePlane, names: tuple[x509.GeneralName, ...]
) -> None:
    key = ec_key()
    async with plane.channel(await plane.web()) as channel:
        chain = await create_certificate(channel, csr(key, *names, common_name="admin", ca=True))
    profile.check_leaf(leaf_of(chain), key.public_key(), WEB, ())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "garbage",
        "A" * (LARGEST + 1),
        "A" * (10 << 20),
        with_bad_signature(csr(ec_key())),
        csr(ec_key()) + "trailing",
        csr(rsa_key(1024)),
    ],
    ids=range(7),
)
async def test_a_hostile_request_is_an_invalid_argument(plane: SecurePlane, text: str) -> None:
    async with plane.channel(await plane.web()) as channel:
        code, _ = await refused(create_certificate(channel, text))
    assert code in (INVALID, grpc.StatusCode.RESOURCE_EXHAUSTED)


@pytest.mark.parametrize(("seconds", "life"), [(0, timedelta(hours=24)), (1 << 40, timedelta(days=90))])
async def test_a_life_that_is_not_said_or_too_long(plane: SecurePlane, seconds: int, life: timedelta) -> None:
    async with plane.channel(await plane.web()) as channel:
        chain = await create_certificate(channel, csr(ec_key()), seconds=seconds)
    assert abs(leaf_of(chain).not_valid_after_utc - datetime.now(UTC) - life) < timedelta(minutes=1)


@pytest.mark.parametrize("seconds", [-1, -(1 << 62), 1 << 62])
async def test_a_life_that_can_t_be(plane: SecurePlane, seconds: int) -> None:
    async with plane.channel(await plane.web()) as channel:
        code, _ = await refused(create_certificate(channel, csr(ec_key()), seconds=seconds))
    assert code is INVALID


async def test_bytes_that_are_no_request(plane: SecurePlane) -> None:
    async with plane.channel(await plane.web()) as channel:
        call = channel.unary_unary("/istio.v1.auth.IstioCertificateService/CreateCertificate")
        code, _ = await refused(call(b"\xff\xff\xff", timeout=10))
    assert code is INVALID


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ((), "no identity"),
        ((("authorization", "Basic dXNlcjpwYXNz"),), "no identity"),
        ((("authorization", "Bearer "),), "no identity"),
        (bearer("join-none"), "not known, or was used before"),
        (bearer("join-../../etc/passwd"), "not known, or was used before"),
        (bearer("aaaa.bbbb.cccc"), "no JSON object"),
        (bearer("x" * 20_000), "not a signed token|more than"),
        (bearer("join-x", kind="acme"), f"{EVIDENCE} is 'acme'"),
    ],
    ids=range(8),
)
async def test_a_stranger_gets_no_certificate(
    plane: SecurePlane, metadata: tuple[tuple[str, str], ...], reason: str
) -> None:
    async with plane.channel() as channel:
        code, text = await refused(create_certificate(channel, csr(ec_key()), metadata=metadata))
    assert code in (UNAUTHENTICATED, grpc.StatusCode.RESOURCE_EXHAUSTED)
    assert any(each in text for each in reason.split("|")) or code is not UNAUTHENTICATED, text


async def test_an_expired_join_token(plane: SecurePlane) -> None:
    token = plane.join_token(life=timedelta(seconds=-1))
    async with plane.channel() as channel:
        code, text = await refused(create_certificate(channel, csr(ec_key()), metadata=bearer(token)))
    assert (code, "expired" in text) == (UNAUTHENTICATED, True)


async def test_the_plaintext_port_issues_nothing(plane: SecurePlane) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{plane.plain_port}") as channel:
        call = create_certificate(channel, csr(ec_key()), metadata=bearer(plane.join_token()))
        code, text = await refused(call)
    assert (code, "secure port only" in text) == (UNAUTHENTICATED, True)


# -- connections


async def handshake(plane: SecurePlane, context: ssl.SSLContext) -> bytes:
    """Connects and reads what comes first: HTTP/2 settings, or nothing if the connection is refused.

    In TLS 1.3 a client learns only by reading that its certificate was not taken, and by which error is a race.
    """
    context.set_alpn_protocols(["h2"])
    with contextlib.suppress(ssl.SSLError, ConnectionError):
        return await _first_frame(plane, context)
    return b""


async def _first_frame(plane: SecurePlane, context: ssl.SSLContext) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", plane.port, ssl=context, server_hostname="localhost")
    try:
        writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
        await writer.drain()
        return await asyncio.wait_for(reader.read(9), 10)
    finally:
        writer.transport.abort()


def client_context(plane: SecurePlane, credential: Credential | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=plane.roots)
    if credential:
        load_identity(context, credential.chain.encode() + profile.key_pem(credential.key))
    return context


async def test_a_certificate_of_another_authority_is_refused_in_the_handshake(plane: SecurePlane) -> None:
    now, key = datetime.now(UTC), profile.new_key()
    foreign = offline_root()
    leaf = profile.leaf(foreign.intermediate, key.public_key(), WEB, now, now + timedelta(hours=1), ())
    chain = profile.pem(leaf, foreign.intermediate.certificate)
    assert await handshake(plane, client_context(plane, Credential(chain, key))) == b""
    assert await handshake(plane, client_context(plane)) != b"", "the same connection without it"


async def test_an_expired_certificate_is_refused_in_the_handshake(plane: SecurePlane) -> None:
    credential = await plane.issued(WEB, timedelta(seconds=1))
    await asyncio.sleep(1.1)
    assert await handshake(plane, client_context(plane, credential)) == b""


@pytest.mark.parametrize(
    "make",
    [
        lambda key, ca: profile.leaf(ca, key, identity.parse("spiffe://foreign/ns/a/sa/b"), *_life(), ()),
        lambda key, ca: profile.leaf(ca, key, identity.SpiffeId("cluster.local"), *_life(), ()),
        lambda key, ca: ca.certificate,
    ],
    ids=["foreign trust domain", "no path", "the signing certificate itself"],
)
async def test_a_certificate_of_ours_that_is_nobody_s_is_cut_off(plane: SecurePlane, make: Callable[..., Any]) -> None:
    signer = plane.security.issuing.authority._loaded.signer.signer  # type: ignore[attr-defined]
    key = profile.new_key()
    certificate = make(key.public_key(), signer)
    used = signer.key if certificate == signer.certificate else key
    assert await handshake(plane, client_context(plane, Credential(profile.pem(certificate), used))) == b""
    assert await handshake(plane, client_context(plane, await plane.web())) != b""


def _life() -> tuple[datetime, datetime]:
    now = datetime.now(UTC)
    return now - timedelta(minutes=5), now + timedelta(hours=1)


async def test_old_tls_is_refused(plane: SecurePlane) -> None:
    context = client_context(plane)
    with warnings.catch_warnings(action="ignore"):
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    assert await handshake(plane, context) == b""


async def test_the_server_is_who_it_says(plane: SecurePlane) -> None:
    context = client_context(plane)
    reader, writer = await asyncio.open_connection("127.0.0.1", plane.port, ssl=context, server_hostname="localhost")
    der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.transport.abort()
    del reader
    found = profile.spiffe_id(x509.load_der_x509_certificate(der))
    assert str(found) == "spiffe://cluster.local/ns/istio-system/sa/mesh-adapter"


async def test_strangers_are_few_and_short_and_disturb_nobody(plane: SecurePlane) -> None:
    """Connections that say nothing, and such that shake hands and go no further."""
    port = plane.security.port
    port._limits = Limits(handshake=0.5, unproven=0.5, per_address=20, in_all=20)
    credential = await plane.web()
    async with plane.channel(credential) as channel:
        await create_certificate(channel, csr(ec_key()))
        silent = [socket.create_connection(("127.0.0.1", plane.port)) for _ in range(100)]
        await create_certificate(channel, csr(ec_key()))
        assert port._unproven.total() <= 20
        await until(lambda: port.refused >= 80)
        await until(lambda: port._unproven.total() == 0)
        for each in silent:
            each.close()
        async with plane.channel() as stranger:
            with pytest.raises(grpc.aio.AioRpcError):
                await create_certificate(stranger, csr(ec_key()), metadata=())
            assert port._unproven.total() == 1
            await until(lambda: port._unproven.total() == 0)
        await create_certificate(channel, csr(ec_key()))


async def test_who_brought_evidence_may_stay(plane: SecurePlane) -> None:
    plane.security.port._limits = Limits(unproven=0.3)
    async with plane.channel() as channel:
        call = stream(channel, bearer(plane.join_token()))
        await speak(call, WEB_NODE)
        await until(lambda: len(plane.xds.connections()) == 1)
        await asyncio.sleep(0.6)
        assert len(plane.xds.connections()) == 1
        call.cancel()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


# -- xDS


async def test_a_stream_without_identity_ends_before_it_is_read(plane: SecurePlane) -> None:
    async with plane.channel() as channel:
        call = stream(channel)
        code, text = await refused(call.read())
    assert (code, "no identity" in text) == (UNAUTHENTICATED, True)
    assert plane.directory.nodes == []
    assert plane.xds.connections() == ()


async def test_a_stream_by_certificate(plane: SecurePlane) -> None:
    async with plane.channel(await plane.web()) as channel:
        call = stream(channel)
        await speak(call, WEB_NODE, {"SERVICE_ACCOUNT": "web"})
        await until(lambda: len(plane.xds.connections()) == 1)
        assert plane.xds.connections()[0].address == "127.0.0.1"
        call.cancel()


@pytest.mark.parametrize(
    ("node_id", "metadata"),
    [
        ("sidecar~10.0.0.1~web-1.prod~service.consul", {}),
        (WEB_NODE, {"NAMESPACE": "prod"}),
        (WEB_NODE, {"SERVICE_ACCOUNT": "admin"}),
        ("web", {"NAMESPACE": "prod"}),
    ],
    ids=range(4),
)
async def test_a_node_that_claims_to_be_another_is_denied(
    plane: SecurePlane, node_id: str, metadata: dict[str, str]
) -> None:
    async with plane.channel(await plane.web()) as channel:
        call = stream(channel)
        await speak(call, node_id, metadata)
        code, text = await refused(call.read())
    assert (code, "was admitted as 'web' of 'default'" in text) == (DENIED, True)
    assert plane.directory.nodes == []


async def test_the_plaintext_port_believes_as_before(plane: SecurePlane) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{plane.plain_port}") as channel:
        call = stream(channel)
        await speak(call, "sidecar~10.0.0.1~any.prod~service.consul")
        await until(lambda: len(plane.directory.nodes) == 1)
        call.cancel()


# -- rotation


async def test_connections_of_before_and_after_a_root_rotation(plane: SecurePlane) -> None:
    """Nobody who holds a live certificate is refused, at any step."""
    security = plane.security
    authority: Any = security.issuing.authority
    old_roots, old = plane.roots, await plane.web()
    authority.store.begin(datetime.now(UTC))
    await authority.refresh()
    security.issuing._compare()
    assert len(security.issuing.roots()) == 2
    authority.store.advance(timedelta(), datetime.now(UTC))
    await authority.refresh()
    security.issuing._compare()
    new = await plane.web()
    assert new.leaf.issuer != old.leaf.issuer
    for credential in (old, new):
        async with plane.channel(credential) as channel:
            await create_certificate(channel, csr(ec_key()))
    await security._own._renew()
    context = ssl.create_default_context(cadata=plane.roots)
    assert await handshake(plane, context)
    assert await handshake(plane, ssl.create_default_context(cadata=old_roots)) == b""
