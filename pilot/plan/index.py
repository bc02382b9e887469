"""Who a name means: services by host, and the rules that apply to each.

Built once per snapshot, read by the rest of `pilot.plan`; pure. Istio's rules of resolution: a full host is itself; a
name without a dot is looked up beside the rule that uses it (same namespace first); `*.suffix` matches any host below
it, and only where no rule names the host itself; the longest suffix wins.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar

import attrs

from galley.config import ConfigObject
from galley.kinds.destination_rule import DestinationRule
from galley.kinds.virtual_service import VirtualService
from pilot.model.catalog import Catalog
from pilot.model.service import Service
from pilot.model.snapshot import Snapshot

T = TypeVar("T")


@attrs.frozen(eq=False)
class Hosts:
    """Services by the names they go by."""

    by_host: Mapping[str, tuple[Service, ...]]
    by_short_name: Mapping[str, tuple[Service, ...]]

    @classmethod
    def of(cls, catalog: Catalog) -> Hosts:
        by_host: defaultdict[str, list[Service]] = defaultdict(list)
        by_short_name: defaultdict[str, list[Service]] = defaultdict(list)
        for _, service in sorted(catalog.services.items()):
            by_host[service.host].append(service)
            by_short_name[short_name(service.host)].append(service)
        return cls(
            {host: tuple(found) for host, found in by_host.items()},
            {name: tuple(found) for name, found in by_short_name.items()},
        )

    def find(self, name: str, namespace: str) -> Service | None:
        """The service that `name` means when said in `namespace`."""
        found = self.by_host.get(name, ())
        if not found and "." not in name:
            found = self.by_short_name.get(name, ())
        return nearest(found, namespace)

    def visible(self, namespace: str) -> tuple[Service, ...]:
        """One service a host, as clients of `namespace` see them, ordered by host."""
        return tuple(service for _, found in sorted(self.by_host.items()) if (service := nearest(found, namespace)))


def short_name(host: str) -> str:
    return host.split(".", 1)[0]


def nearest(services: Sequence[Service], namespace: str) -> Service | None:
    """The one of the own namespace if there is one; else the first by namespace and host."""
    return next((each for each in services if each.namespace == namespace), services[0] if services else None)


@attrs.frozen(eq=False)
class Rules(Generic[T]):
    """Objects of one kind by the hosts they name; wildcards apart, the longest first."""

    exact: Mapping[str, tuple[ConfigObject[T], ...]]
    wildcards: tuple[tuple[str, tuple[ConfigObject[T], ...]], ...]

    @classmethod
    def of(
        cls, objects: Iterable[ConfigObject[T]], named_hosts: Callable[[T], Iterable[str]], hosts: Hosts
    ) -> Rules[T]:
        found: defaultdict[str, list[ConfigObject[T]]] = defaultdict(list)
        for each in objects:
            for name in named_hosts(each.spec):
                service = hosts.find(name, each.namespace)
                found[service.host if service else name].append(each)
        exact = {host: tuple(rules) for host, rules in found.items() if not host.startswith("*")}
        wildcards = [(host[1:], tuple(rules)) for host, rules in found.items() if host.startswith("*")]
        return cls(exact, tuple(sorted(wildcards, key=lambda item: (-len(item[0]), item[0]))))

    def matching(self, service: Service, client_namespace: str) -> tuple[ConfigObject[T], ...]:
        """Rules of the service's host: those of the client's namespace, else of the service's, else of any."""
        found = self.exact.get(service.host) or next(
            (rules for suffix, rules in self.wildcards if service.host.endswith(suffix)), ()
        )
        for namespace in (client_namespace, service.namespace):
            own = tuple(each for each in found if each.namespace == namespace)
            if own:
                return own
        return found


@attrs.frozen(eq=False)
class Index:
    """All that planning looks up in one snapshot."""

    hosts: Hosts
    virtual_services: Rules[VirtualService]
    destination_rules: Rules[DestinationRule]
    source_labels: frozenset[str]
    """Label keys of clients that some rule asks for; the others can't make two clients differ."""

    @classmethod
    def of(cls, snapshot: Snapshot) -> Index:
        hosts = Hosts.of(snapshot.catalog)
        config = snapshot.config
        return cls(
            hosts=hosts,
            virtual_services=Rules.of(config.virtual_services, lambda spec: spec.hosts, hosts),
            destination_rules=Rules.of(config.destination_rules, lambda spec: (spec.host,), hosts),
            source_labels=frozenset(_source_labels(config.virtual_services)),
        )

    def virtual_service(self, service: Service, namespace: str) -> ConfigObject[VirtualService] | None:
        """The one in force: the first by name where several name the host (`galley.analyze` reports the others)."""
        return next(iter(self.virtual_services.matching(service, namespace)), None)

    def hosts_without_service(self) -> tuple[tuple[str, ConfigObject[VirtualService]], ...]:
        """Hosts of virtual services that no platform knows: routed all the same, as Istio does."""
        exact = self.virtual_services.exact
        return tuple((host, exact[host][0]) for host in sorted(exact) if host not in self.hosts.by_host)


def _source_labels(objects: Iterable[ConfigObject[VirtualService]]) -> Iterable[str]:
    matches: Iterable[Any] = (match for each in objects for http in each.spec.http for match in http.match)
    return (key for match in matches for key, _ in match.source_labels)
