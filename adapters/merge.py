"""Folds what many platforms tell into one Catalog; says of each platform how it is.

Called by `mesh_adapter`, from one thread at a time, with every event of every platform's watch. Pure: no I/O, no
clock. The outcome depends on what each platform last said and on the configured order of the platforms, never on
the order in which events of different platforms arrived, so that two control planes agree.

Services are one if their namespace and host are equal, or (unless switched off) their namespace and name. The one
service goes by the host that the earliest platform gave it; the other hosts are its aliases. Rules and reasons:
docs/reference/platforms.md, docs/adr/0025-one-service-of-many-platforms.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

import attrs

from adapters.platform import Delete, Event, Fresh, Problem, Resolved, Stale, Synced, Upsert, Workloads
from adapters.ports import merge_ports
from adapters.settings import Arrangement, PlatformSettings
from adapters.workloads import Place, Roster
from pilot.model.catalog import Catalog
from pilot.model.service import Endpoint, Labels, NetworkGateway, Service, ServiceKey, labels

Name = tuple[str, str]
"""Namespace and name."""


@attrs.frozen
class PlatformStatus:
    """How one platform is, for /debug/platforms and metrics.

    `stale` is the reason why what it told is not current, empty if it is. `changes` counts the events that changed
    a service: two equal readings mean that nothing came in between. The last four are filled in by the composition
    root: what kind it is, since when it is stale, endpoints that are kept though it no longer tells of them, and how
    often its watch failed.
    """

    name: str
    synced: bool = False
    stale: str = ""
    problems: tuple[Problem, ...] = ()
    services: int = 0
    endpoints: int = 0
    changes: int = 0
    kind: str = ""
    stale_since: str = ""
    held: int = 0
    failures: int = 0

    @property
    def state(self) -> str:
        """In a word."""
        return "STALE" if self.stale else "SYNCED" if self.synced else "SYNCING"


@attrs.define
class _Told:
    """What one platform said so far, as it said it, and as it counts."""

    settings: PlatformSettings
    services: dict[ServiceKey, Service] = attrs.field(factory=dict)
    stamped: dict[ServiceKey, Service] = attrs.field(factory=dict)
    problems: dict[str, Problem] = attrs.field(factory=dict)
    synced: bool = False
    stale: str = ""
    endpoints: int = 0
    changes: int = 0


class Merger:
    """The fold. `platforms` are the names in the configured order: on a disagreement the earlier one is right."""

    def __init__(self, platforms: Sequence[str], arrangement: Arrangement = Arrangement()) -> None:  # noqa: B008 - frozen
        if len(set(platforms)) != len(platforms):
            raise ValueError(f"platform names are not unique: {', '.join(platforms)}")
        self._arrangement = arrangement
        self._by_name = arrangement.by_name
        self._told = {name: _Told(arrangement.of(name)) for name in platforms}
        self._roster = Roster()
        self._merged: dict[ServiceKey, Service] = {}
        self._home: dict[ServiceKey, ServiceKey] = {}
        self._members: dict[ServiceKey, frozenset[ServiceKey]] = {}
        self._named: dict[Name, dict[ServiceKey, int]] = {}
        self._conflicts: dict[ServiceKey, tuple[Problem, ...]] = {}
        self._dirty: set[ServiceKey] = set()
        self._catalog = Catalog()

    def apply(self, platform: str, event: Event) -> bool:
        """Take one event in; True if the next catalog may differ. KeyError if no platform has that name."""
        told = self._told[platform]
        match event:
            case Upsert(service):
                return self._replace(platform, service.key, service)
            case Delete(key):
                return self._replace(platform, key, None)
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
            case Workloads():
                return self._stamp_anew(self._roster.take(platform, event))
        return False

    def forget(self, platform: str) -> None:
        """All that a platform told goes, and its status begins anew."""
        for key in tuple(self._told[platform].services):
            self._replace(platform, key, None)
        self._told[platform] = _Told(self._arrangement.of(platform))
        self._stamp_anew(self._roster.forget(platform))

    def arrange(self, platforms: Sequence[str], arrangement: Arrangement) -> None:
        """From now on these platforms, in this order: what others told goes, what stays need not be told again.

        Whether services are one by name can't be changed.
        """
        self._arrangement = arrangement
        for name in [each for each in self._told if each not in platforms]:
            self.forget(name)
            del self._told[name]
        self._told = {name: self._told.get(name) or _Told(arrangement.of(name)) for name in platforms}
        for name, told in self._told.items():
            told.settings = arrangement.of(name)
            for key, service in told.services.items():
                told.stamped[key] = self._stamped(name, service)
        self._dirty.update(key for told in self._told.values() for key in told.services)

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

    def _replace(self, platform: str, key: ServiceKey, service: Service | None) -> bool:
        told = self._told[platform]
        before = told.services.get(key)
        if before == service:
            return False
        told.endpoints += (len(service.endpoints) if service else 0) - (len(before.endpoints) if before else 0)
        told.changes += 1
        self._roster.moved(platform, key, before, service)
        if service is None:
            del told.services[key], told.stamped[key]
        else:
            told.services[key] = service
            told.stamped[key] = self._stamped(platform, service)
        self._count_name(before, -1)
        self._count_name(service, 1)
        self._dirty.add(key)
        return True

    def _stamped(self, platform: str, service: Service) -> Service:
        joined = self._roster.joined(service, platform)
        return stamped(joined, platform, self._told[platform].settings, self._arrangement.gateways())

    def _stamp_anew(self, places: Iterable[Place]) -> bool:
        """Other platforms say something else of these services' endpoints; whether there are any."""
        found = tuple(places)
        for platform, key in found:
            told = self._told[platform]
            told.stamped[key] = self._stamped(platform, told.services[key])
            self._dirty.add(key)
        return bool(found)

    def _count_name(self, service: Service | None, step: int) -> None:
        """Keep which keys go by a name: they are one service."""
        if service is None or not service.name or not self._by_name:
            return
        name = service.namespace, service.name
        keys = self._named.setdefault(name, {})
        keys[service.key] = keys.get(service.key, 0) + step
        if not keys[service.key]:
            del keys[service.key]
        if not keys:
            del self._named[name]
        # Whoever shares the name may be one with it now, or no more.
        self._dirty.update(keys)

    def _settle(self) -> bool:
        """Merge the services that changed since the last catalog; whether any of them came out different."""
        homes = {self._home[key] for key in self._dirty if key in self._home}
        todo = self._dirty.union(*(self._members[home] for home in homes))
        before: dict[ServiceKey, Service] = {}
        after: dict[ServiceKey, Service] = {}
        while todo:
            keys = self._one(todo.pop())
            todo -= keys
            for home in {self._home[key] for key in keys if key in self._home}:
                before |= self._forget(home)
            after |= self._settled(keys)
        for key in before.keys() | after.keys():
            # What came out equal stays the object that it was.
            if key in after and before.get(key) == after[key]:
                after[key] = before[key]
        self._merged |= after
        self._dirty.clear()
        return before.keys() != after.keys() or any(before[key] is not after[key] for key in after)

    def _forget(self, home: ServiceKey) -> dict[ServiceKey, Service]:
        for key in self._members.pop(home):
            del self._home[key]
        self._conflicts.pop(home, None)
        return {home: self._merged.pop(home)}

    def _settled(self, keys: frozenset[ServiceKey]) -> dict[ServiceKey, Service]:
        parts = [told.stamped[key] for told in self._told.values() for key in sorted(keys) if key in told.stamped]
        if not parts:
            return {}
        merged, conflicts = merge_service(parts)
        apart = frozenset(part.key for part in parts) - {ServiceKey(merged.namespace, host) for host in merged.hosts}
        self._members[merged.key] = keys - apart
        self._home.update(dict.fromkeys(keys - apart, merged.key))
        if conflicts:
            self._conflicts[merged.key] = conflicts
        return {merged.key: merged} | self._settled(apart)

    def _one(self, key: ServiceKey) -> frozenset[ServiceKey]:
        """All keys of the service that `key` is one of: those that share a name with it, and so on."""
        found, edge = {key}, [key]
        while edge and self._by_name:
            here = edge.pop()
            for name in self._names(here):
                new = self._named[name].keys() - found
                found |= new
                edge += new
        return frozenset(found)

    def _names(self, key: ServiceKey) -> Iterator[Name]:
        for told in self._told.values():
            service = told.services.get(key)
            if service is not None and service.name:
                yield service.namespace, service.name


def stamped(
    service: Service,
    platform: str,
    settings: PlatformSettings = PlatformSettings(),  # noqa: B008 - frozen
    gateways: Mapping[str, tuple[NetworkGateway, ...]] = MappingProxyType({}),
) -> Service:
    """The service with every endpoint saying what is said of its platform; the same object if they all do.

    An endpoint that its platform told the network of keeps that.
    """

    def stamp(endpoint: Endpoint) -> Endpoint:
        network = endpoint.network or settings.network
        if endpoint.platform == platform and not settings.priority and not network:
            return endpoint
        return attrs.evolve(
            endpoint,
            platform=platform,
            priority=endpoint.priority + settings.priority,
            network=network,
            gateways=gateways.get(network, ()),
        )

    endpoints = tuple(stamp(each) for each in service.endpoints)
    if all(new is old for new, old in zip(endpoints, service.endpoints, strict=True)):
        return service
    return attrs.evolve(service, endpoints=endpoints)


def merge_service(parts: Sequence[Service]) -> tuple[Service, tuple[Problem, ...]]:
    """One service of what several platforms say of it; `parts` in the configured order, at least one.

    Endpoints keep that order. Labels are united, the earlier platform's value wins. What is found in another way than
    the first, a name where the first has endpoints, can't be one with it: it is left out, with a problem.
    """
    first = parts[0]
    if len(parts) == 1:
        return first, ()
    fitting = [part for part in parts if _is_found_alike(part, first)]
    merged = merge_ports(fitting)
    service = Service(
        key=first.key,
        ports=merged.ports,
        endpoints=tuple(merged.endpoint(endpoint, part) for part in fitting for endpoint in part.endpoints),
        labels=_united(part.labels for part in reversed(fitting)),
        origin=", ".join(dict.fromkeys(part.origin for part in fitting if part.origin)),
        resolution=first.resolution,
        external=first.external,
        addresses=tuple(dict.fromkeys(address for part in fitting for address in part.addresses)),
        export_to=first.export_to,
        subject_alt_names=tuple(dict.fromkeys(name for part in fitting for name in part.subject_alt_names)),
        name=next((part.name for part in fitting if part.name), ""),
        aliases=tuple(dict.fromkeys(part.host for part in fitting if part.host != first.host)),
    )
    return service, merged.problems + tuple(_unlike(part, first) for part in parts if part not in fitting)


def _is_found_alike(part: Service, first: Service) -> bool:
    return (part.resolution, part.external) == (first.resolution, first.external)


def _unlike(part: Service, first: Service) -> Problem:
    return Problem(
        where=f"{part.key} ({part.origin or 'a platform'})",
        message=f"its addresses are looked up otherwise than those of {first.key}, which counts: they are not one",
        mend="give one of the two another name or namespace, and another host if both have the same",
    )


def _united(sources: Iterable[Labels]) -> Labels:
    """All labels; of two values for one key the later source's."""
    return labels({key: value for source in sources for key, value in source})
