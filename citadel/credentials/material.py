"""What a secret holds, judged: a pair that fits together and can be shown, CAs, or neither. Pure; time is an argument.

Refuses what Envoy would refuse, so that a bad version never reaches a proxy. Messages say what is wrong and never quote
a key.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import attrs
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from citadel.credentials import LARGEST
from pilot.model.credential import Credential

_CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
_SHORTEST_RSA = 2048


class MaterialError(ValueError):
    """The secret can't be used; the message says why, and what to do."""


@attrs.frozen
class Material:
    """A usable secret; `not_after` is when the first of what it shows ends, None without a certificate."""

    credential: Credential
    not_after: datetime | None = None


def read(data: Mapping[str, bytes], now: datetime) -> Material:
    """MaterialError for a secret that can't be used now."""
    chain, key = _text(data, "tls.crt", "cert"), _text(data, "tls.key", "key")
    ca, crl = _text(data, "ca.crt", "cacert"), _text(data, "ca.crl", "crl")
    if not (chain or key or ca):
        raise MaterialError("it holds neither tls.crt with tls.key (or cert with key) nor ca.crt (or cacert)")
    if bool(chain) != bool(key):
        raise MaterialError(f"it has no {'tls.key' if chain else 'tls.crt'}: a certificate and its key go together")
    not_after = _check_pair(chain, key, now) if chain else None
    if ca:
        _check_cas(ca, now)
    if crl:
        _check_crl(crl)
    return Material(Credential(chain, key, ca, crl), not_after)


def _text(data: Mapping[str, bytes], *names: str) -> str:
    for name in names:
        found = data.get(name, b"")
        if len(found) > LARGEST:
            raise MaterialError(f"{name} has more than {LARGEST} bytes")
        if found.strip():
            try:
                return found.decode("ascii")
            except UnicodeDecodeError:
                raise MaterialError(f"{name} is not PEM: it holds other bytes than ASCII") from None
    return ""


def _check_pair(chain: str, key: str, now: datetime) -> datetime:
    leaf, *_ = certificates = _certificates(chain, "tls.crt")
    try:
        private = load_pem_private_key(key.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise MaterialError("tls.key is not an unencrypted private key in PEM") from None
    if isinstance(private, rsa.RSAPrivateKey):
        if private.key_size < _SHORTEST_RSA:
            raise MaterialError(
                f"tls.key has {private.key_size} bits: Envoy takes RSA keys of {_SHORTEST_RSA} and more"
            )
    elif not isinstance(private, ec.EllipticCurvePrivateKey) or not isinstance(private.curve, _CURVES):
        raise MaterialError("tls.key is neither RSA nor of the curves P-256, P-384, P-521: Envoy takes no other")
    if private.public_key() != leaf.public_key():
        raise MaterialError("tls.key is not the key of the first certificate in tls.crt: put that certificate first")
    not_after = min(each.not_valid_after_utc for each in certificates)
    if leaf.not_valid_after_utc <= now:
        raise MaterialError(f"tls.crt expired at {leaf.not_valid_after_utc.isoformat()}: renew it")
    return not_after


def _check_cas(ca: str, now: datetime) -> None:
    if all(each.not_valid_after_utc <= now for each in _certificates(ca, "ca.crt")):
        raise MaterialError("every certificate in ca.crt is expired")


def _check_crl(crl: str) -> None:
    try:
        x509.load_pem_x509_crl(crl.encode())
    except ValueError:
        raise MaterialError("ca.crl is not a revocation list in PEM") from None


def _certificates(text: str, name: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(text.encode())
    except ValueError:
        raise MaterialError(f"{name} holds no certificates in PEM, or one that can't be read") from None
