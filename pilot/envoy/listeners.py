"""Prints listeners and their network filters."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from envoy_data_plane.envoy.config.listener import v3 as library
from envoy_data_plane.envoy.extensions.filters.listener.http_inspector import v3 as inspector_library
from envoy_data_plane.envoy.extensions.filters.listener.tls_inspector import v3 as tls_inspector_library
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager import v3 as manager_library
from envoy_data_plane.envoy.extensions.filters.network.rbac import v3 as rbac_library
from envoy_data_plane.envoy.extensions.filters.network.set_filter_state import v3 as filter_state_library
from envoy_data_plane.envoy.extensions.filters.network.tcp_proxy import v3 as tcp_library

from pilot import ir
from pilot.envoy import codec
from pilot.envoy.access_logs import access_log
from pilot.envoy.filters import http_filters
from pilot.envoy.mixer import http_log, tcp_check, tcp_log
from pilot.envoy.rbac import filter_fields
from pilot.envoy.routes import route_configuration
from pilot.envoy.sources import ADS, origin_metadata
from pilot.envoy.tracing import request_id, tracing
from pilot.envoy.transport import server_transport_socket

_Listener = codec.message(library.Listener)
_Manager = codec.message(manager_library.HttpConnectionManager)
_SetFilterState = codec.message(filter_state_library.Config)
_Rbac = codec.message(rbac_library.Rbac)
_TcpProxy = codec.message(tcp_library.TcpProxy)
_INSPECTOR = {
    "name": "envoy.filters.listener.http_inspector",
    "typed_config": codec.pack(codec.message(inspector_library.HttpInspector)()),
}
_TLS_INSPECTOR = {
    "name": "envoy.filters.listener.tls_inspector",
    "typed_config": codec.pack(codec.message(tls_inspector_library.TlsInspector)()),
}
DETECTION_TIMEOUT = timedelta(milliseconds=100)
"""How long a client may stay silent before its connection counts as one of a protocol where the server speaks first."""


def listener(value: ir.Listener) -> Any:
    """envoy.config.listener.v3.Listener."""
    found = _Listener(
        name=value.name,
        address={"socket_address": {"address": value.address, "port_value": value.port}},
        traffic_direction=value.direction.value,
        filter_chains=[_chain(chain) for chain in value.chains],
        **origin_metadata(value.origin),
    )
    if value.tls_inspector:
        found.listener_filters.add(**_TLS_INSPECTOR)
    if value.http_inspector:
        found.listener_filters.add(**_INSPECTOR)
    if value.http_inspector or value.silence is not None:
        found.listener_filters_timeout.FromTimedelta(DETECTION_TIMEOUT if value.silence is None else value.silence)
        found.continue_on_listener_filters_timeout = True
    return found


def api_listener(value: ir.ApiListener) -> Any:
    """envoy.config.listener.v3.Listener, without an address."""
    return _Listener(name=value.name, api_listener={"api_listener": codec.pack(_manager(value.http))})


def route_names(value: ir.Listener) -> tuple[str, ...]:
    """Names of the route configurations that the listener asks for by RDS."""
    filters = (chain.filter for chain in value.chains)
    return tuple(each.route_name for each in filters if isinstance(each, ir.HttpConnectionManager) and each.route_name)


def _chain(value: ir.FilterChain) -> dict[str, Any]:
    match = {
        "application_protocols": value.application_protocols,
        "transport_protocol": value.transport_protocol,
        "server_names": value.server_names,
        "prefix_ranges": [_prefix_range(subnet) for subnet in value.destinations],
    }
    needed = value.application_protocols or value.transport_protocol or value.server_names or value.destinations
    return {
        "name": value.name,
        **({"filter_chain_match": match} if needed else {}),
        "filters": [*_rbac(value.filter), *_alpn(value.filter), *_network_filters(value.filter)],
        **({"transport_socket": server_transport_socket(value.tls)} if value.tls else {}),
    }


def _prefix_range(subnet: str) -> dict[str, Any]:
    address, _, length = subnet.partition("/")
    return {"address_prefix": address, "prefix_len": {"value": int(length)}}


def _network_filters(value: ir.HttpConnectionManager | ir.TcpProxy) -> list[dict[str, Any]]:
    """The filter, after what lets no connection reach it that Mixer refuses."""
    if isinstance(value, ir.HttpConnectionManager):
        return [
            {"name": "envoy.filters.network.http_connection_manager", "typed_config": codec.pack(_manager(value))},
        ]
    proxy = {"name": "envoy.filters.network.tcp_proxy", "typed_config": codec.pack(_tcp_proxy(value))}
    if value.mixer is None or not value.mixer.check:
        return [proxy]
    return [{"name": "envoy.filters.network.ext_authz", "typed_config": codec.pack(tcp_check(value.mixer))}, proxy]


def _rbac(value: ir.HttpConnectionManager | ir.TcpProxy) -> list[dict[str, Any]]:
    """Who may connect; of HTTP each request is asked instead."""
    if isinstance(value, ir.HttpConnectionManager):
        return []
    stat = {"stat_prefix": "tcp."}
    found = (codec.pack(_Rbac(**filter_fields(each), **stat)) for each in value.authorization)
    return [{"name": "envoy.filters.network.rbac", "typed_config": each} for each in found]


def _alpn(value: ir.HttpConnectionManager | ir.TcpProxy) -> list[dict[str, Any]]:
    """The network filter that says what the connection to the cluster offers, where it is not what the cluster says."""
    if isinstance(value, ir.HttpConnectionManager) or not value.alpn:
        return []
    said = {
        "object_key": "envoy.network.application_protocols",
        "format_string": {"text_format_source": {"inline_string": ",".join(value.alpn)}},
    }
    config = codec.pack(_SetFilterState(on_new_connection=[said]))
    return [{"name": "envoy.filters.network.set_filter_state", "typed_config": config}]


def _manager(value: ir.HttpConnectionManager) -> Any:
    """Streams may idle (WebSocket, gRPC): Istio switches Envoy's five minutes off too."""
    found = _Manager(
        stat_prefix=value.stat_prefix,
        http_filters=http_filters(value),
        upgrade_configs=[{"upgrade_type": each} for each in value.upgrades],
        use_remote_address={"value": value.use_remote_address},
        normalize_path={"value": value.normalize_path},
        merge_slashes=value.merge_slashes,
        stream_idle_timeout=timedelta(0),
        server_name=value.server_name,
        access_log=[access_log(each) for each in value.access_logs],
        **({"tracing": tracing(value.tracing), **request_id(value.tracing)} if value.tracing else {}),
    )
    if value.mixer and value.mixer.report:
        found.access_log.append(http_log(value.mixer))
    if value.unescape_slashes:
        found.path_with_escaped_slashes_action = "UNESCAPE_AND_FORWARD"
    if value.routes:
        found.route_config.CopyFrom(route_configuration(value.routes))
    else:
        found.rds.route_config_name = value.route_name
        found.rds.config_source.MergeFrom(_ADS)
    return found


_ADS = _Manager(rds={"config_source": ADS}).rds.config_source


def _tcp_proxy(value: ir.TcpProxy) -> Any:
    found = _TcpProxy(stat_prefix=value.stat_prefix, access_log=[access_log(each) for each in value.access_logs])
    if len(value.clusters) == 1:
        found.cluster = value.clusters[0].cluster
    else:
        for each in value.clusters:
            found.weighted_clusters.clusters.add(name=each.cluster, weight=each.weight)
    if value.idle_timeout is not None:
        found.idle_timeout.FromTimedelta(value.idle_timeout)
    if value.max_connection_duration is not None:
        found.max_downstream_connection_duration.FromTimedelta(value.max_connection_duration)
    if value.hash_source_ip:
        found.hash_policy.add(source_ip={})
    if value.tunnel:
        found.tunneling_config.hostname = value.tunnel.target
        found.tunneling_config.use_post = value.tunnel.post
    if value.mixer and value.mixer.report:
        found.access_log.append(tcp_log(value.mixer))
    return found
