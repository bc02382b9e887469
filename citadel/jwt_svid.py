"""JWT-SVIDs: made for a workload by the control plane's key, and held against the keys of a trust domain. Pure.

spiffe.io's JWT-SVID.md. Keys of trust domains never mix: a token is held against those of its
subject's domain only.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import attrs
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from citadel import identity, jwk
from citadel.attest import EvidenceError, jws
from citadel.attest.jws import Token
from citadel.identity import IdentityError, SpiffeId

TTL = timedelta(minutes=5)
MOST_AUDIENCES, LONGEST_AUDIENCE = 16, 512
_HEADERS = frozenset({"alg", "kid", "typ"})
_HASHES = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}
_CURVES = {"256": ec.SECP256R1, "384": ec.SECP384R1, "512": ec.SECP521R1}


class JwtSvidError(ValueError):
    """Not a JWT-SVID that counts; the message says why, without the token."""


@attrs.frozen
class JwtSvid:
    """A token that was found valid."""

    spiffe: SpiffeId
    claims: Mapping[str, Any]


def make(key: ec.EllipticCurvePrivateKey, kid: str, spiffe: SpiffeId, audience: tuple[str, ...], now: datetime) -> str:
    """A token of ES256. JwtSvidError for audiences that can't be."""
    if not audience or len(audience) > MOST_AUDIENCES or not all(0 < len(a) <= LONGEST_AUDIENCE for a in audience):
        raise JwtSvidError(f"audience has to name 1 to {MOST_AUDIENCES}, each of at most {LONGEST_AUDIENCE} characters")
    header = {"alg": "ES256", "kid": kid, "typ": "JWT"}
    claims = {
        "sub": str(spiffe),
        "aud": list(audience),
        "exp": int((now + TTL).timestamp()),
        "iat": int(now.timestamp()),
    }
    signed = f"{_encoded(header)}.{_encoded(claims)}"
    r, s = decode_dss_signature(key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{signed}.{jwk.base64url(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def validate(text: str, audience: str, bundles: Mapping[str, bytes], now: datetime) -> JwtSvid:
    """The token, if it is for `audience` and signed by a key of its subject's trust domain; `bundles` are JWK Sets by
    the domain's id. JwtSvidError otherwise."""
    try:
        token = jws.take_apart(text)
        subject = identity.parse(token.text("sub"))
        _check_claims(token, audience, now)
    except (EvidenceError, IdentityError) as error:
        raise JwtSvidError(str(error)) from None
    kid = _kid(text)
    keys = bundles.get(str(SpiffeId(subject.trust_domain)))
    if keys is None:
        raise JwtSvidError(f"the keys of {subject.trust_domain} are not known here")
    key = jwk.jwt_keys(keys).get(kid)
    if key is None:
        raise JwtSvidError(f"no key {kid[:80]!r} of {subject.trust_domain} is known")
    if not _verified(token, key):
        raise JwtSvidError("it is not signed by the key that it names")
    return JwtSvid(subject, token.claims)


def _check_claims(token: Token, audience: str, now: datetime) -> None:
    if token.algorithm[:2] not in ("RS", "ES", "PS"):
        raise JwtSvidError(f"its algorithm {token.algorithm} is none of JWT-SVIDs")
    if "exp" not in token.claims:
        raise JwtSvidError("it has no exp")
    token.check_time(now)
    if audience not in token.audiences():
        raise JwtSvidError(f"it is not for {audience[:80]!r}")


def _kid(text: str) -> str:
    """From the header, which holds nothing but what JWT-SVIDs may have."""
    part = text.split(".")[0]
    header = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    odd = sorted(set(header) - _HEADERS)
    if odd:
        raise JwtSvidError(f"its header has {odd[0][:40]!r}, which JWT-SVIDs do not have")
    if header.get("typ", "JWT") not in ("JWT", "JOSE"):
        raise JwtSvidError("its typ is neither JWT nor JOSE")
    kid = header.get("kid")
    if not isinstance(kid, str) or not kid:
        raise JwtSvidError("it names no key (kid)")
    return kid


def _verified(token: Token, key: jwk.Key) -> bool:
    kind, bits = token.algorithm[:2], token.algorithm[2:]
    digest = _HASHES[bits]
    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            size = (key.curve.key_size + 7) // 8
            if kind != "ES" or not isinstance(key.curve, _CURVES[bits]) or len(token.signature) != 2 * size:
                return False
            r, s = (int.from_bytes(half, "big") for half in (token.signature[:size], token.signature[size:]))
            key.verify(encode_dss_signature(r, s), token.signed, ec.ECDSA(digest))
        elif kind == "RS":
            key.verify(token.signature, token.signed, padding.PKCS1v15(), digest)
        elif kind == "PS":
            key.verify(token.signature, token.signed, padding.PSS(padding.MGF1(digest), digest.digest_size), digest)
        else:
            return False
    except InvalidSignature:
        return False
    return True


def _encoded(value: Mapping[str, object]) -> str:
    return jwk.base64url(json.dumps(value, separators=(",", ":")).encode())
