"""The Vault authority against answers that a real Vault gives in states we can't bring ours into."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import requests

from citadel import identity
from citadel.authority import AuthorityError
from citadel.vault import ATTEMPTS, VaultAuthority
from citadel.vault_client import Login, explained
from tests.unit.citadel.requests import csr, ec_key
from tests.unit.citadel.scripted_vault import ScriptedVault

WEB = identity.workload("cluster.local", "default", "web")
HOUR = timedelta(hours=1)
REQUEST = csr(ec_key())
SECRET = "hvs.very-secret"


@pytest.fixture
async def vault() -> AsyncIterator[ScriptedVault]:
    async with ScriptedVault() as found:
        yield found


@pytest.fixture
async def authority(vault: ScriptedVault) -> AsyncIterator[VaultAuthority]:
    found = VaultAuthority(vault.url, Login(token=SECRET), in_flight=4)
    await found.start()
    yield found
    await found.close()


@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        (412, "not caught up with itself"),
        (429, "limiting the rate of requests"),
        (472, "a disaster recovery secondary"),
        (473, "a performance standby"),
        (500, "failing"),
        (501, "not initialized"),
        (502, "failing"),
        (503, "sealed"),
    ],
)
async def test_what_passes_is_tried_again_and_then_told(
    vault: ScriptedVault, authority: VaultAuthority, status: int, meaning: str
) -> None:
    vault.script = [(status, {"errors": ["no"]})]
    assert (await authority.sign(REQUEST, WEB, HOUR)).chain, "once is no failure"
    vault.script = [(status, {"errors": ["no"]})] * ATTEMPTS
    with pytest.raises(AuthorityError, match=f"Vault is {meaning}") as caught:
        await authority.sign(REQUEST, WEB, HOUR)
    assert caught.value.retry
    assert vault.script == []


async def test_what_does_not_pass_is_told_at_once(vault: ScriptedVault, authority: VaultAuthority) -> None:
    vault.script = [(400, {"errors": ["role requires keys of type rsa"]})]
    with pytest.raises(AuthorityError, match="role requires keys of type rsa") as caught:
        await authority.sign(REQUEST, WEB, HOUR)
    assert not caught.value.retry


async def test_the_issuer_is_named_in_each_request(vault: ScriptedVault, authority: VaultAuthority) -> None:
    """V7: the default issuer may be moved by others between two looks."""
    await authority.sign(REQUEST, WEB, HOUR)
    assert vault.paths[-1] == "mesh-pki/issuer/int/sign/mesh-adapter"


async def test_a_thousand_requests_after_an_outage_are_a_few_at_a_time(
    vault: ScriptedVault, authority: VaultAuthority
) -> None:
    found = await asyncio.gather(*(authority.sign(REQUEST, WEB, HOUR) for _ in range(200)))
    assert len(found) == vault.signed == 200
    assert vault.most_at_once <= 4


async def test_a_queue_that_is_full_says_so(authority: VaultAuthority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("citadel.vault.QUEUE", 3)
    found = await asyncio.gather(*(authority.sign(REQUEST, WEB, HOUR) for _ in range(10)), return_exceptions=True)
    refused_ones = [each for each in found if isinstance(each, AuthorityError)]
    assert len(refused_ones) == 7
    assert all(each.retry for each in refused_ones)


@pytest.mark.parametrize("answer", [{}, {"data": None}, {"data": {"certificate": "x"}}, {"data": {"certificate": 7}}])
async def test_an_answer_without_a_certificate(
    vault: ScriptedVault, authority: VaultAuthority, answer: dict[str, Any]
) -> None:
    vault.spoil = lambda _: answer
    with pytest.raises(AuthorityError, match="holds no certificate"):
        await authority.sign(REQUEST, WEB, HOUR)


async def test_a_certificate_for_another_key_is_not_handed_on(vault: ScriptedVault, authority: VaultAuthority) -> None:
    kept: list[dict[str, Any]] = []
    vault.spoil = lambda answer: kept.append(answer) or answer  # type: ignore[func-returns-value]
    await authority.sign(REQUEST, WEB, HOUR)
    vault.spoil = lambda _: kept[0]
    with pytest.raises(AuthorityError, match="another key"):
        await authority.sign(csr(ec_key()), WEB, HOUR)


def test_secrets_are_in_no_text() -> None:
    login = Login("approle", role_id="r", secret_id=SECRET, token=SECRET)
    assert SECRET not in repr(login)
    error = requests.ConnectionError(f"https://vault?token={SECRET}")
    assert SECRET not in str(explained("log in", error))
