"""Models of what an Envoy keeps: a state-of-the-world and a delta client, answering in any order and mood.

They ask for what they need as Envoy does, hold what they accepted, and drop what nothing needs any more.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterable, Iterator

from pilot.xds.protocol import (
    DeltaDiscoveryRequest,
    DeltaResponse,
    DeltaSession,
    DiscoveryRequest,
    Response,
    SotwSession,
)
from pilot.xds.resource import CDS, EDS, LDS, ORDER, RDS, Resource, Resources

CLUSTERS = tuple("abcdef")
NEEDED_BY = {CDS: EDS, LDS: RDS}


class Client:
    """What both models share: the resources held, and the answers still to be given, oldest first per type."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.held: dict[str, dict[str, Resource]] = {type_url: {} for type_url in ORDER}
        self.inbox: deque[Response | DeltaResponse] = deque()
        self.routes_led_nowhere = 0

    def wanted(self, type_url: str) -> tuple[str, ...]:
        """Of EDS and RDS, as clusters and listeners need them."""
        needing = CDS if type_url == EDS else LDS
        return tuple(sorted({name for each in self.held[needing].values() for _, name in each.refers}))

    def check_routes(self) -> None:
        for name in self.wanted(RDS):
            held = self.held[RDS].get(name)
            if held is not None and held.version.split(">")[1] not in self.held[CDS]:
                self.routes_led_nowhere += 1

    def forget_unwanted(self) -> None:
        for type_url in (EDS, RDS):
            kept = self.wanted(type_url)
            self.held[type_url] = {name: each for name, each in self.held[type_url].items() if name in kept}

    def warm(self, changed: Iterable[Resource]) -> None:
        """A cluster that is new or changed waits for endpoints told after it (envoyproxy/envoy#13009)."""
        for each in changed:
            before = self.held[each.type_url].get(each.name)
            if each.type_url == CDS and (before is None or before.version != each.version):
                self.held[EDS].pop(each.name, None)

    def versions(self) -> dict[str, dict[str, str]]:
        return {url: {name: each.version for name, each in held.items()} for url, held in self.held.items()}


class SotwClient(Client):
    def connect(self, latest: Resources | None) -> None:
        self.session = SotwSession()
        self.inbox.clear()
        self.nonce: dict[str, str] = {}
        self.asked: dict[str, tuple[str, ...]] = {}
        if latest is not None:
            self.update(latest)
        for type_url in ORDER:
            self.ask(type_url)

    def __init__(self, chance: random.Random) -> None:
        super().__init__(chance)
        self.accepted: dict[str, str] = {}

    def update(self, resources: Resources) -> None:
        self.inbox.extend(self.session.update(resources))

    def ask(self, type_url: str, error: str | None = None) -> None:
        names = () if type_url in (CDS, LDS) else self.wanted(type_url)
        if not names and type_url in (EDS, RDS) and type_url not in self.asked:
            return
        self.asked[type_url] = names
        version, nonce = self.accepted.get(type_url, ""), self.nonce.get(type_url, "")
        self.inbox.extend(self.session.request(DiscoveryRequest(type_url, version, nonce, names, None, error)))

    def answer(self, refuse: bool) -> None:
        said = self.inbox.popleft()
        assert isinstance(said, Response)
        self.nonce[said.type_url] = said.nonce
        if refuse:
            self.ask(said.type_url, f"{self.chance.choice(CLUSTERS)} or something is bad")
            return
        self.accepted[said.type_url] = said.version
        self.warm(said.resources)
        fresh = {each.name: each for each in said.resources}
        whole = said.type_url in NEEDED_BY
        self.held[said.type_url] = fresh if whole else {**self.held[said.type_url], **fresh}
        self.forget_unwanted()
        self.ask(said.type_url)
        needed = NEEDED_BY.get(said.type_url)
        if needed and self.wanted(needed) != self.asked.get(needed, ()):
            self.ask(needed)


class DeltaClient(Client):
    def connect(self, latest: Resources | None) -> None:
        self.session = DeltaSession()
        self.inbox.clear()
        self.asked: dict[str, set[str]] = {EDS: set(), RDS: set()}
        if latest is not None:
            self.update(latest)
        for type_url in (CDS, LDS):
            versions = {name: each.version for name, each in self.held[type_url].items()}
            self.say(DeltaDiscoveryRequest(type_url, initial_versions=versions))
        for type_url in (EDS, RDS):
            self.adjust(type_url)

    def update(self, resources: Resources) -> None:
        self.inbox.extend(self.session.update(resources))

    def say(self, request: DeltaDiscoveryRequest) -> None:
        self.inbox.extend(self.session.request(request))

    def adjust(self, type_url: str) -> None:
        wanted, asked = set(self.wanted(type_url)), self.asked[type_url]
        if wanted == asked:
            return
        first = not asked
        versions = {name: each.version for name, each in self.held[type_url].items() if name in wanted} if first else {}
        added, gone = tuple(sorted(wanted - asked)), tuple(sorted(asked - wanted))
        self.asked[type_url] = wanted
        self.say(DeltaDiscoveryRequest(type_url, subscribe=added, unsubscribe=gone, initial_versions=versions))

    def answer(self, refuse: bool) -> None:
        said = self.inbox.popleft()
        assert isinstance(said, DeltaResponse)
        if refuse:
            error = f"{self.chance.choice(CLUSTERS)} or something is bad"
            self.say(DeltaDiscoveryRequest(said.type_url, said.nonce, error_detail=error))
            return
        self.warm(said.resources)
        held = self.held[said.type_url]
        held.update({each.name: each for each in said.resources})
        for name in said.removed:
            held.pop(name, None)
        self.forget_unwanted()
        self.say(DeltaDiscoveryRequest(said.type_url, said.nonce))
        if said.type_url in NEEDED_BY:
            self.adjust(NEEDED_BY[said.type_url])


def accepted(client: SotwClient | DeltaClient) -> Iterator[None]:
    """Answers until nothing more is said; a conversation that does not end is an error."""
    for _ in range(200):
        if not client.inbox:
            return
        client.answer(refuse=False)
        yield
    raise AssertionError("the conversation does not come to rest")
