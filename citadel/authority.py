"""The contract of a certificate authority, and the registry of those we know.

Who attested an identity asks an authority for a certificate of it: `citadel.issuing` does, for every caller. Outside
packages add authorities by the entry point group `mesh_adapter.authorities` (`name = module:Class`).
"""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Protocol

import attrs
from cryptography import x509

from citadel.identity import SpiffeId


class AuthorityError(Exception):
    """The authority can't do what was asked; the message says what is wrong and how to mend it.

    `retry` tells whether the same may succeed later without anybody's doing (sealed, away, too many requests).
    """

    def __init__(self, message: str, *, retry: bool = False) -> None:
        super().__init__(message)
        self.retry = retry


@attrs.frozen
class Issued:
    """A signed leaf, its intermediates behind it, and no root. `not_after` is the leaf's own, whatever was asked."""

    chain: tuple[x509.Certificate, ...]

    @property
    def not_after(self) -> datetime:
        return self.chain[0].not_valid_after_utc


@attrs.frozen
class Signing:
    """Who signs at present: the signing certificate first, then those up to the root, and the root itself last."""

    chain: tuple[x509.Certificate, ...]


class Authority(Protocol):
    """Signs leaves. All methods are called from one event loop and never block it.

    `start` is called once before anything else; it raises AuthorityError if the authority can't sign and will not by
    itself, and returns if it is merely away for now.

    `sign` makes a leaf for exactly `spiffe` and the key of `csr`, whatever else the request asks for; `names` are DNS
    names and IP addresses that the control plane wants in its own certificate. The leaf lives for `ttl`, or less if the
    authority allows less or ends earlier itself. CsrError for a request that can't be signed, AuthorityError otherwise.
    May be called many times at once; repeating it makes another certificate and does no harm.

    `roots` are the certificates that every workload is to trust, the one that signs now among them; the last known
    ones while the authority is away, empty before anything is known. `signing` is who signs now, None if not known.

    `refresh` looks again whether roots or signer changed; it is called every few seconds. AuthorityError if it can't
    tell: what was known stays in force.
    """

    async def start(self) -> None: ...

    async def sign(self, csr: str | bytes, spiffe: SpiffeId, ttl: timedelta, names: tuple[str, ...] = ()) -> Issued: ...

    def roots(self) -> tuple[x509.Certificate, ...]: ...

    def signing(self) -> Signing | None: ...

    async def refresh(self) -> None: ...

    async def close(self) -> None: ...


AUTHORITIES: Mapping[str, str] = {
    "embedded": "citadel.embedded:EmbeddedAuthority",
    "vault": "citadel.vault:VaultAuthority",
}
ENTRY_POINTS = "mesh_adapter.authorities"


def authority_class(name: str) -> type[Authority]:
    """The class of the authority `name`; LookupError that lists the known names if there is none."""
    outside = {entry.name: entry.value for entry in importlib.metadata.entry_points(group=ENTRY_POINTS)}
    target = AUTHORITIES.get(name) or outside.get(name)
    if target is None:
        known = ", ".join(sorted({*AUTHORITIES, *outside}))
        raise LookupError(f"unknown authority {name!r}: known are {known}")
    module, _, attribute = target.partition(":")
    found: type[Authority] = getattr(importlib.import_module(module), attribute)
    return found
