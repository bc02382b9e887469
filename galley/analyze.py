"""What is wrong between objects that are each fine by themselves, under Istio's own message codes.

Pure; called with the configuration in force and the hosts that the platforms know, whenever either changes. Everything
here is a warning: a host may come up later, and planning copes with what is missing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from types import MappingProxyType

import attrs

from galley.config import Config, ConfigObject, Problem
from galley.delegates import delegate_findings
from galley.document import Path
from galley.finding import Finding, path_text
from galley.gateway_findings import gateway_findings
from galley.kinds.virtual_service import (
    Destination,
    HTTPMatchRequest,
    HTTPRoute,
    StringMatch,
    TCPRoute,
    TLSRoute,
    VirtualService,
)
from galley.route_findings import Spoken, route_findings
from galley.service_findings import entry_hosts, service_findings
from galley.telemetry_findings import telemetry_findings

NOT_FOUND = "IST0101"  # ReferencedResourceNotFound
CONFLICTING_HOSTS = "IST0109"  # ConflictingMeshGatewayVirtualServiceHosts
UNREACHABLE_RULE = "IST0130"  # VirtualServiceUnreachableRule

_EVERYTHING = (HTTPMatchRequest(), HTTPMatchRequest(uri=StringMatch(prefix="/")))


def analyze(
    config: Config, hosts: Collection[str], ports: Mapping[str, Spoken] = MappingProxyType({})
) -> tuple[Problem, ...]:
    """All findings. `hosts` are the full names that the platforms know; a short name stands for those it begins.

    `ports` says of them what is spoken there; of a host that is not in it nothing is said.
    """
    known = _Hosts({*hosts, *entry_hosts(config)})
    subsets = _subsets(config, known)
    problems: list[Problem] = []
    for each in config.virtual_services:
        problems += _destinations(each, known, subsets)
        problems += _unreachable(each)
    problems += (_of_finding(*each) for each in delegate_findings(config.virtual_services))
    for rule in config.destination_rules:
        if not known.has(rule.spec.host):
            problems.append(_unknown_host(rule, ("spec", "host"), rule.spec.host))
    problems += service_findings(config, hosts, known.has)
    problems += gateway_findings(config)
    problems += route_findings(config, ports, known.full_name)
    problems += telemetry_findings(config, known.has)
    return (*problems, *_conflicts(config.virtual_services, known))


class _Hosts:
    """The known hosts, found by full name, by short name and by wildcard."""

    def __init__(self, hosts: Collection[str]) -> None:
        self._full = frozenset(host.lower() for host in hosts)
        self._by_short: dict[str, set[str]] = {}
        for host in self._full:
            self._by_short.setdefault(host.split(".", 1)[0], set()).add(host)

    def has(self, host: str) -> bool:
        """Whether any known host is meant by `host`."""
        host = host.lower()
        if host.startswith("*."):
            return any(each.endswith(host[1:]) for each in self._full)
        return host in self._full or ("." not in host and host in self._by_short)

    def full_name(self, host: str, namespace: str) -> str:
        """The one name for a host: what a short name stands for, its namespace kept apart if that is not known."""
        host = host.lower()
        if "." in host or host in self._full:
            return host
        meant = self._by_short.get(host, set())
        return next(iter(meant)) if len(meant) == 1 else f"{host}.{namespace}"


_Subsets = dict[str, set[str]]


def _subsets(config: Config, known: _Hosts) -> _Subsets:
    subsets: _Subsets = {}
    for rule in config.destination_rules:
        names = {subset.name for subset in rule.spec.subsets}
        subsets.setdefault(known.full_name(rule.spec.host, rule.namespace), set()).update(names)
    return subsets


def _destinations(service: ConfigObject[VirtualService], known: _Hosts, subsets: _Subsets) -> Iterator[Problem]:
    for path, destination in _all_destinations(service.spec):
        host = destination.host
        if not known.has(host):
            yield _unknown_host(service, (*path, "host"), host)
        elif destination.subset and not _has_subset(
            subsets, known.full_name(host, service.namespace), destination.subset
        ):
            message = f"{path_text((*path, 'subset'))} refers to subset {destination.subset!r} of {host}, not found"
            mend = "define it in a DestinationRule for the host, or correct the name"
            yield _warning(service, message, mend, NOT_FOUND)


def _all_destinations(spec: VirtualService) -> Iterator[tuple[Path, Destination]]:
    for index, route in enumerate(spec.http):
        for number, http in enumerate(route.route):
            if http.destination is not None:
                yield ("spec", "http", index, "route", number, "destination"), http.destination
        if route.mirror is not None:
            yield ("spec", "http", index, "mirror"), route.mirror
        for number, mirror in enumerate(route.mirrors):
            if mirror.destination is not None:
                yield ("spec", "http", index, "mirrors", number, "destination"), mirror.destination
    opaque_routes: tuple[tuple[str, tuple[TLSRoute | TCPRoute, ...]], ...] = (("tls", spec.tls), ("tcp", spec.tcp))
    for name, opaque in opaque_routes:
        for index, each in enumerate(opaque):
            for number, tcp in enumerate(each.route):
                if tcp.destination is not None:
                    yield ("spec", name, index, "route", number, "destination"), tcp.destination


def _has_subset(subsets: _Subsets, host: str, name: str) -> bool:
    parts = host.split(".")
    meant = (host, *("*." + ".".join(parts[count:]) for count in range(1, len(parts))))
    return any(name in subsets.get(of, ()) for of in meant)


def _unknown_host(each: ConfigObject[object], path: Path, host: str) -> Problem:
    message = f"{path_text(path)} refers to host {host!r}, not found"
    return _warning(each, message, "correct the name, or register the service", NOT_FOUND)


def _warning(each: ConfigObject[object], message: str, mend: str, code: str) -> Problem:
    return Problem(each.origin, str(each), message, mend, code, warning=True)


def _of_finding(each: ConfigObject[VirtualService], finding: Finding) -> Problem:
    return _warning(each, finding.text, finding.mend, NOT_FOUND if finding.message.endswith("not found") else "")


def _conflicts(services: Iterable[ConfigObject[VirtualService]], known: _Hosts) -> Iterator[Problem]:
    """Of those for the mesh, which are not merged: a client has the first that it sees."""
    first: dict[str, list[ConfigObject[VirtualService]]] = {}
    for each in services:
        if each.spec.gateways and "mesh" not in each.spec.gateways:
            continue
        for host in each.spec.hosts:
            name = known.full_name(host, each.namespace)
            others = first.setdefault(name, [])
            other = next((other for other in others if _seen_together(other, each)), None)
            if other is None:
                others.append(each)
            elif other is not each:
                message = f"host {host!r} is also routed by {other} ({other.origin})"
                yield _warning(each, message, "merge the two, or leave the host to one of them", CONFLICTING_HOSTS)


def _seen_together(one: ConfigObject[VirtualService], other: ConfigObject[VirtualService]) -> bool:
    """Whether some namespace sees both."""
    ours, theirs = _audience(one), _audience(other)
    return bool(ours and theirs) and ("*" in ours or "*" in theirs or bool(ours & theirs))


def _audience(rule: ConfigObject[VirtualService]) -> set[str]:
    """The namespaces that see the rule; `*` among them is all, none at all is nobody."""
    names = rule.spec.export_to or ("*",)
    return {rule.namespace if name == "." else name for name in names if name != "~"}


def _unreachable(service: ConfigObject[VirtualService]) -> Iterator[Problem]:
    catch_all: int | None = None
    seen: dict[HTTPMatchRequest, int] = {}
    for index, route in enumerate(service.spec.http):
        hidden_by = catch_all if catch_all is not None else _hidden_by(route, seen)
        if hidden_by is not None:
            message = f"spec.http[{index}]{_named(route)} is never reached: spec.http[{hidden_by}] takes its requests"
            mend = f"move it before spec.http[{hidden_by}], or remove it"
            yield _warning(service, message, mend, UNREACHABLE_RULE)
        if route.delegate is not None:
            continue  # what its delegate does not take goes on to the next rule
        for match in route.match:
            seen.setdefault(_nameless(match), index)
        if catch_all is None and _takes_all(route):
            catch_all = index


def _hidden_by(route: HTTPRoute, seen: dict[HTTPMatchRequest, int]) -> int | None:
    """The rule that has every match of this one before it."""
    places = [seen.get(_nameless(match)) for match in route.match]
    found = [place for place in places if place is not None]
    return found[0] if found and len(found) == len(places) else None


def _takes_all(route: HTTPRoute) -> bool:
    return not route.match or any(_nameless(match) in _EVERYTHING for match in route.match)


def _nameless(match: HTTPMatchRequest) -> HTTPMatchRequest:
    return attrs.evolve(match, name="")


def _named(route: HTTPRoute) -> str:
    return f" ({route.name})" if route.name else ""
