"""Signed tokens as platforms and operators make them, honest and forged."""

from __future__ import annotations

import base64
import json

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature


def part(value: object) -> str:
    """JSON as a part of a token."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def es256(key: ec.EllipticCurvePrivateKey, claims: dict[str, object], header: dict[str, object] | None = None) -> str:
    """A token that `key` signed."""
    head = f"{part({'alg': 'ES256', 'typ': 'JWT'} | (header or {}))}.{part(claims)}"
    r, s = decode_dss_signature(key.sign(head.encode(), ec.ECDSA(hashes.SHA256())))
    signature = base64.urlsafe_b64encode(r.to_bytes(32, "big") + s.to_bytes(32, "big")).decode().rstrip("=")
    return f"{head}.{signature}"


def forgeries(token: str) -> dict[str, str]:
    """What comes of a good token in the hands of somebody who has no key; each has to be refused."""
    head, claims, signature = token.split(".")
    plain = json.loads(base64.urlsafe_b64decode(claims + "=="))
    other = part({**plain, "nomad_job_id": "admin", "sub": "system:serviceaccount:kube-system:admin"})
    return {
        "another signature": f"{head}.{claims}.{'A' * len(signature)}",
        "no signature": f"{head}.{claims}.",
        "algorithm none": f"{part({'alg': 'none', 'typ': 'JWT'})}.{claims}.{signature}",
        "algorithm none, unsigned": f"{part({'alg': 'none'})}.{claims}.",
        "algorithm HS256": f"{part({'alg': 'HS256', 'typ': 'JWT'})}.{claims}.{signature}",
        "other claims": f"{head}.{other}.{signature}",
        "cut short": token[:-10],
        "two parts": f"{head}.{claims}",
        "not base64": f"{head}.{claims}.!!!",
        "claims are a list": f"{head}.{part([1])}.{signature}",
        "huge": token + "A" * 20_000,
    }
