"""Protocol tests that read as the conversation they are about.

    Conversation("sotw", state(cluster("a")))
    << asks(CDS)
    >> told(CDS, ["a"])
    << acks(CDS)
    >> silence

`<<` is what the session hears: a request, or a new state from the control plane. `>>` is the next thing it says. A
conversation fails when something was said that no `>>` accounts for. The same lines play in both variants; where one of
them has words of its own there are `request` (state of the world) and `delta`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence

import attrs

from pilot.xds.cache import resource_set
from pilot.xds.protocol import (
    DeltaDiscoveryRequest,
    DeltaResponse,
    DeltaSession,
    DiscoveryRequest,
    Event,
    Response,
    SotwSession,
    TypeStatus,
)
from pilot.xds.resource import CDS, EDS, LDS, ORDER, RDS, SHORT_NAMES, Resource, Resources

FULL = (CDS, LDS)


def make(
    type_url: str, name: str, version: object, refers: Iterable[tuple[str, str]] = (), origin: str = ""
) -> Resource:
    body = f"{name}={version}".encode()
    return Resource(type_url, name, str(version), body, b"S" + body, b"D" + body, tuple(refers), origin)


def cluster(name: str, version: object = 1, origin: str = "") -> Resource:
    return make(CDS, name, version, ((EDS, name),), origin)


def assignment(name: str, version: object = 1) -> Resource:
    return make(EDS, name, version)


def listener(name: str, version: object = 1, routes: Iterable[str] = (), origin: str = "") -> Resource:
    return make(LDS, name, version, [(RDS, route) for route in routes], origin)


def route(name: str, version: object = 1) -> Resource:
    return make(RDS, name, version)


def state(*resources: Resource) -> Resources:
    return {url: resource_set(url, [each for each in resources if each.type_url == url]) for url in ORDER}


@attrs.define
class Nonce:
    """Filled in by the response it is expected in, to be repeated later."""

    value: str = ""


@attrs.frozen
class Asks:
    """From now on these names are wanted (in state of the world: and no others)."""

    type_url: str
    names: tuple[str, ...]


@attrs.frozen
class Drops:
    type_url: str
    names: tuple[str, ...]


@attrs.frozen
class Answers:
    """An ACK or NACK of the latest response of the type, or of the one with `nonce`, with names changed if given."""

    type_url: str
    error: str | None = None
    names: tuple[str, ...] | None = None
    nonce: Nonce | None = None


@attrs.frozen
class Told:
    type_url: str
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    everything: tuple[str, ...] | None
    nonce: Nonce | None
    version: str | None

    def accepts(self, said: Response | DeltaResponse) -> bool:
        names = tuple(each.name for each in said.resources)
        if said.type_url != self.type_url:
            return False
        if self.version is not None and self.version not in {each.version for each in said.resources}:
            return False
        if isinstance(said, DeltaResponse):
            return (names, said.removed) == (self.changed, self.removed)
        full = self.everything is not None and self.type_url in FULL
        return names == (self.everything if full else self.changed)


def asks(type_url: str, *names: str) -> Asks:
    return Asks(type_url, names)


def drops(type_url: str, *names: str) -> Drops:
    return Drops(type_url, names)


def acks(type_url: str, names: Sequence[str] | None = None, nonce: Nonce | None = None) -> Answers:
    return Answers(type_url, None, None if names is None else tuple(names), nonce)


def nacks(
    type_url: str, error: str = "no good", names: Sequence[str] | None = None, nonce: Nonce | None = None
) -> Answers:
    return Answers(type_url, error, None if names is None else tuple(names), nonce)


def told(
    type_url: str,
    changed: Iterable[str] = (),
    removed: Iterable[str] = (),
    everything: Iterable[str] | None = None,
    nonce: Nonce | None = None,
    version: object = None,
) -> Told:
    """`everything` is what a full state (SotW, CDS and LDS) says instead of the difference; all names sorted."""
    return Told(
        type_url,
        tuple(sorted(changed)),
        tuple(sorted(removed)),
        None if everything is None else tuple(sorted(everything)),
        nonce,
        None if version is None else str(version),
    )


class Silence:
    """Nothing more is said."""


silence = Silence()

Heard = Asks | Drops | Answers | DiscoveryRequest | DeltaDiscoveryRequest | Mapping[str, object]


class Conversation:
    """A session, and a proxy's memory of names, versions and nonces, so that a test need not repeat them."""

    def __init__(self, variant: str, first: Resources | None = None, types: Sequence[str] = ORDER) -> None:
        self.variant = variant
        self.session: SotwSession | DeltaSession = SotwSession(types) if variant == "sotw" else DeltaSession(types)
        self._said: deque[Response | DeltaResponse] = deque()
        self._last: dict[str, Response | DeltaResponse] = {}
        self._accepted: dict[str, str] = {}
        self._names: dict[str, tuple[str, ...]] = {}
        if first is not None:
            self._hear(self.session.update(first))

    def __lshift__(
        self, heard: Asks | Drops | Answers | DiscoveryRequest | DeltaDiscoveryRequest | Resources
    ) -> Conversation:
        assert not self._said, f"said, but nobody expected it: {_describe(self._said)}"
        match heard:
            case Asks() | Drops() | Answers():
                self._request(self._words(heard))
            case DiscoveryRequest() | DeltaDiscoveryRequest():
                self._request(heard)
            case _:
                self._hear(self.session.update(heard))
        return self

    def __rshift__(self, expected: Told | Silence) -> Conversation:
        if isinstance(expected, Silence):
            assert not self._said, f"expected silence, but was told {_describe(self._said)}"
            return self
        assert self._said, f"expected {expected}, but nothing was said"
        said = self._said.popleft()
        assert expected.accepts(said), f"expected {expected}, but was told {_describe([said])}"
        if expected.nonce is not None:
            expected.nonce.value = said.nonce
        return self

    def events(self) -> tuple[Event, ...]:
        return self.session.take_events()

    def status(self, type_url: str) -> TypeStatus:
        return next(each for each in self.session.status() if each.type_url == type_url)

    def _request(self, request: DiscoveryRequest | DeltaDiscoveryRequest) -> None:
        if isinstance(self.session, SotwSession):
            assert isinstance(request, DiscoveryRequest)
            self._hear(self.session.request(request))
        else:
            assert isinstance(request, DeltaDiscoveryRequest)
            self._hear(self.session.request(request))

    def _hear(self, said: Iterable[Response | DeltaResponse]) -> None:
        for response in said:
            self._said.append(response)
            self._last[response.type_url] = response

    def _words(self, heard: Asks | Drops | Answers) -> DiscoveryRequest | DeltaDiscoveryRequest:
        return self._sotw(heard) if self.variant == "sotw" else self._delta(heard)

    def _sotw(self, heard: Asks | Drops | Answers) -> DiscoveryRequest:
        last = self._last.get(heard.type_url)
        names = self._names.get(heard.type_url, ())
        error, nonce = None, last.nonce if last else ""
        match heard:
            case Asks(_, added):
                names = (*names, *added)
            case Drops(_, gone):
                names = tuple(name for name in names if name not in gone)
            case Answers():
                error = heard.error
                names = names if heard.names is None else heard.names
                nonce = nonce if heard.nonce is None else heard.nonce.value
                if error is None and last is not None:
                    assert isinstance(last, Response)
                    self._accepted[heard.type_url] = last.version
        self._names[heard.type_url] = names
        return DiscoveryRequest(heard.type_url, self._accepted.get(heard.type_url, ""), nonce, names, None, error)

    def _delta(self, heard: Asks | Drops | Answers) -> DeltaDiscoveryRequest:
        match heard:
            case Asks(type_url, names):
                self._names[type_url] = (*self._names.get(type_url, ()), *names)
                return DeltaDiscoveryRequest(type_url, subscribe=names)
            case Drops(type_url, names):
                return DeltaDiscoveryRequest(type_url, unsubscribe=names)
            case Answers(type_url, error, names, nonce):
                added = tuple(name for name in names or () if name not in self._names.get(type_url, ()))
                value = nonce.value if nonce else self._last[type_url].nonce
                return DeltaDiscoveryRequest(type_url, value, subscribe=added, error_detail=error)


Opener = Callable[..., Conversation]


def _describe(said: Iterable[Response | DeltaResponse]) -> str:
    return "; ".join(
        f"{SHORT_NAMES[each.type_url]} {[f'{r.name}@{r.version}' for r in each.resources]}"
        + (f" removed {list(each.removed)}" if isinstance(each, DeltaResponse) else "")
        for each in said
    )
