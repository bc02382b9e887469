"""Who calls the control plane's secure port: by the certificate of the connection, or by evidence in the call.

Asked by the CSR service and by the xDS server before either reads a byte of what the caller says. A certificate decides
where there is one, and evidence beside it is not looked at; so a workload renews by what it has, and a stolen token
gives no other identity to a connection that has one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping

import attrs
import grpc

from citadel import identity
from citadel.attest import Attestor, AttestorAwayError, EvidenceError
from citadel.identity import IdentityError, SpiffeId, TrustDomains

log = logging.getLogger(__name__)

EVIDENCE = "x-mesh-adapter-evidence"
"""Metadata key that names the attestor for the bearer token; not needed where there is only one."""
SECONDS = 10.0
AT_ONCE = 64
"""Evidence that is checked at the same time; what waits longer than SECONDS is refused."""


class CallerError(Exception):
    """The caller is nobody we know, or can't be known now; `code` and text go to it."""

    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        super().__init__(details)
        self.code = code
        self.details = details


@attrs.frozen
class Peer:
    """The other end of a secure connection: its address, and what its certificate says, if it showed one.

    `vouched` is called when evidence of a caller without a certificate was good: the connection may stay.
    """

    address: str
    spiffe: SpiffeId | None = None
    vouched: Callable[[], None] = lambda: None


@attrs.frozen
class Caller:
    """Somebody whose identity is known, and by what: `certificate`, or the attestor's name."""

    address: str
    spiffe: SpiffeId
    by: str


class Callers:
    """`attestors` by name; `failed` is called for each caller that is refused."""

    def __init__(self, domains: TrustDomains, attestors: Mapping[str, Attestor], failed: Callable[[], None]) -> None:
        self._domains = domains
        self._attestors = attestors
        self._failed = failed
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def identify(self, peer: Peer, metadata: Iterable[tuple[str, str | bytes]]) -> Caller:
        """CallerError UNAUTHENTICATED or UNAVAILABLE."""
        try:
            return await self._identify(peer, dict(metadata))
        except CallerError as error:
            if error.code is grpc.StatusCode.UNAUTHENTICATED:
                self._failed()
                log.info("caller %s was refused: %s", peer.address, error.details)
            raise

    async def _identify(self, peer: Peer, metadata: Mapping[str, str | bytes]) -> Caller:
        if peer.spiffe is not None:
            return Caller(peer.address, peer.spiffe, "certificate")
        scheme, _, evidence = str(metadata.get("authorization") or "").partition(" ")
        if scheme.lower() != "bearer" or not evidence:
            raise _unauthenticated(
                "no identity: connect with a certificate of the mesh, or send authorization: Bearer TOKEN"
            )
        name, attestor = self._attestor(str(metadata.get(EVIDENCE) or ""))
        try:
            async with asyncio.timeout(SECONDS), self._slots:
                found = await attestor.attest(evidence.strip())
            spiffe = identity.workload(self._domains.own, found.namespace, found.service_account)
        except (EvidenceError, IdentityError) as error:
            raise _unauthenticated(f"{name}: {error}") from None
        except (AttestorAwayError, TimeoutError) as error:
            raise CallerError(grpc.StatusCode.UNAVAILABLE, f"{name}: {error or 'no answer in time'}") from None
        peer.vouched()
        return Caller(peer.address, spiffe, name)

    def _attestor(self, name: str) -> tuple[str, Attestor]:
        if not self._attestors:
            raise _unauthenticated("tokens are not taken here: this control plane has no --attest")
        if not name and len(self._attestors) == 1:
            return next(iter(self._attestors.items()))
        found = self._attestors.get(name)
        if found is None:
            known = ", ".join(self._attestors)
            raise _unauthenticated(f"{EVIDENCE} is {name[:40]!r}: it has to be one of {known}")
        return name, found


def _unauthenticated(details: str) -> CallerError:
    return CallerError(grpc.StatusCode.UNAUTHENTICATED, details)
