"""The key that JWT-SVIDs are signed by: a file of the control plane's, made at the first start.

Replicas share the file. A new key is laid beside the old one before it signs: `FILE.next` is published, and signs once
it has been renamed; `FILE.former` stays published for as long as tokens of it may live, until the operator removes it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from citadel import durable, jwk, profile

log = logging.getLogger(__name__)
NEXT, FORMER = ".next", ".former"


class JwtKeyError(ValueError):
    """A file that holds no key for JWT-SVIDs; the message names it and the mend."""


class JwtKey:
    """`load` before anything else, and again to see what an operator changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._key: ec.EllipticCurvePrivateKey | None = None
        self._published: Mapping[str, ec.EllipticCurvePublicKey] = {}

    def load(self) -> bool:
        """Whether the published keys changed. JwtKeyError or OSError: what was loaded before stays."""
        if not self._path.exists() and self._key is None:
            durable.make_folder(self._path.parent)
            durable.write(self._path, profile.key_pem(profile.new_key()))
            log.info("made a key for JWT-SVIDs: %s", self._path)
        own = _read(self._path)
        others = [self._path.with_name(self._path.name + each) for each in (NEXT, FORMER)]
        keys = [own, *(_read(each) for each in others if each.exists())]
        published = {jwk.key_id(each.public_key()): each.public_key() for each in keys}
        changed = published.keys() != self._published.keys()
        self._key, self._published = own, published
        return changed

    @property
    def key(self) -> ec.EllipticCurvePrivateKey:
        assert self._key is not None, "loaded first"
        return self._key

    @property
    def kid(self) -> str:
        return jwk.key_id(self.key.public_key())

    @property
    def published(self) -> Mapping[str, ec.EllipticCurvePublicKey]:
        """By key id: the one that signs, and those that did or will."""
        return self._published


def _read(path: Path) -> ec.EllipticCurvePrivateKey:
    if path.stat().st_mode & 0o077:
        raise JwtKeyError(f"{path} may be read by others: chmod 600 it")
    try:
        found = load_pem_private_key(path.read_bytes(), None)
    except (ValueError, TypeError):
        found = None
    if not isinstance(found, ec.EllipticCurvePrivateKey) or not isinstance(found.curve, ec.SECP256R1):
        raise JwtKeyError(f"{path} holds no EC P-256 key in PEM: restore it, or remove it for a new one")
    return found
