"""SPIFFE bundles: each MUST of the standard on what we write, and on what strangers send."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from citadel import jwk, profile
from citadel.jwk import BundleError
from tests.unit.citadel.agent.holders import root

ROOT = root().certificate
KEY = profile.new_key().public_key()
KID = jwk.key_id(KEY)
BUNDLE = jwk.bundle((ROOT,), {KID: KEY}, 7, 60)
DER = base64.b64encode(ROOT.public_bytes(serialization.Encoding.DER)).decode()


def test_entries_of_both_uses() -> None:
    document = json.loads(BUNDLE)
    first, second = document["keys"]
    assert (first["use"], first["x5c"], first["kty"], "kid" in first) == ("x509-svid", [DER], "EC", False)
    assert (second["use"], second["kid"], "x5c" in second) == ("jwt-svid", KID, False)
    assert (document["spiffe_sequence"], document["spiffe_refresh_hint"]) == (7, 60)


def test_what_is_written_is_read() -> None:
    found = jwk.read(BUNDLE)
    assert (found.roots, found.sequence, found.refresh_hint) == ((ROOT,), 7, 60)
    assert jwk.jwt_keys(found.jwt) == {KID: KEY}


def read(*entries: Any) -> jwk.Bundle:
    return jwk.read(json.dumps({"keys": list(entries)}).encode())


def test_no_keys_revokes_all() -> None:
    assert read() == jwk.Bundle((), b'{"keys":[]}')


def test_what_is_not_understood_is_passed_over() -> None:
    good = {"kty": "EC", "use": "x509-svid", "x5c": [DER]}
    odd = [{"kty": "EC", "use": "other"}, {"use": "x509-svid", "x5c": [DER]}, {"kty": "EC", "x5c": [DER]}, "x", 1]
    odd += [{"kty": "EC", "use": "x509-svid"}, {"kty": "EC", "use": "jwt-svid", "crv": "P-256"}]
    assert read(good, *odd).roots == (ROOT,)


def test_of_several_certificates_the_first_counts() -> None:
    assert read({"kty": "EC", "use": "x509-svid", "x5c": [DER, "garbage"]}).roots == (ROOT,)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "no JSON object"),
        (b"\xff", "no JSON object"),
        (b"[]", "no JSON object"),
        (b"[" * 100_000, "no JSON object"),
        (b"{}", "no list"),
        (b'{"keys": {}}', "no list"),
        (json.dumps({"keys": [{}] * 1001}).encode(), "more than 1000 keys"),
        (b" " * (1 << 21), "more than 1048576 bytes"),
        (b'{"keys": [{"kty": "EC", "use": "x509-svid", "x5c": ["AAAA"]}]}', "can't be read"),
    ],
    ids=range(9),
)
def test_what_is_no_bundle(data: bytes, reason: str) -> None:
    with pytest.raises(BundleError, match=reason):
        jwk.read(data)


@pytest.mark.parametrize(
    "entry",
    [
        {"kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA"},
        {"kty": "EC", "crv": "secp256k1", "x": "AAAA", "y": "AAAA"},
        {"kty": "RSA", "n": "AAAA", "e": "AQAB"},
        {"kty": "oct", "k": "AAAA"},
    ],
)
def test_keys_that_can_t_be_used_are_left_out(entry: dict[str, str]) -> None:
    assert jwk.jwt_keys(json.dumps({"keys": [{**entry, "kid": "k", "use": "jwt-svid"}]}).encode()) == {}
