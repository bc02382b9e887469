"""State of the world: a request lists all names of its type, a response is at one version of its type.

xds_protocol.rst, "SotW". LDS and CDS responses are the full state, absence means gone; EDS and RDS responses carry what
changed or was newly asked for, absence means nothing.
"""

from __future__ import annotations

import attrs

from pilot.xds import cache
from pilot.xds.protocol.channel import Channel, Due, Sent
from pilot.xds.protocol.messages import DiscoveryRequest, Response
from pilot.xds.protocol.session import Session
from pilot.xds.protocol.status import Nacked
from pilot.xds.protocol.subscription import FULL_STATE
from pilot.xds.resource import Resource, ResourceSet


@attrs.define(eq=False)
class SotwChannel(Channel):
    """`claimed` is the version a proxy says on its first request to hold from an earlier stream."""

    claimed: str = ""

    def due(self, target: ResourceSet) -> Due | None:
        if self.names.nothing or self._holds_already(target):
            return None
        difference = cache.diff(self.told, target)
        changed = self.names.within(difference.changed)
        if self.type_url in FULL_STATE:
            return self._full(target, changed, self.names.within(difference.removed))
        return self._partial(target, changed)

    def _holds_already(self, target: ResourceSet) -> bool:
        """On a new stream, the same version of everything need not be sent again; of names it must be, for the version
        does not say which of them the proxy has ("Resource types ... when the stream is re-created")."""
        return (
            not self.answered
            and bool(self.claimed)
            and self.claimed == target.version
            and self.names.wildcard
            and not self.names.explicit
            and self.type_url in FULL_STATE
        )

    def settle(self, target: ResourceSet) -> None:
        if self._holds_already(target):
            self.answered = True
            self.ledger.acked_version = self.ledger.sent_version = target.version
        super().settle(target)

    def _full(self, target: ResourceSet, changed: list[str], removed: list[str]) -> Due | None:
        if not (changed or removed or self.answer or self.again):
            return None
        fresh = {*changed, *self.names.within(self.rejected), *self.names.within(self.again)}
        resources = cache.contents(target) if self.names.wildcard else _pick(target, self.names.explicit)
        return Due(resources, fresh=tuple(sorted(fresh)))

    def _partial(self, target: ResourceSet, changed: list[str]) -> Due | None:
        names = {*changed, *self.names.within(self.again)} if self.again else set(changed)
        if changed and self.rejected:
            names.update(self.names.within(self.rejected))
        resources = _pick(target, names)
        return Due(resources, fresh=tuple(each.name for each in resources)) if resources else None

    def apply(self, request: DiscoveryRequest) -> None:
        """Takes over the names; what is newly named is told again even if it was before and did not change."""
        before = self.names.explicit
        gained = self.names.replace(request.resource_names)
        anew = not request.response_nonce and not request.version_info
        if not self.answered:
            self.claimed = request.version_info
        if anew or not self.answered:
            self._ask_for_everything()
        elif gained:
            self.again.update(self.names.explicit - before)
            self.answer = True

    def _ask_for_everything(self) -> None:
        """A first request, or one that says it holds nothing although it was told: the stream starts over for it."""
        self.answer = True
        self.told = cache.EMPTY[self.type_url]
        self.again.update(self.names.explicit)

    def nack(self, sent: Sent, error: str) -> Nacked:
        """A full response is repeated whole by the next version, so nobody needs to be spared; but whatever was new in
        the refused one is new to the proxy when it comes again."""
        refused = super().nack(sent, error)
        if self.type_url in FULL_STATE:
            self.rejected.update(sent.due.fresh)
        return refused


def _pick(target: ResourceSet, names: set[str] | frozenset[str]) -> tuple[Resource, ...]:
    return tuple(target.resources[name] for name in sorted(names) if name in target.resources)


class SotwSession(Session[DiscoveryRequest, SotwChannel, Response]):
    """One state-of-the-world stream."""

    def request(self, request: DiscoveryRequest) -> tuple[Response, ...]:
        """What to send for a request; often nothing: an ACK, a stale nonce, a name that does not exist."""
        type_url = self._type_of(request.type_url)
        if type_url is None:
            return ()
        channel = self._channel(type_url)
        if self._is_stale(channel, request):
            return ()
        if request.response_nonce in channel.outstanding:
            self._verdict(channel, request.response_nonce, request.error_detail)
            channel.outstanding.clear()
        channel.apply(request)
        return self._speak()

    def _is_stale(self, channel: SotwChannel, request: DiscoveryRequest) -> bool:
        """An answer to a response that another one has overtaken: the proxy will answer that one too, so wait for it.

        A nonce before anything was sent is from an earlier stream, and the request is a first one.
        """
        nonce = request.response_nonce
        if not nonce or not channel.ledger.sent_nonce or nonce == channel.ledger.sent_nonce:
            return False
        self._events.append(channel.ledger.stale(nonce))
        overtaken = channel.outstanding.pop(nonce, None)
        if overtaken is not None and request.error_detail is not None:
            channel.rejected.update(overtaken.due.fresh)
        return True

    def _open(self, type_url: str) -> SotwChannel:
        return SotwChannel.open(type_url)

    def _compose(self, type_url: str, version: str, nonce: str, due: Due) -> Response:
        return Response(type_url, version, nonce, due.resources)
