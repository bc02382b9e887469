"""Signed tokens as platforms issue them (JWS, compact): taken apart strictly, verified where we hold the key. Pure."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from citadel.attest import LARGEST, EvidenceError

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""By keys of which the verifier needs no secret half: `none` and the HS family are no signatures of a platform."""
LEEWAY = timedelta(seconds=60)
_PART = re.compile(r"[A-Za-z0-9_-]+")
PublicKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey


@attrs.frozen
class Token:
    """A token taken apart; nothing in it is known to be true until its signature is."""

    algorithm: str
    claims: Mapping[str, Any] = attrs.field(repr=False)
    signed: bytes = attrs.field(repr=False)
    signature: bytes = attrs.field(repr=False)

    def text(self, name: str) -> str:
        """A claim that has to be a text, and has to be there."""
        found = self.claims.get(name)
        if not isinstance(found, str) or not found:
            raise EvidenceError(f"the token has no claim {name}")
        return found

    def check_time(self, now: datetime) -> None:
        """EvidenceError if it has ended or not begun, by `exp` and `nbf` where it has them."""
        ends, begins = _time(self.claims.get("exp")), _time(self.claims.get("nbf"))
        if ends is not None and now > ends + LEEWAY:
            raise EvidenceError(f"the token expired at {ends:%Y-%m-%d %H:%M:%S} UTC")
        if begins is not None and now < begins - LEEWAY:
            raise EvidenceError(f"the token is not valid before {begins:%Y-%m-%d %H:%M:%S} UTC")

    def audiences(self) -> tuple[str, ...]:
        found = self.claims.get("aud", ())
        return (
            (found,)
            if isinstance(found, str)
            else tuple(str(each) for each in found)
            if isinstance(found, list)
            else ()
        )

    def verify(self, key: PublicKey) -> None:
        """EvidenceError unless this key signed it, by the algorithm of the key."""
        try:
            if isinstance(key, ed25519.Ed25519PublicKey) and self.algorithm == "EdDSA":
                return key.verify(self.signature, self.signed)
            if isinstance(key, ec.EllipticCurvePublicKey) and self.algorithm == "ES256" and len(self.signature) == 64:
                r, s = (int.from_bytes(half, "big") for half in (self.signature[:32], self.signature[32:]))
                return key.verify(encode_dss_signature(r, s), self.signed, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            pass
        raise EvidenceError("the token is not signed by the key that it has to be signed by")


def take_apart(text: str) -> Token:
    """EvidenceError for anything but a signed compact token."""
    if len(text) > LARGEST:
        raise EvidenceError(f"the token has more than {LARGEST} bytes")
    parts = text.split(".")
    if len(parts) != 3 or not all(_PART.fullmatch(each) for each in parts):
        raise EvidenceError("not a signed token: three parts of base64url, separated by dots, are read")
    header, claims = _json(parts[0]), _json(parts[1])
    algorithm = header.get("alg")
    if algorithm not in ALGORITHMS:
        raise EvidenceError(f"the token's algorithm {str(algorithm)[:20]!r} is none that a platform signs with")
    if "crit" in header:
        raise EvidenceError("the token demands extensions (crit) that are not understood")
    return Token(str(algorithm), claims, f"{parts[0]}.{parts[1]}".encode(), _bytes(parts[2]))


def _json(part: str) -> dict[str, Any]:
    try:
        found = json.loads(_bytes(part))
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise EvidenceError("not a signed token: a part of it is no JSON object")
    return found


def _bytes(part: str) -> bytes:
    try:
        return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise EvidenceError("not a signed token: a part of it is no base64url") from None


def _time(value: object) -> datetime | None:
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < 1 << 40:
        raise EvidenceError("the token's time is no number of seconds")
    try:
        return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        raise EvidenceError("the token's time is out of range") from None
