"""Decides where connections go that are not looked into: by TCP and TLS routes of a virtual service. Pure.

The first match of the list decides. Envoy decides otherwise: it looks for the narrowest subnet of the destination, then
among the chains of that subnet alone for the narrowest server name. So the list is made a table here: for each subnet
that is named, and for all the rest, every server name that no earlier match of the list has taken.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence

import attrs

from galley.kinds import virtual_service as kind
from pilot import ir
from pilot.model.service import Protocol, Service, has_labels
from pilot.plan import names
from pilot.plan.bindings import match_applies_to
from pilot.plan.client import Client
from pilot.plan.split import Rule, split

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
ANY_NAME = ""


@attrs.frozen
class L4Route:
    """A split, and the connections that it is for. Nothing said is: any server name, any destination."""

    clusters: tuple[ir.WeightedCluster, ...]
    server_names: tuple[str, ...] = ()
    destinations: tuple[str, ...] = ()
    tls: bool = False

    @property
    def takes_all(self) -> bool:
        return not self.server_names and not self.destinations


@attrs.frozen
class _Entry:
    """One match of the list, or a route without any."""

    clusters: tuple[ir.WeightedCluster, ...]
    names: tuple[str, ...] = (ANY_NAME,)
    networks: tuple[Network, ...] = ()

    def holds(self, subnet: Network | None) -> bool:
        """Whether all of the subnet is meant; None are the destinations that no match names."""
        return not self.networks or (subnet is not None and any(_within(subnet, each) for each in self.networks))


def tcp_routes(client: Client, rule: Rule, port: int) -> tuple[L4Route, ...]:
    """The rule's TCP routes for connections to `port`; what none of them takes is not there."""
    entries: list[_Entry] = []
    for route in rule.spec.tcp:
        matches = [match for match in route.match if _applies(client, rule, match, port)]
        if matches or not route.match:
            clusters = _clusters(client, rule, port, route.route)
            entries += (_Entry(clusters, networks=_networks(match)) for match in matches)
            entries += () if route.match else (_Entry(clusters),)
    return _table(entries, tls=False)


def tls_routes(client: Client, rule: Rule, port: int) -> tuple[L4Route, ...]:
    """The rule's TLS routes for connections to `port`, by the server name that the client asks for."""
    entries: list[_Entry] = []
    for route in rule.spec.tls:
        clusters: tuple[ir.WeightedCluster, ...] | None = None
        for match in route.match:
            if _applies(client, rule, match, port):
                clusters = clusters or _clusters(client, rule, port, route.route)
                entries.append(_Entry(clusters, _server_names(match), _networks(match)))
    return _table(entries, tls=True)


def _applies(client: Client, rule: Rule, match: kind.L4MatchAttributes | kind.TLSMatchAttributes, port: int) -> bool:
    """The parts of a match that are known before any connection."""
    return (
        match.port in (0, port)
        and match.source_namespace in ("", client.view.namespace)
        and has_labels(client.view.labels, match.source_labels)
        and match_applies_to(match.gateways, rule.namespace, client.gateway)
    )


def _clusters(
    client: Client, rule: Rule, port: int, routes: Iterable[kind.RouteDestination]
) -> tuple[ir.WeightedCluster, ...]:
    return split(client, rule, port, [(each.destination, each.weight, None, "") for each in routes])


def _networks(match: kind.L4MatchAttributes | kind.TLSMatchAttributes) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(each, strict=False) for each in match.destination_subnets)


def _server_names(match: kind.TLSMatchAttributes) -> tuple[str, ...]:
    return tuple(ANY_NAME if name == "*" else name.lower() for name in match.sni_hosts)


def _table(entries: Sequence[_Entry], *, tls: bool) -> tuple[L4Route, ...]:
    """Every subnet's own list of server names; subnets that came out alike stay together."""
    subnets = dict.fromkeys(each for entry in entries for each in entry.networks)
    found: dict[tuple[tuple[str, ...], tuple[ir.WeightedCluster, ...], bool], list[str]] = {}
    for subnet in (*subnets, None):
        for wanted, clusters in _of_subnet(entries, subnet):
            place = found.setdefault((wanted, clusters, subnet is None), [])
            place += () if subnet is None else (str(subnet),)
    return tuple(
        L4Route(clusters, tuple(filter(None, wanted)), tuple(networks), tls)
        for (wanted, clusters, _), networks in found.items()
    )


def _of_subnet(
    entries: Sequence[_Entry], subnet: Network | None
) -> list[tuple[tuple[str, ...], tuple[ir.WeightedCluster, ...]]]:
    taken: set[str] = set()
    rows: list[tuple[tuple[str, ...], tuple[ir.WeightedCluster, ...]]] = []
    for entry in entries:
        if not entry.holds(subnet):
            continue
        new = []
        for name in entry.names:
            if not _covered(name, taken):
                taken.add(name)
                new.append(name)
        # Any name beside others stands in a row of its own: Envoy knows it as a chain that names none.
        rows += [((name,), entry.clusters) for name in new if name == ANY_NAME]
        narrow = tuple(name for name in new if name != ANY_NAME)
        rows += [(narrow, entry.clusters)] if narrow else []
    return rows


def _covered(name: str, taken: set[str]) -> bool:
    """Whether whoever asks for `name` asks for one of those that are taken: it, any, or a wildcard above it."""
    labels = name.split(".")
    wildcards = (".".join(("*", *labels[count:])) for count in range(1, len(labels)))
    return ANY_NAME in taken or name in taken or any(each in taken for each in wildcards)


def _within(subnet: Network, other: Network) -> bool:
    if isinstance(subnet, ipaddress.IPv4Network):
        return isinstance(other, ipaddress.IPv4Network) and subnet.subnet_of(other)
    return isinstance(other, ipaddress.IPv6Network) and subnet.subnet_of(other)


def connection_routes(client: Client, service: Service | None, host: str, number: int) -> tuple[L4Route, ...]:
    """Where connections to a port of a service go.

    TLS routes stand for the service as a whole: who asks for another name is sent nowhere. Without any for this port,
    and for what no TCP route takes, it is the service's own cluster.
    """
    itself = L4Route((ir.WeightedCluster(names.outbound_cluster(host, number), 100),))
    rule = client.index.virtual_service(service, client.view.namespace) if service else None
    if service is None or rule is None:
        return (itself,)
    port = service.port(number)
    by_name = tls_routes(client, rule, number) if port and port.protocol in (Protocol.TLS, Protocol.HTTPS) else ()
    if by_name:
        return by_name
    found = tcp_routes(client, rule, number)
    return found if any(each.takes_all for each in found) else (*found, itself)
