"""What became of the responses of one type: for `proxy-status`, metrics and the log.

Sessions write it, the server reads it; nothing flows back from here.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable

import attrs

from pilot.xds.resource import Resource


class State(enum.Enum):
    """By the words of `istioctl proxy-status`, with NACKED set apart from STALE."""

    NOT_SENT = "NOT SENT"
    SYNCED = "SYNCED"
    STALE = "STALE"
    NACKED = "NACKED"


@attrs.frozen
class TypeStatus:
    """How one type stands on one stream. `error` and `culprits` stay until a later response is accepted."""

    type_url: str
    state: State
    sent_version: str
    sent_nonce: str
    acked_version: str
    error: str
    culprits: tuple[Resource, ...]
    acks: int
    nacks: int
    stale_nonces: int


@attrs.frozen
class Acked:
    type_url: str
    version: str


@attrs.frozen
class Nacked:
    """`culprits` are the resources that the error speaks of; empty when it names none."""

    type_url: str
    version: str
    error: str
    culprits: tuple[Resource, ...]


@attrs.frozen
class StaleNonce:
    type_url: str
    nonce: str


@attrs.frozen
class UnknownType:
    type_url: str


Event = Acked | Nacked | StaleNonce | UnknownType


def culprits(resources: Iterable[Resource], error: str) -> tuple[Resource, ...]:
    """The resources of a rejected response that its error names, or the only one there was.

    Envoy's texts name clusters, listeners and routes by their name somewhere in a sentence; a name counts only where it
    is not part of a longer one. Where none is named, what EnvoyFilters changed is suspected.
    """
    sent = tuple(resources)
    if len(sent) == 1:
        return sent
    named = tuple(each for each in sent if each.name in error and _named(each.name, error))
    return named or tuple(each for each in sent if each.patches)


def _named(name: str, text: str) -> bool:
    return re.search(rf"(?<![\w|-])(?<!\w[.:]){re.escape(name)}(?![\w|-]|[.:]\w)", text) is not None


@attrs.define(eq=False)
class Ledger:
    """The books of one type on one stream."""

    type_url: str
    sent_version: str = ""
    sent_nonce: str = ""
    acked_version: str = ""
    error: str = ""
    culprits: tuple[Resource, ...] = ()
    acks: int = 0
    nacks: int = 0
    stale_nonces: int = 0
    nacked: bool = False
    _count: int = 0

    def next_nonce(self) -> str:
        """Counts per type, so that streams with the same history send the same bytes (`cache.Encodings`)."""
        self._count += 1
        return str(self._count)

    def sent(self, version: str, nonce: str) -> None:
        self.sent_version, self.sent_nonce, self.nacked = version, nonce, False

    def acked(self, version: str) -> Acked:
        self.acked_version, self.error, self.culprits, self.nacked = version, "", (), False
        self.acks += 1
        return Acked(self.type_url, version)

    def rejected(self, version: str, error: str, causes: tuple[Resource, ...]) -> Nacked:
        self.error, self.culprits, self.nacked = error, causes, True
        self.nacks += 1
        return Nacked(self.type_url, version, error, causes)

    def stale(self, nonce: str) -> StaleNonce:
        self.stale_nonces += 1
        return StaleNonce(self.type_url, nonce)

    def status(self, awaiting: bool) -> TypeStatus:
        return TypeStatus(
            type_url=self.type_url,
            state=self._state(awaiting),
            sent_version=self.sent_version,
            sent_nonce=self.sent_nonce,
            acked_version=self.acked_version,
            error=self.error,
            culprits=self.culprits,
            acks=self.acks,
            nacks=self.nacks,
            stale_nonces=self.stale_nonces,
        )

    def _state(self, awaiting: bool) -> State:
        if self.nacked:
            return State.NACKED
        if awaiting:
            return State.STALE
        return State.SYNCED if self.acked_version else State.NOT_SENT
