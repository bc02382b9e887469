"""The operator's own word, for hosts that no platform knows: one-time join tokens, and statements that he signed.

A join token is made by `mesh-adapter cert join-token`, shown once, and kept as a hash in `join_tokens`, a folder with
one file a token. Using it takes the file away before anything is answered, so a token is good once, also for two at the
same moment and across a crash. A statement is a token (JWS, ES256 or EdDSA) signed by the operator's key, whose public
half is `public_key`: claims `namespace`, `service_account`, `aud` of `mesh-adapter` and `exp`; good until it ends.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from citadel import durable
from citadel.attest import Attested, EvidenceError, jws

AUDIENCE = "mesh-adapter"
_PREFIX = "join-"


class StaticAttestor:
    """`join_tokens` is the folder, `public_key` a PEM file; either may be left out, not both."""

    def __init__(
        self,
        join_tokens: str = "",
        public_key: str = "",
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        if not join_tokens and not public_key:
            raise ValueError("the attestor static needs join_tokens (a folder) or public_key (a PEM file)")
        self._folder = Path(join_tokens) if join_tokens else None
        self._key = _public_key(Path(public_key)) if public_key else None
        self._clock = clock

    async def check(self) -> None:
        """Nothing to ask: what was needed was read when it was made."""

    async def attest(self, evidence: str) -> Attested:
        if evidence.startswith(_PREFIX):
            return await asyncio.to_thread(self._redeem, evidence)
        return self._believe(evidence)

    async def close(self) -> None:
        """Nothing is held."""

    def _believe(self, evidence: str) -> Attested:
        token = jws.take_apart(evidence)
        if self._key is None:
            raise EvidenceError("signed statements are not taken here: the attestor static has no public_key")
        token.verify(self._key)
        if "exp" not in token.claims:
            raise EvidenceError("the statement never ends: give it an exp")
        token.check_time(self._clock())
        if AUDIENCE not in token.audiences():
            raise EvidenceError(f"the statement is not for {AUDIENCE}: say so in its aud")
        return Attested(token.text("namespace"), token.text("service_account"))

    def _redeem(self, evidence: str) -> Attested:
        if self._folder is None:
            raise EvidenceError("join tokens are not taken here: the attestor static has no join_tokens")
        path = self._folder / _name(evidence)
        try:
            kept = path.read_bytes()
            path.unlink()
        except OSError:
            raise EvidenceError("the join token is not known, or was used before") from None
        durable.sync_folder(self._folder)
        try:
            plain = json.loads(kept)
            ends = datetime.fromisoformat(plain["expires"])
            found = Attested(str(plain["namespace"]), str(plain["serviceAccount"]))
        except (ValueError, KeyError, TypeError):
            raise EvidenceError("what was kept of the join token is damaged: make another") from None
        if self._clock() >= ends:
            raise EvidenceError(f"the join token expired at {ends:%Y-%m-%d %H:%M:%S} UTC")
        return found


def new_join_token(folder: Path, attested: Attested, expires: datetime) -> str:
    """Makes a token and keeps its hash; the token itself is nowhere but in the answer."""
    durable.make_folder(folder)
    token = _PREFIX + secrets.token_urlsafe(32)
    plain = {
        "namespace": attested.namespace,
        "serviceAccount": attested.service_account,
        "expires": expires.isoformat(),
    }
    durable.write(folder / _name(token), json.dumps(plain).encode())
    return token


def _name(token: str) -> str:
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()


def _public_key(path: Path) -> jws.PublicKey:
    try:
        found = load_pem_public_key(path.read_bytes())
    except OSError as error:
        raise ValueError(f"public_key {path}: {error.strerror}") from None
    except ValueError:
        raise ValueError(f"public_key {path} holds no PEM public key") from None
    if not isinstance(found, ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey):
        raise ValueError(f"public_key {path} is neither EC P-256 nor Ed25519")
    return found
