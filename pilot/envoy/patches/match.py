"""Where a patch belongs: its match held against the resources that we serve, and against what is inside them. Pure.

Ports count as Istio's users mean them: a listener goes by the port that it listens on and by that of the service or
workload that it is for; a virtual host of the listener for all services by the service's port in its name.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import attrs

from galley.envoy_patches import ProtocolListenerMatch
from galley.kinds.envoy_filter import (
    ApplyTo,
    ClusterMatch,
    FilterChainMatch,
    ListenerMatch,
    OldProtocol,
    RouteAction,
    RouteConfigurationMatch,
    RouteMatch,
    VirtualHostMatch,
)
from pilot import ir
from pilot.envoy.patches.check import MANAGER, type_of
from pilot.model.patch import Patch

LISTENERS = frozenset(
    {ApplyTo.LISTENER, ApplyTo.LISTENER_FILTER, ApplyTo.FILTER_CHAIN, ApplyTo.NETWORK_FILTER, ApplyTo.HTTP_FILTER}
)
ROUTES = frozenset({ApplyTo.ROUTE_CONFIGURATION, ApplyTo.VIRTUAL_HOST, ApplyTo.HTTP_ROUTE})
_ACTIONS = {
    RouteAction.ROUTE: "route",
    RouteAction.REDIRECT: "redirect",
    RouteAction.DIRECT_RESPONSE: "direct_response",
}


@attrs.frozen
class ListenerFacts:
    """What a listener goes by."""

    name: str
    address: str
    ports: frozenset[int]
    inbound: bool


def listener_facts(value: ir.Listener) -> ListenerFacts:
    """Its own port, and those of what its chains are for."""
    ports = {value.port, *(_port_of_chain(chain) for chain in value.chains)} - {0}
    return ListenerFacts(value.name, value.address, frozenset(ports), value.direction is ir.Direction.INBOUND)


def _port_of_chain(chain: ir.FilterChain) -> int:
    if isinstance(chain.filter, ir.HttpConnectionManager):
        routes = chain.filter.routes
        return route_port(routes.name if routes else chain.filter.route_name)
    return _number(chain.filter.stat_prefix.split("|")[1]) if chain.filter.stat_prefix.count("|") == 3 else 0


def route_port(name: str) -> int:
    """`15001`, `web.example:80`, `inbound|8080||`, `http.80`, `https.443.…`: the port in it, else 0."""
    if name.count("|") == 3:
        return _number(name.split("|")[1])
    first, dot, rest = name.partition(".")
    if dot and first in ("http", "https") and _number(rest.partition(".")[0]):
        return _number(rest.partition(".")[0])
    return _number(name.rpartition(":")[2])


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) <= 5 else 0


def takes_listener(patch: Patch, facts: ListenerFacts) -> bool:
    """Whether the patch is for something of this listener."""
    match = patch.match.listener or ListenerMatch()
    if isinstance(match, ProtocolListenerMatch) and match.addresses and facts.address not in match.addresses:
        return False
    return match.name in ("", facts.name) and (not match.port_number or match.port_number in facts.ports)


def takes_chain(patch: Patch, chain: Any, facts: ListenerFacts) -> bool:
    """Whether the patch, which is for the listener, is for something of this chain."""
    listener = patch.match.listener or ListenerMatch()
    if isinstance(listener, ProtocolListenerMatch) and not _carries(listener.protocol, chain):
        return False
    match = listener.filter_chain or FilterChainMatch()
    rule = chain.filter_chain_match
    ports = facts.ports if facts.inbound and not rule.HasField("destination_port") else {rule.destination_port.value}
    wanted = [each.strip() for each in match.application_protocols.split(",") if each.strip()]
    return (
        match.name in ("", chain.name)
        and (not match.sni or match.sni in rule.server_names)
        and match.transport_protocol in ("", rule.transport_protocol)
        and all(each in rule.application_protocols for each in wanted)
        and (not match.destination_port or match.destination_port in ports)
    )


def _carries(protocol: OldProtocol, chain: Any) -> bool:
    http = any(type_of(each.typed_config) == MANAGER for each in chain.filters)
    return protocol is OldProtocol.ALL or http is (protocol is OldProtocol.HTTP)


def named_filter(patch: Patch) -> str:
    """The network filter that the match names; empty for none."""
    chain = patch.match.listener.filter_chain if patch.match.listener else None
    return chain.filter.name if chain and chain.filter else ""


def named_http_filter(patch: Patch) -> str:
    """The HTTP filter that the match names; empty for none."""
    chain = patch.match.listener.filter_chain if patch.match.listener else None
    inner = chain.filter.sub_filter if chain and chain.filter else None
    return inner.name if inner else ""


def takes_routes(patch: Patch, name: str, domains: Collection[str] = ()) -> bool:
    """Whether the patch is for something of the route configuration `name`.

    `domains` are names of virtual hosts in it, of which one with the wanted port is enough below the top.
    """
    match = patch.match.route_configuration or RouteConfigurationMatch()
    if match.port_number and match.port_number != route_port(name):
        inside = patch.spec.apply_to is not ApplyTo.ROUTE_CONFIGURATION
        if not inside or not any(route_port(each) == match.port_number for each in domains):
            return False
    return match.name in ("", name) and _of_gateway(match, name)


def _of_gateway(match: RouteConfigurationMatch, name: str) -> bool:
    """Port name and Gateway are told apart for HTTPS only, whose servers have route configurations of their own."""
    if not match.gateway and not match.port_name:
        return True
    scheme, _, rest = name.partition(".")
    _, _, rest = rest.partition(".")
    port_name, _, gateway = rest.partition(".")
    namespace, _, bare = match.gateway.rpartition("/")
    wanted = f"{bare}.{namespace}"
    of_gateway = not match.gateway or gateway == wanted or gateway.startswith(f"{wanted}.")
    return scheme == "https" and of_gateway and match.port_name in ("", port_name)


def takes_virtual_host(patch: Patch, host: Any, routes: str) -> bool:
    """Whether the patch, which is for the route configuration `routes`, is for something of this virtual host."""
    match = patch.match.route_configuration or RouteConfigurationMatch()
    if match.port_number and match.port_number not in (route_port(routes), route_port(host.name)):
        return False
    inner = match.vhost or VirtualHostMatch()
    return inner.name in ("", host.name) and (not inner.domain_name or inner.domain_name in host.domains)


def named_route(patch: Patch) -> RouteMatch | None:
    """The route that the match names; None for none."""
    match = patch.match.route_configuration
    return match.vhost.route if match and match.vhost else None


def is_route(match: RouteMatch, route: Any) -> bool:
    """Whether the match names this route."""
    action = _ACTIONS.get(match.action)
    return match.name in ("", route.name) and (action is None or route.HasField(action))


def takes_cluster(patch: Patch, name: str, services: Mapping[str, str]) -> bool:
    """Whether the patch is for this cluster; `services` are the hosts of inbound clusters, by their names."""
    match = patch.match.cluster or ClusterMatch()
    if match.name:
        return match.name == name
    _, port, subset, host = name.split("|") if name.count("|") == 3 else ("", "", "", "")
    return (
        match.subset in ("", subset)
        and match.service in ("", host or services.get(name, ""))
        and (not match.port_number or match.port_number == _number(port))
    )
