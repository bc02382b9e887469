"""Decides which Gateways a router is for, and what comes of several on one port. Pure.

Istio's rules: a Gateway is for the routers that carry all labels of its selector, whatever their namespace. Gateways
are taken by namespace and name. Servers for HTTP share a port, and so do those for TLS, which differ by server name;
another protocol has its port alone. Who comes later and can't share is left out (`galley.analyze` tells operators).
"""

from __future__ import annotations

import enum
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

import attrs

from galley.config import ConfigObject
from galley.hostnames import shared_hosts
from galley.kinds import gateway as kind
from galley.visibility import exported
from pilot.model.proxy import OutboundView
from pilot.model.service import Protocol, has_labels
from pilot.plan.bindings import full_name
from pilot.plan.client import Client
from pilot.plan.index import Index
from pilot.plan.split import Rule

EVERYWHERE = "0.0.0.0"
ANY_NAMESPACE, OWN_NAMESPACE = "*", "."


class Family(enum.Enum):
    """What may stand together on one port."""

    HTTP = "http"
    TLS = "tls"
    TCP = "tcp"


@attrs.frozen
class GatewayServer:
    """A server of a Gateway, and the virtual services for the Gateway that lead on from the server's hosts."""

    client: Client
    gateway: ConfigObject[kind.Gateway]
    spec: kind.Server
    port: kind.ServerPort
    rules: tuple[Rule, ...]

    @property
    def protocol(self) -> Protocol:
        return Protocol.parse(self.port.protocol) or Protocol.TCP

    @property
    def family(self) -> Family:
        if self.protocol.is_http:
            return Family.HTTP
        return Family.TLS if self.protocol in (Protocol.HTTPS, Protocol.TLS) else Family.TCP

    @property
    def passes_tls_on(self) -> bool:
        return self.spec.tls is None or self.spec.tls.mode is kind.ServerTLSmode.PASSTHROUGH

    @property
    def redirects_to_https(self) -> bool:
        return self.family is Family.HTTP and self.spec.tls is not None and self.spec.tls.https_redirect

    @property
    def hosts(self) -> tuple[str, ...]:
        """Each once, without the namespaces that it is for."""
        return tuple(dict.fromkeys(host for _, host in hosts_by_namespace(self.gateway, self.spec)))

    def shared_hosts(self, rule: Rule) -> tuple[str, ...]:
        """Hosts that the server and the rule have in common: of two that meet, the narrower."""
        named: Iterable[str] = rule.spec.hosts
        if not self.gateway.spec.of_api:
            named = [self.client.index.hosts.full_name(host, rule.namespace) for host in named]
        return shared_hosts(self.hosts_for(rule.namespace), named)

    def hosts_for(self, namespace: str) -> tuple[str, ...]:
        """Those that virtual services of the namespace may serve."""
        found = hosts_by_namespace(self.gateway, self.spec)
        return tuple(host for where, host in found if where in (ANY_NAMESPACE, namespace))


@attrs.frozen
class GatewayPort:
    """An address that a router listens on, with the servers that share it."""

    address: str
    number: int
    servers: tuple[GatewayServer, ...]

    @property
    def family(self) -> Family:
        return self.servers[0].family


def selected(index: Index, view: OutboundView) -> tuple[str, ...]:
    """The Gateways for a router, in the order in which they count."""
    return tuple(sorted(name for name, each in index.gateways.items() if _selects(each, view)))


def _selects(gateway: ConfigObject[kind.Gateway], view: OutboundView) -> bool:
    """Those of the Gateway API go by name, which is one in a namespace only."""
    if gateway.spec.of_api and gateway.namespace != view.namespace:
        return False
    return has_labels(view.labels, gateway.spec.selector)


def gateway_ports(index: Index, view: OutboundView, gateways: Iterable[str]) -> tuple[GatewayPort, ...]:
    """What a router that is for these Gateways listens on."""
    bound = _rules_by_gateway(index, view.namespace)
    found: defaultdict[tuple[str, int], list[GatewayServer]] = defaultdict(list)
    for name in gateways:
        for server in _servers(Client(index, view, name), index.gateways[name], bound):
            beside = found[server.spec.bind or EVERYWHERE, server.port.number]
            if not beside or _may_share(beside, server):
                beside.append(server)
    return tuple(GatewayPort(address, number, tuple(servers)) for (address, number), servers in sorted(found.items()))


def hosts_by_namespace(gateway: ConfigObject[kind.Gateway], server: kind.Server) -> tuple[tuple[str, str], ...]:
    """Namespace (`*` is any) and host of each of the server's hosts, in lower case."""
    parts = (text.lower().rpartition("/") for text in server.hosts)
    return tuple(
        (gateway.namespace if namespace == OWN_NAMESPACE else namespace or ANY_NAMESPACE, host)
        for namespace, _, host in parts
    )


def _rules_by_gateway(index: Index, namespace: str) -> Mapping[str, tuple[Rule, ...]]:
    """Virtual services that the router's namespace may see, by the Gateways that they name."""
    found: defaultdict[str, list[Rule]] = defaultdict(list)
    for rule in index.routing:
        if exported(rule, namespace):
            for name in dict.fromkeys(full_name(each, rule.namespace) for each in rule.spec.gateways):
                found[name].append(rule)
    return {name: tuple(rules) for name, rules in found.items()}


def _servers(
    client: Client, gateway: ConfigObject[kind.Gateway], bound: Mapping[str, tuple[Rule, ...]]
) -> Iterator[GatewayServer]:
    for spec in gateway.spec.servers:
        if spec.port is not None:
            server = GatewayServer(client, gateway, spec, spec.port, ())
            rules = tuple(rule for rule in bound.get(client.gateway, ()) if server.shared_hosts(rule))
            yield attrs.evolve(server, rules=rules)


def _may_share(beside: list[GatewayServer], server: GatewayServer) -> bool:
    if server.family is not beside[0].family or server.family is Family.TCP:
        return False
    taken = {host for each in beside for host in each.hosts}
    return server.family is Family.HTTP or taken.isdisjoint(server.hosts)
