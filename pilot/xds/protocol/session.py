"""One xDS stream: which type may speak when. Shared by state-of-the-world and delta.

Make before break ("Eventual consistency considerations" in xds_protocol.rst): within one change SDS, CDS, EDS, LDS,
RDS; clusters that go away stay until listeners and routes no longer lead to them. Flow control: at most one change of
a type is on its way; later changes join until it is answered for. Answers to requests do not wait for that.

Driven by `pilot.xds.server`, one object a stream; no I/O, no clock, not for more than one thread at a time.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Generic, TypeVar

import attrs

from pilot.xds import cache
from pilot.xds.protocol.channel import Channel, Due
from pilot.xds.protocol.messages import DeltaDiscoveryRequest, DeltaResponse, DiscoveryRequest, Response
from pilot.xds.protocol.status import Event, Ledger, TypeStatus, UnknownType
from pilot.xds.resource import CDS, EDS, LDS, ORDER, RDS, SDS, Resources, ResourceSet

Q = TypeVar("Q", bound=DiscoveryRequest | DeltaDiscoveryRequest)
C = TypeVar("C", bound=Channel)
R = TypeVar("R", bound=Response | DeltaResponse)

_AFTER = {SDS: (), CDS: (), EDS: (), LDS: (CDS,), RDS: (CDS, LDS)}
"""Types that must not have a change held back by flow control when the type speaks: routes are not warmed, so the
clusters they lead to come first. EDS is answered at any time, for it completes the clusters already told."""


class Session(ABC, Generic[Q, C, R]):
    """`types` restricts the stream to them: one for a single-type service, all (the default) for ADS.

    Call `update` whenever there is something new for this proxy, and `request` for every request; send what they return
    in that order. Requests made before the first update are remembered and answered by it.
    """

    def __init__(self, types: Sequence[str] = ORDER) -> None:
        self._types = tuple(type_url for type_url in ORDER if type_url in types)
        self._channels: dict[str, C] = {}
        self._in_order: tuple[C, ...] = ()
        self._latest: Resources | None = None
        self._events: list[Event] = []
        self._needs: dict[str, list[frozenset[str]]] = {}

    @abstractmethod
    def request(self, request: Q) -> tuple[R, ...]:
        """What to send for a request, which often is nothing."""

    def update(self, resources: Resources) -> tuple[R, ...]:
        """What to send now that the proxy is to be told `resources`; the same again is silent."""
        self._latest = resources
        return self._speak()

    def take_events(self) -> tuple[Event, ...]:
        """What happened since the last call, oldest first: ACKs, NACKs, stale nonces, unknown types."""
        taken = tuple(self._events)
        self._events.clear()
        return taken

    def status(self) -> tuple[TypeStatus, ...]:
        """Every type this stream may speak, also those never asked for."""
        return tuple(
            channel.ledger.status(channel.awaiting) if (channel := self._channels.get(type_url)) else _never(type_url)
            for type_url in self._types
        )

    @abstractmethod
    def _open(self, type_url: str) -> C: ...

    @abstractmethod
    def _compose(self, type_url: str, version: str, nonce: str, due: Due) -> R: ...

    def _type_of(self, type_url: str) -> str | None:
        """The type a request is about; None for one that this stream does not speak, which is counted and ignored.

        A single-type service implies its type ("Only required for ADS", discovery.proto).
        """
        if not type_url and len(self._types) == 1:
            return self._types[0]
        if type_url in self._types:
            return type_url
        self._events.append(UnknownType(type_url))
        return None

    def _channel(self, type_url: str) -> C:
        channel = self._channels.get(type_url)
        if channel is None:
            channel = self._channels[type_url] = self._open(type_url)
            self._in_order = tuple(self._channels[each] for each in self._types if each in self._channels)
            channel.again.update(*self._needs.pop(type_url, ()))
        return channel

    def _verdict(self, channel: C, nonce: str, error: str | None) -> None:
        sent = channel.outstanding.pop(nonce)
        self._events.append(channel.ack(sent) if error is None else channel.nack(sent, error))

    def _speak(self) -> tuple[R, ...]:
        """Runs for every stream at every change, so whatever has nothing to say is passed by quickly."""
        latest = self._latest
        if latest is None:
            return ()
        holding = self._holding(latest)
        waiting: set[str] = set()
        said: list[R] = []
        for channel in self._in_order:
            target = self._target(channel, latest, holding)
            if channel.is_quiet(target):
                continue
            due = channel.due(target)
            if due is None:
                channel.settle(target)
            elif (channel.awaiting and not channel.answer) or not waiting.isdisjoint(_AFTER[channel.type_url]):
                waiting.add(channel.type_url)
            else:
                said += (self._send(channel, target, each) for each in _pieces(channel.type_url, due))
        return tuple(said)

    def _send(self, channel: C, target: ResourceSet, due: Due) -> R:
        nonce = channel.send(due, target)
        self._rewarm(channel.type_url, target, due)
        return self._compose(channel.type_url, target.version, nonce, due)

    def _rewarm(self, type_url: str, target: ResourceSet, due: Due) -> None:
        """What a changed cluster or listener needs is told again, even unchanged.

        Envoy warms a changed cluster anew and waits for its load assignment, but does not ask for it, since its
        subscription did not change (envoyproxy/envoy#13009). If the needed type was not asked for yet, its first
        request is told so: a proxy back on a new stream may say that it holds the very version.
        """
        for needing_type, needed_type in cache.NEEDS:
            if needing_type != type_url or needed_type not in self._types:
                continue
            needed = _needed(target, due.fresh)
            channel = self._channels.get(needed_type)
            if channel is None:
                self._needs.setdefault(needed_type, []).append(needed)
            else:
                channel.again.update(channel.names.within(needed))

    def _target(self, channel: C, latest: Resources, holding: bool) -> ResourceSet:
        wanted = latest.get(channel.type_url) or cache.EMPTY[channel.type_url]
        if holding and channel.type_url in (CDS, EDS):
            return cache.union(channel.told, wanted)
        return wanted

    def _holding(self, latest: Resources) -> bool:
        """Whether clusters that went away must stay for now: listeners or routes of the proxy may still lead to them.

        That is until both are told and accepted. After a NACK the proxy goes on with what it had, and so do we.
        """
        clusters = self._channels.get(CDS)
        if clusters is None or not cache.diff(clusters.told, latest.get(CDS, cache.EMPTY[CDS])).removed:
            return False
        return not (self._settled(LDS, latest) and self._settled(RDS, latest) and self._routes_are_asked_for(latest))

    def _settled(self, type_url: str, latest: Resources) -> bool:
        channel = self._channels.get(type_url)
        if channel is None:
            return True
        target = latest.get(type_url, cache.EMPTY[type_url])
        return (
            not channel.awaiting and not channel.refused and (channel.is_quiet(target) or channel.due(target) is None)
        )

    def _routes_are_asked_for(self, latest: Resources) -> bool:
        """A listener that moved to other routes warms until they are there, and meanwhile the old one serves on."""
        wanted = self._channels.get(LDS)
        if wanted is None:
            return True
        listeners, routes = latest.get(LDS, cache.EMPTY[LDS]), latest.get(RDS, cache.EMPTY[RDS])
        theirs = _needed(listeners, wanted.names.within(listeners.resources))
        needed = [name for name in theirs if name in routes.resources]
        channel = self._channels.get(RDS)
        return not needed or (channel is not None and all(map(channel.names.covers, needed)))


def _pieces(type_url: str, due: Due) -> tuple[Due, ...]:
    """Secrets go one by one: of those that come together Envoy takes none behind the first that it refuses."""
    if type_url != SDS or len(due.resources) < 2:
        return (due,)
    fresh = frozenset(due.fresh)
    alone = tuple(Due((each,), fresh=(each.name,) if each.name in fresh else ()) for each in due.resources)
    return (attrs.evolve(alone[0], removed=due.removed), *alone[1:])


def _needed(target: ResourceSet, names: Sequence[str]) -> frozenset[str]:
    """What `names` of the set need; the answer for all of them, which every new stream asks for, is shared."""
    if len(names) == len(target.resources):
        return cache.references(target)
    there = (target.resources[name] for name in names if name in target.resources)
    return frozenset(needed for resource in there for _, needed in resource.refers)


def _never(type_url: str) -> TypeStatus:
    return Ledger(type_url).status(awaiting=False)
