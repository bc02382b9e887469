"""What Envoy would refuse of a patched message, as far as that can be told without it. Pure.

Only messages that a patch changed or brought are looked at. Envoy knows more rules than these: what passes here and not
there is a NACK, which names the EnvoyFilters that had a hand in the resource.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pilot.envoy import codec

_NETWORK = "envoy.extensions.filters.network."
_HTTP = "envoy.extensions.filters.http."
MANAGER = f"{_NETWORK}http_connection_manager.v3.HttpConnectionManager"
_ENDS_CONNECTIONS = frozenset(
    {
        MANAGER,
        f"{_NETWORK}direct_response.v3.Config",
        f"{_NETWORK}dubbo_proxy.v3.DubboProxy",
        f"{_NETWORK}echo.v3.Echo",
        f"{_NETWORK}generic_proxy.v3.GenericProxy",
        f"{_NETWORK}kafka_mesh.v3alpha.KafkaMesh",
        f"{_NETWORK}redis_proxy.v3.RedisProxy",
        f"{_NETWORK}reverse_tunnel.v3.ReverseTunnel",
        f"{_NETWORK}tcp_proxy.v3.TcpProxy",
        f"{_NETWORK}thrift_proxy.v3.ThriftProxy",
    }
)
_ENDS_REQUESTS = frozenset(
    {f"{_HTTP}router.v3.Router", f"{_HTTP}mcp_router.v3.McpRouter", f"{_HTTP}file_server.v3.FileServer"}
)
_UNJUDGED = ("contrib.", "dynamic_modules.", "wasm.", ".composite.", "xds.type.", "udpa.type.")
"""Types of which only what they hold, or Envoy itself, says whether they end a chain."""


class BrokenError(ValueError):
    """Envoy would refuse the message; the text says why."""


def type_of(value: Any) -> str:
    """The full name of what an Any holds."""
    name: str = value.type_url.rpartition("/")[2]
    return name


def check_part(message: Any) -> None:
    """Of any message that a patch may bring. BrokenError if Envoy would refuse it."""
    check = _CHECKS.get(message.DESCRIPTOR.full_name)
    if check is not None:
        check(message)


def check_listener(message: Any) -> None:
    """envoy.config.listener.v3.Listener."""
    _named(message, "the listener")
    if not message.HasField("address") and not message.HasField("api_listener"):
        raise BrokenError(f"listener {message.name} has no address")
    if message.HasField("address") and not message.address.WhichOneof("address"):
        raise BrokenError(f"listener {message.name} has an empty address")
    for each in message.listener_filters:
        _check_extension(each, "listener filter")
    chains = list(message.filter_chains)
    if not chains and not message.HasField("default_filter_chain") and not message.HasField("api_listener"):
        raise BrokenError(f"listener {message.name} has no filter chain")
    if not message.HasField("filter_chain_matcher"):
        _differ(chains)
    for chain in (*chains, *([message.default_filter_chain] if message.HasField("default_filter_chain") else ())):
        check_chain(chain)


def check_chain(message: Any) -> None:
    """envoy.config.listener.v3.FilterChain."""
    if not message.filters:
        raise BrokenError(f"filter chain {message.name or '(without a name)'} has no filter")
    for each in message.filters:
        check_network_filter(each)
    _check_end(message.filters, _ENDS_CONNECTIONS, _NETWORK, "network filter")


def check_network_filter(message: Any) -> None:
    """envoy.config.listener.v3.Filter, and the HTTP filters inside."""
    _check_extension(message, "network filter")
    if type_of(message.typed_config) != MANAGER:
        return
    manager = codec.message_of(MANAGER).FromString(message.typed_config.value)  # type: ignore[union-attr]
    if not manager.stat_prefix:
        raise BrokenError("the HTTP connection manager has no stat_prefix")
    if not manager.WhichOneof("route_specifier"):
        raise BrokenError("the HTTP connection manager has no routes: rds, route_config or scoped_routes")
    if not manager.http_filters:
        raise BrokenError("the HTTP connection manager has no http_filters; they end with the router")
    for each in manager.http_filters:
        check_http_filter(each)
    _check_end(manager.http_filters, _ENDS_REQUESTS, _HTTP, "HTTP filter")
    if manager.HasField("route_config"):
        check_routes(manager.route_config)


def check_http_filter(message: Any) -> None:
    """envoy.extensions.filters.network.http_connection_manager.v3.HttpFilter."""
    _check_extension(message, "HTTP filter")


def check_routes(message: Any) -> None:
    """envoy.config.route.v3.RouteConfiguration; one inside a listener may go without a name."""
    taken: dict[str, str] = {}
    for host in message.virtual_hosts:
        check_virtual_host(host)
        for domain in host.domains:
            if domain.lower() in taken:
                raise BrokenError(f"domain {domain!r} is in virtual host {taken[domain.lower()]} and in {host.name}")
            taken[domain.lower()] = host.name


def check_virtual_host(message: Any) -> None:
    """envoy.config.route.v3.VirtualHost."""
    _named(message, "the virtual host")
    if not message.domains:
        raise BrokenError(f"virtual host {message.name} has no domains")
    for route in message.routes:
        check_route(route)


def check_route(message: Any) -> None:
    """envoy.config.route.v3.Route."""
    name = message.name or "(without a name)"
    if not message.HasField("match") or not message.match.WhichOneof("path_specifier"):
        raise BrokenError(f"route {name} has no match of a path")
    if not message.WhichOneof("action"):
        raise BrokenError(f"route {name} has no action: route, redirect or direct_response")
    if message.HasField("route") and not message.route.WhichOneof("cluster_specifier"):
        raise BrokenError(f"route {name} leads to no cluster")


def check_cluster(message: Any) -> None:
    """envoy.config.cluster.v3.Cluster."""
    _named(message, "the cluster")
    if message.HasField("connect_timeout") and message.connect_timeout.ToNanoseconds() <= 0:
        raise BrokenError(f"cluster {message.name} has a connect_timeout that is not above 0s")
    if message.HasField("load_assignment") and not message.load_assignment.cluster_name:
        raise BrokenError(f"cluster {message.name} has a load_assignment without cluster_name")


def _named(message: Any, what: str) -> None:
    if not message.name:
        raise BrokenError(f"{what} has no name")


def _check_extension(message: Any, what: str) -> None:
    """Envoy finds extensions by the type of their configuration, not by their name."""
    _named(message, f"the {what}")
    if not message.WhichOneof("config_type"):
        raise BrokenError(f"{what} {message.name} has no typed_config")


def _check_end(filters: Iterable[Any], ending: frozenset[str], family: str, what: str) -> None:
    """The last ends the chain, and no other does."""
    found = list(filters)
    for index, each in enumerate(found):
        name = type_of(each.typed_config) if each.HasField("typed_config") else ""
        last = index == len(found) - 1
        judged = name.startswith(family) and not any(part in name for part in _UNJUDGED)
        if name in ending and not last:
            raise BrokenError(f"{what} {each.name} ends the chain and must be the last, but {found[-1].name} is")
        if last and judged and name not in ending:
            raise BrokenError(f"{what} {each.name} is the last, but does not end the chain")


def _differ(chains: Iterable[Any]) -> None:
    """No two chains take the same connections; with a matcher of the listener's own that is not judged."""
    seen: dict[bytes, str] = {}
    for chain in chains:
        rule = codec.encode(chain.filter_chain_match)
        name = chain.name or "(without a name)"
        if rule in seen:
            raise BrokenError(f"filter chains {seen[rule]} and {name} take the same connections")
        seen[rule] = name


_CHECKS: Mapping[str, Callable[[Any], None]] = {
    "envoy.config.listener.v3.Listener": check_listener,
    "envoy.config.listener.v3.FilterChain": check_chain,
    "envoy.config.listener.v3.Filter": check_network_filter,
    "envoy.config.listener.v3.ListenerFilter": lambda message: _check_extension(message, "listener filter"),
    f"{_NETWORK}http_connection_manager.v3.HttpFilter": check_http_filter,
    "envoy.config.route.v3.VirtualHost": check_virtual_host,
    "envoy.config.route.v3.Route": check_route,
    "envoy.config.cluster.v3.Cluster": check_cluster,
}
