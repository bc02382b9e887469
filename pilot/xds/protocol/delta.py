"""Incremental xDS: names come and go one by one, and every resource has its own version.

xds_protocol.rst, "Incremental xDS". A request is never refused for a stale nonce: what it subscribes and unsubscribes
counts in any case.
"""

from __future__ import annotations

import attrs

from pilot.xds import cache
from pilot.xds.protocol.channel import Channel, Due
from pilot.xds.protocol.messages import DeltaDiscoveryRequest, DeltaResponse
from pilot.xds.protocol.session import Session
from pilot.xds.protocol.subscription import WILDCARD
from pilot.xds.resource import ResourceSet


@attrs.define(eq=False)
class DeltaChannel(Channel):
    """`held` is what the proxy brought from an earlier stream, by name and version, until the first answer."""

    held: dict[str, str] = attrs.field(factory=dict)
    started: bool = False

    def due(self, target: ResourceSet) -> Due | None:
        difference = cache.diff(self.told, target)
        names = set(self.names.within(difference.changed))
        names.update(self.names.within(difference.removed))
        if names:
            names.update(self.names.within(self.rejected))
        names.update(self.names.within(self.again))
        if self.held:
            names = self._beyond_held(names, target)
        if not names and not self._must_finish_initialisation():
            return None
        ordered = sorted(names)
        resources = tuple(target.resources[name] for name in ordered if name in target.resources)
        removed = tuple(name for name in ordered if name not in target.resources)
        return Due(resources, removed, fresh=tuple(each.name for each in resources))

    def _beyond_held(self, names: set[str], target: ResourceSet) -> set[str]:
        """initial_resource_versions: what the proxy holds is not sent, what it holds and is no more is taken away."""
        gone = {name for name in self.names.within(self.held) if name not in target.resources}
        return gone | {name for name in names if not self._is_held(name, target)}

    def _is_held(self, name: str, target: ResourceSet) -> bool:
        resource = target.resources.get(name)
        return resource is not None and self.held.get(name) == resource.version

    def _must_finish_initialisation(self) -> bool:
        """Envoy waits for the first answer to a wildcard even when there is nothing, unless it brought something."""
        return self.names.wildcard and not self.answered and not self.held

    def settle(self, target: ResourceSet) -> None:
        if self.held:
            self.answered = True
            self.ledger.acked_version = self.ledger.sent_version = target.version
        super().settle(target)

    def advance(self, target: ResourceSet) -> None:
        super().advance(target)
        self.held.clear()

    def apply(self, request: DeltaDiscoveryRequest) -> None:
        """Unsubscribes before it subscribes, so that a name in both is subscribed anew."""
        if not self.started:
            self._start(request)
            return
        self.again.update(self.names.unsubscribe(request.unsubscribe))
        self.names.subscribe(request.subscribe)
        self._tell_again(request.subscribe)
        self.answer = self.answer or bool(self.again)

    def _start(self, request: DeltaDiscoveryRequest) -> None:
        self.started = True
        self.held = {name: held for name, held in request.initial_versions.items() if name not in self.again}
        self.names.start(request.subscribe)
        self.again.update(self.names.explicit)
        self.answer = True

    def _tell_again(self, names: tuple[str, ...]) -> None:
        """A name subscribed is told even if it was before: the proxy may have dropped it in between."""
        for name in names:
            self.held.pop(name, None)
        self.again.update(names)
        if WILDCARD in names:
            self.again.discard(WILDCARD)
            self.again.update(self.told.resources)
            self.answer = True


class DeltaSession(Session[DeltaDiscoveryRequest, DeltaChannel, DeltaResponse]):
    """One incremental stream."""

    def request(self, request: DeltaDiscoveryRequest) -> tuple[DeltaResponse, ...]:
        """What to send for a request; nothing for an ACK or for names that only go."""
        type_url = self._type_of(request.type_url)
        if type_url is None:
            return ()
        channel = self._channel(type_url)
        nonce = request.response_nonce
        if nonce in channel.outstanding:
            self._verdict(channel, nonce, request.error_detail)
        elif nonce and channel.ledger.sent_nonce:
            self._events.append(channel.ledger.stale(nonce))
        channel.apply(request)
        return self._speak()

    def _open(self, type_url: str) -> DeltaChannel:
        return DeltaChannel.open(type_url)

    def _compose(self, type_url: str, version: str, nonce: str, due: Due) -> DeltaResponse:
        return DeltaResponse(type_url, version, nonce, due.resources, due.removed)
