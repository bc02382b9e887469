"""Certificate requests: what is read of them, and what of hostile ones is refused before it costs anything."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from citadel.csr import LARGEST, CsrError, read_csr
from citadel.profile import PrivateKey
from tests.unit.citadel.requests import FORGED_NAMES, csr, ec_key, rsa_key, with_bad_signature


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()], ids=lambda each: str(each.name))
def test_a_key_on_a_curve_of_tls_is_taken(curve: ec.EllipticCurve) -> None:
    key = ec_key(curve)
    assert read_csr(csr(key)).key == key.public_key()


def test_an_rsa_key_is_taken() -> None:
    key = rsa_key()
    assert read_csr(csr(key).encode()).key == key.public_key()


def test_only_the_key_is_kept() -> None:
    key = ec_key()
    found = read_csr(csr(key, *FORGED_NAMES[0], common_name="admin", ca=True))
    assert found.key == key.public_key()
    assert read_csr(found.pem) == found


def _rsa_512() -> str:
    """No library makes a key that small any more: its request, written down."""
    numbers = rsa.RSAPublicNumbers(65537, (1 << 511) + 187)
    spki = numbers.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    body = b"\x02\x01\x00" + b"\x30\x00" + spki + b"\xa0\x00"
    info = b"\x30" + _length(body) + body
    algorithm = bytes.fromhex("300d06092a864886f70d01010b0500")
    signature = b"\x03\x41\x00" + b"\x01" * 64
    whole = info + algorithm + signature
    return _pem(b"\x30" + _length(whole) + whole)


def _length(body: bytes) -> bytes:
    return bytes([len(body)]) if len(body) < 128 else b"\x82" + len(body).to_bytes(2, "big")


def _pem(der: bytes) -> str:
    return f"-----BEGIN CERTIFICATE REQUEST-----\n{base64.encodebytes(der).decode()}-----END CERTIFICATE REQUEST-----\n"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "exactly one PEM block"),
        ("hello", "exactly one PEM block"),
        ("-----BEGIN CERTIFICATE REQUEST-----\n!!\n-----END CERTIFICATE REQUEST-----", "can be read"),
        (_pem(b"\x30\x03\x02\x01\x00"), "can be read"),
        ("x" * (LARGEST + 1), "at most"),
        ("-----BEGIN CERTIFICATE REQUEST-----\n" + "A" * (10 << 20), "at most"),
        (csr(ec_key()) + csr(ec_key()), "exactly one PEM block"),
        (csr(ec_key()) + "trailing garbage", "exactly one PEM block"),
        ("leading garbage" + csr(ec_key()), "exactly one PEM block"),
        (with_bad_signature(csr(ec_key())), "not signed by its own key"),
        (csr(ec_key(ec.SECP256K1())), "secp256k1"),
        (csr(ec_key(ec.SECP224R1())), "secp224r1"),
        (csr(ed25519.Ed25519PrivateKey.generate()), "EC P-256"),
        (csr(rsa_key(1024)), "1024 bits"),
        (_rsa_512(), "512 bits|can be read"),
        ("\ud800", "exactly one PEM block"),
    ],
    ids=range(16),
)
def test_a_request_that_is_none_is_refused(text: str, reason: str) -> None:
    with pytest.raises(CsrError, match=reason):
        read_csr(text)


def test_garbage_inside_the_block_is_refused() -> None:
    key: PrivateKey = ec_key()
    der = base64.b64decode("".join(csr(key).splitlines()[1:-1]))
    with pytest.raises(CsrError, match="can be read"):
        read_csr(_pem(der + b"garbage"))


def test_an_enormous_rsa_key_is_refused_by_its_size() -> None:
    numbers = rsa.RSAPublicNumbers(65537, (1 << 16383) + 1)
    spki = numbers.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    body = b"\x02\x01\x00" + b"\x30\x00" + spki + b"\xa0\x00"
    info = b"\x30" + _length(body) + body
    whole = info + bytes.fromhex("300d06092a864886f70d01010b0500") + b"\x03\x82\x08\x01\x00" + b"\x01" * 2048
    with pytest.raises(CsrError, match=r"16384 bits|can be read"):
        read_csr(_pem(b"\x30" + _length(whole) + whole))
