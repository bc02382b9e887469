"""Who a name means: services by host, and the rules that apply to each.

Built once per snapshot, read by the rest of `pilot.plan`; pure. Istio's rules of resolution: a full host is itself; a
name without a dot is looked up beside the rule that uses it (same namespace first); `*.suffix` matches any host below
it, and only where no rule names the host itself; the longest suffix wins.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar

import attrs

from galley.config import Config, ConfigObject
from galley.delegates import merge_delegates
from galley.gateway_api.services import KnownService
from galley.gateway_api.translate import Translation, translate
from galley.kinds.destination_rule import DestinationRule
from galley.kinds.envoy_filter import EnvoyFilter
from galley.kinds.gateway import Gateway
from galley.kinds.sidecar import Sidecar
from galley.kinds.virtual_service import VirtualService
from galley.visibility import exported
from pilot.model.catalog import Catalog
from pilot.model.credential import NO_CREDENTIALS, Credentials
from pilot.model.mixer import MixerPolicy
from pilot.model.proxy import OutboundView
from pilot.model.service import Service, has_labels
from pilot.model.snapshot import Snapshot
from pilot.plan.authorization import Policies
from pilot.plan.bindings import MESH, applies_to
from pilot.plan.change import endpoints_only
from pilot.plan.config_services import NO_SERVICES, with_config_services
from pilot.plan.locality import asks_for_locality, client_labels
from pilot.plan.memo import Memo
from pilot.plan.peers import NOTHING_SAID, Peers

T = TypeVar("T")


@attrs.frozen(eq=False)
class Hosts:
    """Services by the names they go by."""

    by_host: Mapping[str, tuple[Service, ...]]
    by_short_name: Mapping[str, tuple[Service, ...]]
    _visible: dict[str, tuple[Service, ...]] = attrs.field(factory=dict, init=False, repr=False)

    @classmethod
    def of(cls, catalog: Catalog) -> Hosts:
        by_host: defaultdict[str, list[Service]] = defaultdict(list)
        by_short_name: defaultdict[str, list[Service]] = defaultdict(list)
        for service in sorted(catalog.services.values(), key=lambda each: (each.key.namespace, each.key.host)):
            for host in service.hosts:
                by_host[host].append(service)
            if not service.configured:
                for name in dict.fromkeys(map(short_name, service.hosts)):
                    by_short_name[name].append(service)
        return cls(
            {host: tuple(found) for host, found in by_host.items()},
            {name: tuple(found) for name, found in by_short_name.items()},
        )

    def find(self, name: str, namespace: str) -> Service | None:
        """The service that `name` means when said in `namespace`."""
        found = self.by_host.get(name, ())
        if not found and "." not in name:
            found = self.by_short_name.get(name, ())
        return nearest([each for each in found if each.is_visible_to(namespace)], namespace)

    def full_name(self, name: str, namespace: str) -> str:
        """The host that `name` means when said in `namespace`; a name that no service goes by is itself."""
        service = self.find(name, namespace)
        return service.host if service else name

    def visible(self, namespace: str) -> tuple[Service, ...]:
        """One service a host, as clients of `namespace` see them, ordered by host; under its own host only."""
        known = self._visible.get(namespace)
        if known is None:
            known = self._visible[namespace] = tuple(self._seen_from(namespace))
        return known

    def _seen_from(self, namespace: str) -> Iterator[Service]:
        seen = (
            [each for each in found if each.host == host and each.is_visible_to(namespace)]
            for host, found in sorted(self.by_host.items())
        )
        return (service for found in seen if (service := nearest(found, namespace)))


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

    def matching(
        self,
        service: Service,
        client_namespace: str,
        applies: Callable[[ConfigObject[T]], bool] = lambda rule: True,
    ) -> tuple[ConfigObject[T], ...]:
        """Rules of the service's host: those of the client's namespace, else of the service's, else of any.

        Rules that the client's namespace is not to see, and those that do not apply, are as if they were not there.
        """
        named = self.exact.get(service.host, ())
        if not named and not self.wildcards:
            return ()
        below = (rules for suffix, rules in self.wildcards if any(host.endswith(suffix) for host in service.hosts))
        groups = itertools.chain((named,), below)
        seen = (tuple(each for each in group if exported(each, client_namespace) and applies(each)) for group in groups)
        found = next(filter(None, seen), ())
        for namespace in (client_namespace, service.namespace):
            own = tuple(each for each in found if each.namespace == namespace)
            if own:
                return own
        return found


@attrs.frozen(eq=False)
class Index:
    """All that planning looks up in one snapshot."""

    catalog: Catalog
    """What the platforms told and the services that the configuration adds."""
    hosts: Hosts
    routing: tuple[ConfigObject[VirtualService], ...]
    """Virtual services for the mesh and for gateways alike, each whole: routes of delegates stand in their place."""
    virtual_services: Rules[VirtualService]
    """Those of them that are for the mesh."""
    destination_rules: Rules[DestinationRule]
    source_labels: frozenset[str]
    """Label keys of clients that some rule asks for; the others can't make two clients differ."""
    sidecars: Mapping[str, tuple[ConfigObject[Sidecar], ...]]
    envoy_filters: Mapping[str, tuple[ConfigObject[EnvoyFilter], ...]]
    gateways: Mapping[str, ConfigObject[Gateway]]
    """By NAMESPACE/NAME; listeners of the Gateway API by NAMESPACE/GATEWAY~LISTENER."""
    translation: Translation
    """What became of objects of the Gateway API."""
    config: Config
    asks_for_locality: bool
    """Whether some rule makes traffic depend on where the client runs."""
    peers: Peers = NOTHING_SAID
    policies: Policies = attrs.field(factory=Policies)
    """Who may ask whom."""
    rules_of_destinations: tuple[ConfigObject[DestinationRule], ...] = ()
    mixer: MixerPolicy | None = None
    credentials: Credentials = attrs.field(default=NO_CREDENTIALS, repr=False)
    services_memo: Memo = attrs.field(factory=Memo)
    """For what follows from what its keys name, and from nothing else in the index."""
    routes_memo: Memo = attrs.field(factory=Memo)
    """For what follows from services, their endpoints aside, and from destination rules too: begins anew with these."""

    @classmethod
    def of(cls, snapshot: Snapshot, before: Index | None = None) -> Index:
        """`before` is the last index: what is as it was there stays the same object."""
        config = snapshot.config
        catalog = with_config_services(snapshot.catalog, config, before.catalog if before else NO_SERVICES)
        hosts = before.hosts if before and before.catalog is catalog else Hosts.of(catalog)
        translation = _translation(config, catalog, before)
        routing = (*merge_delegates(config.virtual_services, hosts.full_name), *translation.virtual_services)
        return cls(
            catalog=catalog,
            hosts=hosts,
            sidecars=_by_namespace(config.sidecars),
            envoy_filters=_by_namespace(config.envoy_filters),
            gateways={f"{each.namespace}/{each.name}": each for each in (*config.gateways, *translation.gateways)},
            translation=translation,
            config=config,
            routing=routing,
            virtual_services=Rules.of(
                (rule for rule in routing if applies_to(rule, MESH)), lambda spec: spec.hosts, hosts
            ),
            destination_rules=Rules.of(config.destination_rules, lambda spec: (spec.host,), hosts),
            source_labels=frozenset(
                (*_source_labels(routing), *client_labels(config.destination_rules)),
            ),
            asks_for_locality=any(map(asks_for_locality, config.destination_rules)),
            policies=Policies.of(config),
            peers=Peers.of(config, before.peers if before else None),
            rules_of_destinations=config.destination_rules,
            mixer=snapshot.mixer,
            credentials=snapshot.credentials,
            services_memo=Memo(before.services_memo if before else None),
            routes_memo=Memo(before.routes_memo if before and _routes_stay(before, catalog, config) else None),
        )

    def destination_rules_for(self, service: Service, view: OutboundView) -> tuple[ConfigObject[DestinationRule], ...]:
        """Those in force for a client: with a selector that takes it in, else those without one."""
        key = ("destination rules", service.key, view)
        return self.routes_memo.get(key, lambda: self._destination_rules_for(service, view))

    def _destination_rules_for(self, service: Service, view: OutboundView) -> tuple[ConfigObject[DestinationRule], ...]:
        found = self.destination_rules.matching(service, view.namespace, lambda rule: _selects(rule, view))
        selector = next((rule.spec.workload_selector for rule in found if rule.spec.workload_selector), None)
        return tuple(rule for rule in found if rule.spec.workload_selector == selector)

    def virtual_service(self, service: Service, namespace: str) -> ConfigObject[VirtualService] | None:
        """The one in force: the first by name where several name the host (`galley.analyze` reports the others)."""
        return next(iter(self.virtual_services.matching(service, namespace)), None)

    def hosts_without_service(self, namespace: str) -> tuple[tuple[str, ConfigObject[VirtualService]], ...]:
        """Hosts of virtual services that no platform knows, wildcards among them: routed all the same, as Istio does.

        Each with the rule in force for clients of `namespace`: one of their own first.
        """
        exact = self.virtual_services.exact
        named = [(host, exact[host]) for host in sorted(exact)]
        named += ((f"*{suffix}", rules) for suffix, rules in self.virtual_services.wildcards if suffix)
        named = [(host, rules) for host, rules in named if host not in self.hosts.by_host]
        found = []
        for host, rules in named:
            seen = sorted(
                (each for each in rules if exported(each, namespace)), key=lambda each: each.namespace != namespace
            )
            found += [(host, seen[0])] if seen else []
        return tuple(found)


def _routes_stay(before: Index, catalog: Catalog, config: Config) -> bool:
    """Whether a virtual service that did not change makes the routes that it made before."""
    same_rules = len(before.rules_of_destinations) == len(config.destination_rules) and all(
        old is new for old, new in zip(before.rules_of_destinations, config.destination_rules, strict=True)
    )
    return same_rules and endpoints_only(before.catalog, catalog) is not None


def _translation(config: Config, catalog: Catalog, before: Index | None) -> Translation:
    """Anew where the objects changed, or more of services than endpoints."""
    if before is None:
        return translate(config, map(_known, catalog.services.values()))
    if before.config is config and endpoints_only(before.catalog, catalog) is not None:
        return before.translation
    return translate(config, map(_known, catalog.services.values()), before.translation)


def _known(service: Service) -> KnownService:
    ports = tuple(port.number for port in service.distinct_ports)
    names = () if service.configured else tuple(map(short_name, service.hosts))
    return KnownService(service.namespace, service.host, ports, names, service.aliases)


def _by_namespace(objects: Iterable[ConfigObject[T]]) -> Mapping[str, tuple[ConfigObject[T], ...]]:
    found: defaultdict[str, list[ConfigObject[T]]] = defaultdict(list)
    for each in objects:
        found[each.namespace].append(each)
    return {namespace: tuple(members) for namespace, members in found.items()}


def _selects(rule: ConfigObject[DestinationRule], view: OutboundView) -> bool:
    """Selectors reach no further than the rule's own namespace."""
    selector = rule.spec.workload_selector
    return selector is None or (rule.namespace == view.namespace and has_labels(view.labels, selector.match_labels))


def _source_labels(objects: Iterable[ConfigObject[VirtualService]]) -> Iterable[str]:
    routes: Iterable[Any] = (route for each in objects for route in (*each.spec.http, *each.spec.tls, *each.spec.tcp))
    matches = (match for route in routes for match in route.match)
    return (key for match in matches for key, _ in match.source_labels)
