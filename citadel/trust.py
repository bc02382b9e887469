"""Whom the mesh trusts, by trust domain: the own roots and JWT keys, and what federated domains publish.

Asked by the bundle service for each agent, and by the bundle endpoint for other trust domains. Bundles of different
domains stay apart here and everywhere after.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from citadel import jwk
from citadel.identity import SpiffeId
from citadel.issuing import Issuing
from citadel.jwk import Bundle
from citadel.jwt_key import JwtKey

REFRESH_HINT = 60
"""Seconds after which who federates with us should look again: a new root spreads for an hour before it signs."""


class Trust:
    """Belongs to one event loop. Bundles of foreign domains come by `federate`. `sequence` grows with each change, and
    over restarts, as it follows the clock."""

    def __init__(self, issuing: Issuing, key: JwtKey, clock: Callable[[], float] = time.time) -> None:
        self._issuing = issuing
        self._key = key
        self._foreign: dict[str, Bundle] = {}
        self._listeners: set[Callable[[], None]] = set()
        self._clock = clock
        self.sequence = int(clock())
        issuing.on_roots(self.changed)

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """`listener` is called after each change; what is returned ends that."""
        self._listeners.add(listener)
        return lambda: self._listeners.discard(listener)

    def changed(self) -> None:
        """Something of it is new: everybody who listens is told."""
        self.sequence = max(self.sequence + 1, int(self._clock()))
        for listener in tuple(self._listeners):
            listener()

    def federate(self, domain: str, found: Bundle) -> None:
        """Replaces what is known of the foreign domain."""
        if self._foreign.get(domain) != found:
            self._foreign[domain] = found
            self.changed()

    def x509(self) -> Mapping[str, bytes]:
        """Roots as DER, one behind the other, by the domain's id."""
        own = {str(SpiffeId(self._issuing.domains.own)): _der(self._issuing.roots())}
        return own | {str(SpiffeId(domain)): _der(each.roots) for domain, each in sorted(self._foreign.items())}

    def jwt(self) -> Mapping[str, bytes]:
        """JWK Sets of JWT keys alone, by the domain's id."""
        own = {str(SpiffeId(self._issuing.domains.own)): jwk.jwt_key_set(self._key.published)}
        return own | {str(SpiffeId(domain)): each.jwt for domain, each in sorted(self._foreign.items())}

    def bundle(self) -> bytes:
        """The own domain's, as its endpoint serves it."""
        return jwk.bundle(self._issuing.roots(), self._key.published, self.sequence, REFRESH_HINT)


def _der(roots: tuple[x509.Certificate, ...]) -> bytes:
    return b"".join(each.public_bytes(serialization.Encoding.DER) for each in roots)
