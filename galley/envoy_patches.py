"""The patches of an EnvoyFilter in one form, whichever of the two it is written in, with the place of each. Pure.

Read by the checks of the kind, by planning and by whoever reads the values. Istio 1.1 put filters in by `filters`; each
becomes the patches that say the same. Filters that Envoy calls by another name since are called by the new one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import attrs

from galley.document import Path
from galley.kinds.envoy_filter import (
    ApplyTo,
    EnvoyConfigObjectMatch,
    EnvoyConfigObjectPatch,
    EnvoyFilter,
    FilterChainMatch,
    FilterMatch,
    InsertPosition,
    ListenerMatch,
    OldFilter,
    OldFilterType,
    OldIndex,
    OldListenerMatch,
    OldProtocol,
    Operation,
    Patch,
    PatchContext,
    SubFilterMatch,
)
from galley.schema import Struct

HTTP_MANAGER = "envoy.filters.network.http_connection_manager"
TCP_PROXY = "envoy.filters.network.tcp_proxy"
ROUTER = "envoy.filters.http.router"

_HTTP_TYPES: Mapping[str, str] = {
    "buffer": "Buffer",
    "cors": "Cors",
    "csrf": "CsrfPolicy",
    "ext_authz": "ExtAuthz",
    "fault": "HTTPFault",
    "grpc_http1_bridge": "Config",
    "grpc_json_transcoder": "GrpcJsonTranscoder",
    "grpc_web": "GrpcWeb",
    "header_to_metadata": "Config",
    "health_check": "HealthCheck",
    "ip_tagging": "IPTagging",
    "jwt_authn": "JwtAuthentication",
    "lua": "Lua",
    "ratelimit": "RateLimit",
    "rbac": "RBAC",
    "tap": "Tap",
}
_NETWORK_TYPES: Mapping[str, str] = {
    "echo": "Echo",
    "ext_authz": "ExtAuthz",
    "mongo_proxy": "MongoProxy",
    "ratelimit": "RateLimit",
    "rbac": "RBAC",
    "redis_proxy": "RedisProxy",
    "sni_cluster": "SniCluster",
    "tcp_proxy": "TcpProxy",
    "thrift_proxy": "ThriftProxy",
    "zookeeper_proxy": "ZooKeeperProxy",
}
_MOVED_HTTP = {"envoy.rate_limit": "envoy.filters.http.ratelimit", "envoy.router": ROUTER}
_MOVED_NETWORK = {"envoy.http_connection_manager": HTTP_MANAGER, "envoy.client_ssl_auth": ""}
_LISTENER_FILTERS = ("http_inspector", "original_dst", "original_src", "proxy_protocol", "tls_inspector")


@attrs.frozen
class ProtocolListenerMatch(ListenerMatch):
    """With what only Istio 1.1 could ask for: `addresses` that a listener is bound to, and `protocol` of a chain."""

    addresses: tuple[str, ...] = ()
    protocol: OldProtocol = OldProtocol.ALL


@attrs.frozen
class Placed:
    """A patch, and where in the document it stands; `value_path` is where its value does."""

    path: Path
    value_path: Path
    patch: EnvoyConfigObjectPatch


def patches_of(spec: EnvoyFilter) -> Iterator[Placed]:
    """All patches in the order in which they are written."""
    for index, patch in enumerate(spec.config_patches):
        here: Path = ("spec", "configPatches", index)
        yield Placed(here, (*here, "patch", "value"), _with_new_names(patch))
    for index, old in enumerate(spec.filters):
        here = ("spec", "filters", index)
        for patch in _of_old_form(old):
            yield Placed(here, (*here, "filterConfig"), patch)


def new_name(name: str, http: bool) -> str:
    """What Envoy calls an HTTP or a network filter now; the name itself where that is it."""
    moved = (_MOVED_HTTP if http else _MOVED_NETWORK).get(name)
    if moved is not None:
        return moved or name
    family, types = ("http", _HTTP_TYPES) if http else ("network", _NETWORK_TYPES)
    short = name.removeprefix("envoy.")
    return f"envoy.filters.{family}.{short}" if short != name and short in types else name


def old_type(name: str, http: bool) -> str:
    """The type URL of the configuration of a filter that Istio 1.1 knew by its name alone; empty for another."""
    family, types = ("http", _HTTP_TYPES) if http else ("network", _NETWORK_TYPES)
    short = new_name(name, http).removeprefix(f"envoy.filters.{family}.")
    if short not in types:
        return ""
    return f"type.googleapis.com/envoy.extensions.filters.{family}.{short}.v3.{types[short]}"


def _with_new_names(patch: EnvoyConfigObjectPatch) -> EnvoyConfigObjectPatch:
    match = patch.match
    if match is None or match.listener is None:
        return patch
    listener = match.listener
    chain = listener.filter_chain
    if chain is not None and chain.filter is not None:
        chain = attrs.evolve(chain, filter=_renamed(chain.filter))
    short = listener.listener_filter.removeprefix("envoy.listener.")
    name = f"envoy.filters.listener.{short}" if short in _LISTENER_FILTERS else listener.listener_filter
    listener = attrs.evolve(listener, filter_chain=chain, listener_filter=name)
    return attrs.evolve(patch, match=attrs.evolve(match, listener=listener))


def _renamed(filter_: FilterMatch) -> FilterMatch:
    inner = filter_.sub_filter
    return FilterMatch(
        new_name(filter_.name, http=False), SubFilterMatch(new_name(inner.name, http=True)) if inner else None
    )


def _of_old_form(old: OldFilter) -> Iterator[EnvoyConfigObjectPatch]:
    http = old.filter_type is OldFilterType.HTTP
    match = old.listener_match or OldListenerMatch()
    position = old.insert_position or InsertPosition()
    for operation, beside in _places(http, match.listener_protocol, position):
        yield EnvoyConfigObjectPatch(
            ApplyTo.HTTP_FILTER if http else ApplyTo.NETWORK_FILTER,
            EnvoyConfigObjectMatch(
                context=PatchContext(match.listener_type.value),
                listener=ProtocolListenerMatch(
                    port_number=match.port_number,
                    filter_chain=FilterChainMatch(filter=beside),
                    addresses=match.address,
                    protocol=match.listener_protocol,
                ),
            ),
            Patch(operation, _old_value(old, http)),
        )


def _places(
    http: bool, protocol: OldProtocol, position: InsertPosition
) -> Iterator[tuple[Operation, FilterMatch | None]]:
    """Last is before the filter that ends a chain, since nothing behind that is ever reached."""
    beside = new_name(position.relative_to, http)
    last = position.index in (OldIndex.LAST, OldIndex.AFTER)
    if beside and position.index in (OldIndex.BEFORE, OldIndex.AFTER):
        operation = Operation.INSERT_AFTER if last else Operation.INSERT_BEFORE
        yield operation, FilterMatch(HTTP_MANAGER, SubFilterMatch(beside)) if http else FilterMatch(beside)
    elif not last:
        yield Operation.INSERT_FIRST, FilterMatch(HTTP_MANAGER) if http else None
    elif http:
        yield Operation.INSERT_BEFORE, FilterMatch(HTTP_MANAGER, SubFilterMatch(ROUTER))
    else:
        if protocol is not OldProtocol.TCP:
            yield Operation.INSERT_BEFORE, FilterMatch(HTTP_MANAGER)
        if protocol is not OldProtocol.HTTP:
            yield Operation.INSERT_BEFORE, FilterMatch(TCP_PROXY)


def _old_value(old: OldFilter, http: bool) -> Struct:
    """The filter with its type, which Envoy went by the name for then."""
    config = old.filter_config.plain() if old.filter_config else {}
    typed = {"@type": old_type(old.filter_name, http), **config}
    return Struct.of({"name": new_name(old.filter_name, http), "typed_config": typed})
