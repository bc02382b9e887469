"""Decides which services a proxy has anything of: those its scope takes in, and where routes lead from there. Pure."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

import attrs

from galley.config import ConfigObject
from galley.kinds.virtual_service import Destination, VirtualService
from pilot.model.proxy import OutboundView
from pilot.model.scope import HostPattern
from pilot.model.service import Service
from pilot.plan.index import Index, nearest
from pilot.plan.observers import provider_services

Patterns = tuple[HostPattern, ...] | None
"""What a listener's hosts say; None is everything."""


def reachable(index: Index, view: OutboundView) -> tuple[Service, ...]:
    """Services that the proxy has clusters for, ordered by host: those in scope, where their routes lead, and whoever
    may be told of its traffic."""
    patterns = view.scope.patterns
    if patterns is None:
        return index.hosts.visible(view.namespace)
    found = {service.host: service for service in services(index, view, patterns)}
    led_to = [(host, rule.namespace) for rule in _rules(index, view, found.values()) for host in destinations(rule)]
    proxy = view.scope.egress_proxy.rpartition("|")[2]
    for host, namespace in (*led_to, (proxy, view.namespace)):
        service = index.hosts.find(host, namespace)
        if service and service.is_visible_to(view.namespace):
            found.setdefault(service.host, service)
    for service in provider_services(index, view.namespace):
        found.setdefault(service.host, service)
    return tuple(found[host] for host in sorted(found))


def reachable_service(index: Index, view: OutboundView, host: str) -> Service | None:
    """The one of `reachable` that goes by this whole name."""
    patterns = view.scope.patterns
    if patterns is None:
        return index.hosts.find(host, view.namespace)
    members = [each for each in index.hosts.by_host.get(host, ()) if _takes_service(patterns, each, view)]
    return nearest(members, view.namespace) or next(
        (service for service in reachable(index, view) if host in service.hosts), None
    )


def services(index: Index, view: OutboundView, patterns: Patterns) -> tuple[Service, ...]:
    """One service a host of those that the patterns take in and the namespace may see, ordered by host."""
    if patterns is None:
        return index.hosts.visible(view.namespace)
    by_host: defaultdict[str, dict[str, Service]] = defaultdict(dict)
    for pattern in patterns:
        for service in _candidates(index, pattern):
            if _takes_service((pattern,), service, view):
                by_host[service.host][service.namespace] = service
    chosen = (nearest([found[name] for name in sorted(found)], view.namespace) for _, found in sorted(by_host.items()))
    return tuple(filter(None, chosen))


def takes_host(patterns: Patterns, namespace: str, host: str) -> bool:
    """Whether a host that no platform knows is in scope, when a virtual service of `namespace` names it."""
    return patterns is None or any(each.takes(namespace, host) for each in patterns)


def _rules(index: Index, view: OutboundView, found: Iterable[Service]) -> Iterator[ConfigObject[VirtualService]]:
    """Those in force for the services, and for further hosts in scope."""
    for service in found:
        rule = index.virtual_service(service, view.namespace)
        if rule:
            yield rule
    for host, rule in index.hosts_without_service(view.namespace):
        if takes_host(view.scope.patterns, rule.namespace, host):
            yield rule


@functools.lru_cache(maxsize=8192)
def destinations(rule: ConfigObject[Any]) -> tuple[str, ...]:
    """The hosts that a virtual service leads to, wherever they stand in it."""
    return tuple(dict.fromkeys(each.host for each in _find(rule.spec)))


def _takes_service(patterns: tuple[HostPattern, ...], service: Service, view: OutboundView) -> bool:
    return service.is_visible_to(view.namespace) and any(each.takes_service(service) for each in patterns)


def _candidates(index: Index, pattern: HostPattern) -> Iterable[Service]:
    """An exact host is looked up, so that a thousand proxies with short lists do not walk through the whole mesh."""
    if pattern.is_exact:
        return index.hosts.by_host.get(pattern.host, ())
    return (service for found in index.hosts.by_host.values() for service in found)


def _find(value: Any) -> Iterator[Destination]:
    if isinstance(value, Destination):
        yield value
    elif isinstance(value, tuple):
        for each in value:
            yield from _find(each)
    elif attrs.has(type(value)):
        for field in attrs.fields(type(value)):
            yield from _find(getattr(value, field.name))
