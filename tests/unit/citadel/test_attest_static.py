"""The operator's own word: join tokens that are good once, and statements that he signed."""

from __future__ import annotations

import base64
import os
import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from citadel.attest import ATTESTORS, Attested, EvidenceError, attestor_class, jws
from citadel.attest.static import StaticAttestor, new_join_token
from tests.unit.citadel.requests import ec_key
from tests.unit.citadel.tokens import es256, forgeries, part

NOW = datetime(2026, 6, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
WEB = Attested("default", "web")
CLAIMS: dict[str, object] = {
    "namespace": "default",
    "service_account": "web",
    "aud": "mesh-adapter",
    "exp": int((NOW + HOUR).timestamp()),
}


@pytest.fixture
def key() -> ec.EllipticCurvePrivateKey:
    return ec_key()


@pytest.fixture
def attestor(tmp_path: Path, key: ec.EllipticCurvePrivateKey) -> StaticAttestor:
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "key.pem").write_bytes(public)
    return StaticAttestor(str(tmp_path / "tokens"), str(tmp_path / "key.pem"), clock=lambda: NOW)


async def test_a_join_token_is_good_once_also_after_a_restart(tmp_path: Path, attestor: StaticAttestor) -> None:
    token = new_join_token(tmp_path / "tokens", WEB, NOW + HOUR)
    assert await attestor.attest(token) == WEB
    for each in (attestor, StaticAttestor(str(tmp_path / "tokens"), clock=lambda: NOW)):
        with pytest.raises(EvidenceError, match="not known, or was used before"):
            await each.attest(token)


async def test_a_join_token_that_came_too_late_is_gone_too(tmp_path: Path, attestor: StaticAttestor) -> None:
    token = new_join_token(tmp_path / "tokens", WEB, NOW)
    with pytest.raises(EvidenceError, match="expired"):
        await attestor.attest(token)
    assert os.listdir(tmp_path / "tokens") == []


def test_a_join_token_itself_is_kept_nowhere(tmp_path: Path) -> None:
    token = new_join_token(tmp_path / "tokens", WEB, NOW)
    (file,) = (tmp_path / "tokens").iterdir()
    assert token not in file.read_text() + file.name
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


async def test_a_signed_statement(attestor: StaticAttestor, key: ec.EllipticCurvePrivateKey) -> None:
    assert await attestor.attest(es256(key, CLAIMS)) == WEB


@pytest.mark.parametrize("name", forgeries(f"{part({})}.{part({})}.AAAAAAAAAAAAAAAA"))
async def test_a_forged_statement_is_refused(
    attestor: StaticAttestor, key: ec.EllipticCurvePrivateKey, name: str
) -> None:
    with pytest.raises(EvidenceError):
        await attestor.attest(forgeries(es256(key, CLAIMS))[name])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"exp": int((NOW - timedelta(seconds=61)).timestamp())}, "expired"),
        ({"exp": "soon"}, "no number of seconds"),
        ({"exp": True}, "no number of seconds"),
        ({"exp": 1e300}, "no number of seconds"),
        ({"exp": None}, "never ends|no number"),
        ({"nbf": int((NOW + timedelta(seconds=61)).timestamp())}, "not valid before"),
        ({"aud": "vault"}, "not for mesh-adapter"),
        ({"aud": ["vault", "nomad"]}, "not for mesh-adapter"),
        ({"aud": {"mesh-adapter": 1}}, "not for mesh-adapter"),
        ({"namespace": 7}, "no claim namespace"),
        ({"service_account": ""}, "no claim service_account"),
    ],
    ids=range(11),
)
async def test_a_statement_that_does_not_hold(
    attestor: StaticAttestor, key: ec.EllipticCurvePrivateKey, change: dict[str, object], reason: str
) -> None:
    claims = {name: value for name, value in (CLAIMS | change).items() if value is not None}
    with pytest.raises(EvidenceError, match=reason):
        await attestor.attest(es256(key, claims))


async def test_clocks_may_differ_by_a_minute(attestor: StaticAttestor, key: ec.EllipticCurvePrivateKey) -> None:
    claims = CLAIMS | {"exp": int((NOW - timedelta(seconds=59)).timestamp())}
    assert await attestor.attest(es256(key, claims)) == WEB


async def test_a_statement_of_another_operator(attestor: StaticAttestor) -> None:
    with pytest.raises(EvidenceError, match="not signed by the key"):
        await attestor.attest(es256(ec_key(), CLAIMS))


async def test_extensions_that_are_not_understood(attestor: StaticAttestor, key: ec.EllipticCurvePrivateKey) -> None:
    with pytest.raises(EvidenceError, match="crit"):
        await attestor.attest(es256(key, CLAIMS, {"crit": ["b64"], "b64": False}))


def test_a_deep_token_is_refused_and_not_followed() -> None:
    deep = base64.urlsafe_b64encode(b"[" * 9000).decode().rstrip("=")
    with pytest.raises(EvidenceError):
        jws.take_apart(f"{deep}.{part({})}.AAAA")


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda folder: StaticAttestor(), "needs join_tokens"),
        (lambda folder: StaticAttestor(public_key=str(folder / "none")), "No such file"),
        (lambda folder: StaticAttestor(public_key=str(_garbage(folder))), "holds no PEM public key"),
    ],
    ids=range(3),
)
def test_a_configuration_that_can_t_be(tmp_path: Path, make: Callable[[Path], StaticAttestor], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        make(tmp_path)


def _garbage(folder: Path) -> Path:
    (folder / "x.pem").write_text("garbage")
    return folder / "x.pem"


async def test_evidence_of_the_sort_that_is_not_configured(tmp_path: Path) -> None:
    only_tokens = StaticAttestor(join_tokens=str(tmp_path))
    with pytest.raises(EvidenceError, match="no public_key"):
        await only_tokens.attest(es256(ec_key(), CLAIMS))


@pytest.mark.parametrize("name", ATTESTORS)
def test_every_attestor_is_a_class(name: str) -> None:
    assert hasattr(attestor_class(name), "attest")


def test_an_unknown_attestor_lists_the_known() -> None:
    with pytest.raises(LookupError, match="known are consul, kubernetes, nomad, static"):
        attestor_class("acme")
