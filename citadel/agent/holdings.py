"""What the agent holds for its workload at one moment: its certificate with the key, and whom it trusts. Pure.

`keeper` replaces it as a whole at each change; the SDS and the Workload API read it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType

import attrs
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from citadel import profile
from citadel.identity import SpiffeId
from citadel.profile import PrivateKey, ProfileError

NOBODY: Mapping[str, bytes] = MappingProxyType({})


@attrs.frozen
class Svid:
    """An X.509-SVID: the leaf first, its intermediates behind it, no root."""

    spiffe: SpiffeId
    chain: tuple[x509.Certificate, ...]
    key: PrivateKey = attrs.field(repr=False)

    @property
    def not_after(self) -> datetime:
        return self.chain[0].not_valid_after_utc

    @property
    def chain_der(self) -> bytes:
        return b"".join(each.public_bytes(serialization.Encoding.DER) for each in self.chain)

    @property
    def key_der(self) -> bytes:
        """PKCS#8, as the Workload API has it."""
        return self.key.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )


@attrs.frozen
class Holdings:
    """`x509` has the trusted roots of each trust domain as DER, one behind the other, by its id (`spiffe://DOMAIN`);
    `jwt` the keys that JWT-SVIDs are signed by, as a JWK Set."""

    svid: Svid | None = None
    x509: Mapping[str, bytes] = NOBODY
    jwt: Mapping[str, bytes] = NOBODY

    @property
    def own_domain(self) -> str:
        """The id of the own trust domain; empty before there is a certificate."""
        return str(SpiffeId(self.svid.spiffe.trust_domain)) if self.svid else ""

    @property
    def own_roots(self) -> bytes:
        return self.x509.get(self.own_domain, b"")


def svid(chain: tuple[x509.Certificate, ...], key: PrivateKey) -> Svid:
    """ProfileError unless the leaf is an X.509-SVID of this key."""
    if not chain:
        raise ProfileError("the chain is empty")
    if chain[0].public_key() != key.public_key():
        raise ProfileError("it is for another key")
    return Svid(profile.spiffe_id(chain[0]), chain, key)


def roots_der(roots: tuple[x509.Certificate, ...]) -> bytes:
    return b"".join(each.public_bytes(serialization.Encoding.DER) for each in roots)


def certificates(der: bytes) -> tuple[x509.Certificate, ...]:
    """Certificates that stand one behind the other. ValueError for anything else."""
    found = []
    while der:
        end = _end_of_sequence(der)
        found.append(x509.load_der_x509_certificate(der[:end]))
        der = der[end:]
    return tuple(found)


def _end_of_sequence(der: bytes) -> int:
    """Where the first DER sequence ends (X.690, 8.1.3: a length in one byte, or in as many as the byte says)."""
    if len(der) < 2 or der[0] != 0x30:
        raise ValueError("not a certificate in DER")
    count = der[1] & 0x7F if der[1] & 0x80 else 0
    length = int.from_bytes(der[2 : 2 + count], "big") if count else der[1]
    end = 2 + count + length
    if count > 3 or end > len(der):
        raise ValueError("a certificate in DER that is cut off")
    return end
