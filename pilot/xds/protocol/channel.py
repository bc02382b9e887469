"""One type on one stream: what was told, what is wanted, and so what there is to say.

The books are kept as one set, `told`, instead of a version per name: every wanted name was last told as it is in there.
So a change costs a stream no more than the names that changed (the comparison of two sets is shared, `cache.diff`).
What departs from that rule is listed by name: `again` is to be told whatever `told` says, `rejected` was told and
refused and goes along with the next change.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Self

import attrs

from pilot.xds import cache
from pilot.xds.protocol.status import Acked, Ledger, Nacked, culprits
from pilot.xds.protocol.subscription import Names
from pilot.xds.resource import Resource, ResourceSet


@attrs.frozen
class Due:
    """What is to be said. `fresh` are the names whose content the proxy does not have yet, as far as is known."""

    resources: tuple[Resource, ...]
    removed: tuple[str, ...] = ()
    fresh: tuple[str, ...] = ()


@attrs.frozen
class Sent:
    """A response that is on its way: what to make of its ACK or NACK."""

    version: str
    due: Due


@attrs.define(eq=False)
class Channel(ABC):
    """Common to both variants. `answer` means a request is open, which flow control must not keep waiting."""

    type_url: str
    names: Names
    ledger: Ledger
    told: ResourceSet
    again: set[str] = attrs.field(factory=set)
    rejected: set[str] = attrs.field(factory=set)
    answered: bool = False
    answer: bool = False
    outstanding: dict[str, Sent] = attrs.field(factory=dict)

    @classmethod
    def open(cls, type_url: str) -> Self:
        return cls(type_url, Names(type_url), Ledger(type_url), cache.EMPTY[type_url])

    @property
    def awaiting(self) -> bool:
        return bool(self.outstanding)

    @property
    def refused(self) -> bool:
        """Whether the proxy works with something older than what it was last told."""
        return self.ledger.nacked

    @abstractmethod
    def due(self, target: ResourceSet) -> Due | None:
        """What brings the proxy from `told` to `target`; None when there is nothing to say."""

    def is_quiet(self, target: ResourceSet) -> bool:
        """The short way out for the many types that a change does not touch."""
        return self.told is target and self.answered and not self.again and not self.answer

    def settle(self, target: ResourceSet) -> None:
        """There was nothing to say: the proxy holds what it wants of `target`."""
        self.advance(target)

    def advance(self, target: ResourceSet) -> None:
        self.told = target
        self.answer = False
        self.again.clear()

    def send(self, due: Due, target: ResourceSet) -> str:
        """Books the response and returns its nonce."""
        nonce = self.ledger.next_nonce()
        self.outstanding[nonce] = Sent(target.version, due)
        self.ledger.sent(target.version, nonce)
        self.advance(target)
        self.answered = True
        self.rejected.clear()
        return nonce

    def ack(self, sent: Sent) -> Acked:
        return self.ledger.acked(sent.version)

    def nack(self, sent: Sent, error: str) -> Nacked:
        """A refused response may have been refused whole, so all of it is owed again, but for what the error names.

        The named ones are not repeated until they change: they would take the innocent down with them once more.
        """
        causes = culprits(sent.due.resources, error)
        named = {each.name for each in causes}
        self.rejected.update(name for name in (*sent.due.fresh, *sent.due.removed) if name not in named)
        return self.ledger.rejected(sent.version, error, causes)
