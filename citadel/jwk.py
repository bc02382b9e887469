"""SPIFFE bundles: JWK Sets of what a trust domain's SVIDs are signed by. Pure.

spiffe.io's SPIFFE_Trust_Domain_and_Bundle.md, section 4: entries for X.509-SVIDs hold one certificate and no key id,
those for JWT-SVIDs have one; what is not understood is passed over. Written for the bundle endpoint and the Workload
API, read from other trust domains' endpoints, so that strangers' input is bounded here.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from typing import Any

import attrs
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

Key = ec.EllipticCurvePublicKey | rsa.RSAPublicKey
LARGEST = 1 << 20
MOST_KEYS = 1000
_CURVES: Mapping[str, type[ec.EllipticCurve]] = {"P-256": ec.SECP256R1, "P-384": ec.SECP384R1, "P-521": ec.SECP521R1}
_NAMES = {cls().name: name for name, cls in _CURVES.items()}


class BundleError(ValueError):
    """No bundle that can be used; the message says why."""


@attrs.frozen
class Bundle:
    """`jwt` is a JWK Set of the JWT keys alone, as the Workload API hands it on."""

    roots: tuple[x509.Certificate, ...]
    jwt: bytes
    sequence: int = 0
    refresh_hint: int = 0


def jwt_key_set(keys: Mapping[str, ec.EllipticCurvePublicKey]) -> bytes:
    """By key id."""
    return _text({"keys": [_jwt_entry(kid, key) for kid, key in keys.items()]})


def bundle(
    roots: tuple[x509.Certificate, ...], keys: Mapping[str, ec.EllipticCurvePublicKey], sequence: int, refresh_hint: int
) -> bytes:
    """The whole bundle as a bundle endpoint serves it."""
    entries = [_x509_entry(each) for each in roots] + [_jwt_entry(kid, key) for kid, key in keys.items()]
    return _text({"keys": entries, "spiffe_sequence": sequence, "spiffe_refresh_hint": refresh_hint})


def key_id(key: ec.EllipticCurvePublicKey) -> str:
    """RFC 7638's thumbprint: the same key has the same name everywhere."""
    return base64url(hashlib.sha256(json.dumps(_public(key), sort_keys=True, separators=(",", ":")).encode()).digest())


def read(data: bytes) -> Bundle:
    """BundleError for what is none."""
    document = _document(data)
    roots, keys = [], []
    for entry in _entries(document):
        use = entry.get("use")
        if use == "x509-svid":
            roots.extend(_root(entry))
        elif use == "jwt-svid" and isinstance(entry.get("kid"), str) and entry["kid"]:
            keys.append(entry)
    return Bundle(
        tuple(roots),
        _text({"keys": keys}),
        _number(document, "spiffe_sequence"),
        _number(document, "spiffe_refresh_hint"),
    )


def jwt_keys(data: bytes) -> Mapping[str, Key]:
    """Keys of JWT-SVIDs by their id, as far as they can be read; none from what is no JWK Set."""
    found: dict[str, Key] = {}
    try:
        entries = _entries(_document(data))
    except BundleError:
        return found
    for entry in entries:
        key = _key(entry)
        if entry.get("use", "jwt-svid") == "jwt-svid" and isinstance(entry.get("kid"), str) and key is not None:
            found[entry["kid"]] = key
    return found


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _document(data: bytes) -> dict[str, Any]:
    if len(data) > LARGEST:
        raise BundleError(f"it has more than {LARGEST} bytes")
    try:
        found = json.loads(data.decode())
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise BundleError("it is no JSON object")
    return found


def _entries(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    entries = document.get("keys")
    if not isinstance(entries, list):
        raise BundleError("it has no list `keys`")
    if len(entries) > MOST_KEYS:
        raise BundleError(f"it has more than {MOST_KEYS} keys")
    return [each for each in entries if isinstance(each, dict) and each.get("kty")]


def _root(entry: Mapping[str, Any]) -> list[x509.Certificate]:
    """The first certificate; of an entry without one, nothing."""
    chain = entry.get("x5c")
    if not isinstance(chain, list) or not chain or not isinstance(chain[0], str):
        return []
    try:
        return [x509.load_der_x509_certificate(base64.b64decode(chain[0], validate=True))]
    except ValueError:
        raise BundleError("a certificate in it (x5c) can't be read") from None


def _number(document: Mapping[str, Any], name: str) -> int:
    found = document.get(name, 0)
    return found if isinstance(found, int) and not isinstance(found, bool) and found >= 0 else 0


def _key(entry: Mapping[str, Any]) -> Key | None:
    try:
        if entry["kty"] == "EC" and entry["crv"] in _CURVES:
            x, y = (_integer(entry[name]) for name in ("x", "y"))
            return ec.EllipticCurvePublicNumbers(x, y, _CURVES[entry["crv"]]()).public_key()
        if entry["kty"] == "RSA":
            modulus = _integer(entry["n"])
            if not 2048 <= modulus.bit_length() <= 8192:
                return None
            return rsa.RSAPublicNumbers(_integer(entry["e"]), modulus).public_key()
    except (KeyError, TypeError, ValueError, binascii.Error):
        return None
    return None


def _integer(text: str) -> int:
    return int.from_bytes(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), "big")


def _x509_entry(root: x509.Certificate) -> dict[str, Any]:
    key = root.public_key()
    public = _public(key) if isinstance(key, Key) else {}
    der = root.public_bytes(serialization.Encoding.DER)
    return {**public, "use": "x509-svid", "x5c": [base64.b64encode(der).decode()]}


def _jwt_entry(kid: str, key: ec.EllipticCurvePublicKey) -> dict[str, Any]:
    return {**_public(key), "use": "jwt-svid", "kid": kid}


def _public(key: Key) -> dict[str, Any]:
    if isinstance(key, rsa.RSAPublicKey):
        numbers = key.public_numbers()
        return {"kty": "RSA", "e": _minimal(numbers.e), "n": _minimal(numbers.n)}
    size, point = (key.curve.key_size + 7) // 8, key.public_numbers()
    x, y = (base64url(each.to_bytes(size, "big")) for each in (point.x, point.y))
    return {"crv": _NAMES[key.curve.name], "kty": "EC", "x": x, "y": y}


def _minimal(number: int) -> str:
    return base64url(number.to_bytes((number.bit_length() + 7) // 8, "big"))


def _text(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
