"""JWT-SVIDs: each MUST of the standard, and what an attacker would try."""

from __future__ import annotations

import base64
import hmac
import json
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from citadel import jwk, jwt_svid, profile
from citadel.jwt_svid import JwtSvidError
from tests.unit.citadel.agent.holders import NOW, WEB

KEY = profile.new_key()
KID = jwk.key_id(KEY.public_key())
BUNDLES = {"spiffe://cluster.local": jwk.jwt_key_set({KID: KEY.public_key()})}
GOOD = jwt_svid.make(KEY, KID, WEB, ("db",), NOW)
CLAIMS: dict[str, Any] = {"sub": str(WEB), "aud": ["db"], "exp": NOW.timestamp() + 60}


def signed(header: dict[str, Any] | None = None, claims: dict[str, Any] | None = None, key: Any = KEY) -> str:
    head = {"alg": "ES256", "kid": KID, "typ": "JWT"} | (header or {})
    body = CLAIMS | (claims or {})
    parts = [{k: v for k, v in each.items() if v is not None} for each in (head, body)]
    text = ".".join(jwk.base64url(json.dumps(each).encode()) for each in parts)
    r, s = decode_dss_signature(key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{text}.{jwk.base64url(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def test_what_is_made_is_valid() -> None:
    found = jwt_svid.validate(GOOD, "db", BUNDLES, NOW)
    assert found.spiffe == WEB
    assert found.claims["exp"] == NOW.timestamp() + 300


def hs256_by_the_public_key() -> str:
    public = KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    head, body, _ = signed({"alg": "HS256"}).split(".")
    return f"{head}.{body}.{jwk.base64url(hmac.digest(public, f'{head}.{body}'.encode(), 'sha256'))}"


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        (signed({"alg": "none"}), "none that a platform signs with"),
        (f"{signed({'alg': 'none'}).rpartition('.')[0]}.", "three parts"),
        (hs256_by_the_public_key(), "none that a platform signs with"),
        (signed({"alg": "EdDSA"}), "none of JWT-SVIDs"),
        (signed({"alg": "RS256"}), "not signed by the key"),
        (signed({"alg": "ES384"}), "not signed by the key"),
        (signed({"jku": "http://evil"}), "jku"),
        (signed({"crit": ["x"]}), "crit"),
        (signed({"typ": "at+jwt"}), "typ"),
        (signed({"kid": None}), "names no key"),
        (signed({"kid": "other"}), "no key 'other'"),
        (signed({}, {"sub": None}), "no claim sub"),
        (signed({}, {"sub": "https://web"}), "not a SPIFFE id"),
        (signed({}, {"sub": "spiffe://other.org/ns/default/sa/web"}), "keys of other.org are not known"),
        (signed({}, {"aud": None}), "not for 'db'"),
        (signed({}, {"aud": ["web"]}), "not for 'db'"),
        (signed({}, {"exp": None}), "no exp"),
        (signed({}, {"exp": NOW.timestamp() - 120}), "expired"),
        (signed({}, {"exp": "tomorrow"}), "no number"),
        (signed({}, {"nbf": NOW.timestamp() + 120}), "not valid before"),
        (signed(key=profile.new_key()), "not signed by the key"),
        (GOOD[:-4] + "AAAA", "not signed by the key"),
        ("x" * 20_000, "more than"),
        ("a.b.c.d.e", "three parts"),
    ],
    ids=range(24),
)
def test_what_is_not_valid(token: str, reason: str) -> None:
    with pytest.raises(JwtSvidError, match=reason):
        jwt_svid.validate(token, "db", BUNDLES, NOW)


def test_a_key_of_another_domain_does_not_count() -> None:
    """A foreign domain's authority may sign for its own ids only."""
    foreign = profile.new_key()
    kid = jwk.key_id(foreign.public_key())
    bundles = {**BUNDLES, "spiffe://other.org": jwk.jwt_key_set({kid: foreign.public_key()})}
    with pytest.raises(JwtSvidError, match="no key"):
        jwt_svid.validate(signed({"kid": kid}, key=foreign), "db", bundles, NOW)
    ours = signed({"kid": kid}, {"sub": "spiffe://other.org/web"}, key=foreign)
    assert str(jwt_svid.validate(ours, "db", bundles, NOW).spiffe) == "spiffe://other.org/web"


@pytest.mark.parametrize("algorithm", ["RS256", "RS512", "PS256", "PS384"])
def test_foreign_domains_may_sign_by_rsa(algorithm: str) -> None:
    key = rsa.generate_private_key(65537, 2048)
    numbers = key.public_key().public_numbers()
    entry = {
        "kty": "RSA",
        "use": "jwt-svid",
        "kid": "r",
        "e": jwk.base64url(numbers.e.to_bytes(3, "big")),
        "n": jwk.base64url(numbers.n.to_bytes(256, "big")),
    }
    claims = {**CLAIMS, "sub": "spiffe://other.org/web"}
    text = ".".join(jwk.base64url(json.dumps(each).encode()) for each in ({"alg": algorithm, "kid": "r"}, claims))
    digest = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}[algorithm[2:]]
    pad = padding.PKCS1v15() if algorithm.startswith("RS") else padding.PSS(padding.MGF1(digest), digest.digest_size)
    token = f"{text}.{jwk.base64url(key.sign(text.encode(), pad, digest))}"
    bundles = {"spiffe://other.org": json.dumps({"keys": [entry]}).encode()}
    assert jwt_svid.validate(token, "db", bundles, NOW + timedelta(seconds=1)).spiffe.trust_domain == "other.org"


@pytest.mark.parametrize("audience", [(), ("",), ("x" * 513,), ("a",) * 17])
def test_audiences_that_can_t_be(audience: tuple[str, ...]) -> None:
    with pytest.raises(JwtSvidError, match="audience"):
        jwt_svid.make(KEY, KID, WEB, audience, NOW)


def test_the_header_has_nothing_but_what_it_may() -> None:
    head = GOOD.split(".")[0]
    assert json.loads(base64.urlsafe_b64decode(head + "==")) == {"alg": "ES256", "kid": KID, "typ": "JWT"}
