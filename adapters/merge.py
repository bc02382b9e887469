"""Folds what many platforms tell into one Catalog; says of each platform how it is.

Called by `mesh_adapter`, from one thread at a time, with every event of every platform's watch. Pure: no I/O, no
clock. The outcome depends on what each platform last said and on the configured order of the platforms, never on
the order in which events of different platforms arrived, so that two control planes agree.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

import attrs

from adapters.platform import Delete, Event, Fresh, Problem, Resolved, Stale, Synced, Upsert
from pilot.model.catalog import Catalog
from pilot.model.service import Endpoint, Labels, Port, Protocol, Service, ServiceKey, labels


@attrs.frozen
class PlatformStatus:
    """How one platform is, for /debug/platforms and metrics.

    `stale` is the reason why what it told is not current, empty if it is. `changes` counts the events that changed
    a service: two equal readings mean that nothing came in between.
    """

    name: str
    synced: bool = False
    stale: str = ""
    problems: tuple[Problem, ...] = ()
    services: int = 0
    endpoints: int = 0
    changes: int = 0


@attrs.define
class _Told:
    """What one platform said so far."""

    services: dict[ServiceKey, Service] = attrs.field(factory=dict)
    problems: dict[str, Problem] = attrs.field(factory=dict)
    synced: bool = False
    stale: str = ""
    endpoints: int = 0
    changes: int = 0


class Merger:
    """The fold. `platforms` are the names in the configured order: on a disagreement the earlier one is right."""

    def __init__(self, platforms: Sequence[str]) -> None:
        if len(set(platforms)) != len(platforms):
            raise ValueError(f"platform names are not unique: {', '.join(platforms)}")
        self._told = {name: _Told() for name in platforms}
        self._merged: dict[ServiceKey, Service] = {}
        self._conflicts: dict[ServiceKey, tuple[Problem, ...]] = {}
        self._dirty: set[ServiceKey] = set()
        self._catalog = Catalog()

    def apply(self, platform: str, event: Event) -> bool:
        """Take one event in; True if the next catalog may differ. KeyError if no platform has that name."""
        told = self._told[platform]
        match event:
            case Upsert(service):
                return self._replace(told, service.key, stamped(service, platform))
            case Delete(key):
                return self._replace(told, key, None)
            case Synced():
                told.synced = True
            case Stale(reason):
                told.stale = reason
            case Fresh():
                told.stale = ""
            case Problem():
                told.problems[event.where] = event
            case Resolved(where):
                told.problems.pop(where, None)
        return False

    def catalog(self) -> Catalog:
        """The merged view. Services that did not change are the same objects as in the catalog before."""
        if self._dirty and self._settle():
            self._catalog = Catalog(MappingProxyType(self._merged.copy()))
        return self._catalog

    @property
    def synced(self) -> bool:
        """Whether every platform has told everything it has."""
        return all(told.synced for told in self._told.values())

    def status(self) -> tuple[PlatformStatus, ...]:
        """One status a platform, in the configured order; its problems sorted by coordinates."""
        return tuple(
            PlatformStatus(
                name=name,
                synced=told.synced,
                stale=told.stale,
                problems=tuple(told.problems[where] for where in sorted(told.problems)),
                services=len(told.services),
                endpoints=told.endpoints,
                changes=told.changes,
            )
            for name, told in self._told.items()
        )

    def conflicts(self) -> tuple[Problem, ...]:
        """Where platforms disagree about one service, by service; gone when they agree again."""
        self.catalog()
        return tuple(problem for key in sorted(self._conflicts) for problem in self._conflicts[key])

    def _replace(self, told: _Told, key: ServiceKey, service: Service | None) -> bool:
        before = told.services.get(key)
        if before == service:
            return False
        told.endpoints += (len(service.endpoints) if service else 0) - (len(before.endpoints) if before else 0)
        told.changes += 1
        if service is None:
            del told.services[key]
        else:
            told.services[key] = service
        self._dirty.add(key)
        return True

    def _settle(self) -> bool:
        """Merge the services that changed since the last catalog; whether any of them came out different."""
        different = False
        for key in self._dirty:
            parts = [told.services[key] for told in self._told.values() if key in told.services]
            merged, conflicts = merge_service(parts) if parts else (None, ())
            if conflicts:
                self._conflicts[key] = conflicts
            else:
                self._conflicts.pop(key, None)
            different |= self._put(key, merged)
        self._dirty.clear()
        return different

    def _put(self, key: ServiceKey, merged: Service | None) -> bool:
        if self._merged.get(key) == merged:
            return False
        if merged is None:
            del self._merged[key]
        else:
            self._merged[key] = merged
        return True


def stamped(service: Service, platform: str) -> Service:
    """The service with every endpoint naming the platform that told of it; the same object if they all do."""
    if all(endpoint.platform == platform for endpoint in service.endpoints):
        return service
    return attrs.evolve(service, endpoints=tuple(attrs.evolve(e, platform=platform) for e in service.endpoints))


def merge_service(parts: Sequence[Service]) -> tuple[Service, tuple[Problem, ...]]:
    """One service of what several platforms say of the same key; `parts` in the configured order, at least one.

    Endpoints keep that order. Labels are united, the earlier platform's value wins.
    """
    if len(parts) == 1:
        return parts[0], ()
    ports, conflicts = merge_ports(parts)
    endpoints = tuple(renamed(endpoint, part, ports) for part in parts for endpoint in part.endpoints)
    merged = Service(
        key=parts[0].key,
        ports=tuple(ports[number] for number in sorted(ports)),
        endpoints=endpoints,
        labels=_united(part.labels for part in reversed(parts)),
        origin=", ".join(dict.fromkeys(part.origin for part in parts if part.origin)),
    )
    return merged, conflicts


def merge_ports(parts: Sequence[Service]) -> tuple[dict[int, Port], tuple[Problem, ...]]:
    """The union of the parts' ports by number, and the disagreements about a number or a name.

    A port of unspecified protocol has no opinion: it yields to a later platform that has one, without a problem.
    Names must stay unique in a service since endpoints refer to them: a name that an earlier platform gave to another
    number gets the number behind it.
    """
    ports: dict[int, Port] = {}
    conflicts: list[Problem] = []
    for number in sorted({port.number for part in parts for port in part.ports}):
        claims = [(part, port) for part in parts for port in part.ports if port.number == number]
        opinions = [claim for claim in claims if claim[1].protocol is not Protocol.UNSPECIFIED] or claims
        winner, port = opinions[0]
        ports[number] = port
        conflicts += [_disagreement(winner, port, part, other) for part, other in opinions[1:] if other != port]
    return _unique_names(parts, ports, conflicts), tuple(conflicts)


def renamed(endpoint: Endpoint, part: Service, ports: Mapping[int, Port]) -> Endpoint:
    """The endpoint with its ports under the names of the merged service; the same object if they are the same."""
    names = {port.name: ports[port.number].name for port in part.ports}
    mapped = tuple((names.get(name, name), number) for name, number in endpoint.ports)
    return endpoint if mapped == endpoint.ports else attrs.evolve(endpoint, ports=mapped)


def _disagreement(winner: Service, port: Port, loser: Service, other: Port) -> Problem:
    return Problem(
        where=f"{winner.key} port {port.number} ({_teller(loser)})",
        message=f"{_teller(loser)} says {_spelled(other)}, {_teller(winner)} says {_spelled(port)}: the latter counts",
        mend="make the platforms agree, or change their order",
    )


def _unique_names(parts: Sequence[Service], ports: dict[int, Port], conflicts: list[Problem]) -> dict[int, Port]:
    """The same ports with no name twice; whose port keeps a name is decided by the platforms' order."""
    by_rank = [port.number for part in parts for port in part.ports]
    unique: dict[int, Port] = {}
    taken: set[str] = set()
    for number in dict.fromkeys(by_rank):
        port = ports[number]
        name = port.name
        while name in taken:
            name = f"{name}-{number}"
        if name != port.name:
            conflicts.append(
                Problem(
                    where=f"{parts[0].key} port {number}",
                    message=f"the name {port.name!r} is another port's on an earlier platform: it is {name!r} here",
                    mend="name the ports of one service differently",
                )
            )
        taken.add(name)
        unique[number] = attrs.evolve(port, name=name)
    return unique


def _teller(service: Service) -> str:
    told = next((endpoint.platform for endpoint in service.endpoints if endpoint.platform), "")
    return service.origin or told or "a platform"


def _spelled(port: Port) -> str:
    return f"{port.name!r} ({port.protocol.value})"


def _united(sources: Iterable[Labels]) -> Labels:
    """All labels; of two values for one key the later source's."""
    return labels({key: value for source in sources for key, value in source})
