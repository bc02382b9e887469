"""Secrets by name, for `credentialName` and the like: the contract of their sources, and what sources tell.

A source (files, Vault, Kubernetes) reads and tells what it finds as it is; `material` judges it, `ledger` keeps the
last good version. Consul's KV is no source: whoever may read the catalog's KV, and every backup of it, would have the
private keys.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

import attrs

NAMES = ("tls.crt", "cert", "tls.key", "key", "ca.crt", "cacert", "ca.crl", "crl")
"""Keys of a secret that count: Kubernetes' of type kubernetes.io/tls, and Istio's generic ones."""
LARGEST = 1 << 20
"""Bytes of one value; Kubernetes' limit of a whole secret."""


@attrs.frozen
class Found:
    """A secret as its source has it. `where` are coordinates for people."""

    namespace: str
    name: str
    data: Mapping[str, bytes] = attrs.field(repr=False)
    where: str


@attrs.frozen
class Gone:
    """It is not there any more; what is served of it stays."""

    namespace: str
    name: str


@attrs.frozen
class Broken:
    """It is there and can't be read."""

    namespace: str
    name: str
    where: str
    reason: str


@attrs.frozen
class Synced:
    """All that there is was told. Exactly once."""


@attrs.frozen
class Stale:
    """The source can't be read now; what it told stays in force."""

    reason: str


@attrs.frozen
class Fresh:
    """It can again, and all that changed meanwhile was told."""


Event = Found | Gone | Broken | Synced | Stale | Fresh


class SecretSource(Protocol):
    """One place where secrets are kept. Runs in a thread of its own.

    `watch` first tells all there is, then Synced exactly once, then differences for ever. It never raises for one bad
    secret, and never ends since the place is away: it tells Stale, then Fresh. No event, message or log line holds a
    private key but `Found.data`. `close` ends it, from any thread.
    """

    def watch(self) -> Iterator[Event]: ...

    def close(self) -> None: ...
