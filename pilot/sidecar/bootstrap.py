"""Envoy's bootstrap for a sidecar, as the plain JSON data that `envoy --config-path` reads.

Called by the `bootstrap` command and by `pilot.sidecar.launch`. Pure, and without Envoy's message classes, so that a
host that only runs sidecars does not load them; a test holds the result against the real message and the real Envoy.
"""

from __future__ import annotations

import posixpath
from typing import Any

from pilot.model.proxy import Upstream
from pilot.model.service import Locality
from pilot.sidecar.identity import sds_cluster, xds_transport_socket
from pilot.sidecar.settings import LOOPBACK, SettingsError, SidecarSettings, XdsAddress, XdsMode
from pilot.sidecar.stats import stats_config

XDS_CLUSTER = "xds-grpc"
ADMIN_CLUSTER = "admin"
HEALTH = "health"
METRICS = "metrics"
READY_PATH = "/healthz/ready"
METRICS_PATH = "/stats/prometheus"
MAX_DOWNSTREAM_CONNECTIONS = 50_000
_TYPE = "type.googleapis.com/"
_RECONNECT = {"retry_back_off": {"base_interval": "0.5s", "max_interval": "5s"}}
"""How soon a lost control plane is looked for again: Envoy's own back-off grows to half a minute."""
_RUNTIME = {"layers": [{"name": "mesh", "static_layer": {"re2": {"max_program_size": {"error_level": 32768}}}}]}
"""Istio's limit for compiled regular expressions; Envoy's own of 100 refuses quite ordinary ones."""
_HTTP_PROTOCOL_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def bootstrap(settings: SidecarSettings) -> dict[str, Any]:
    """envoy.config.bootstrap.v3.Bootstrap. Raises SettingsError if a listener needs an admin port that isn't known yet.

    Envoy opens no listener, not even the one for health, before the control plane has told it of clusters and
    listeners: a sidecar that knows nothing must not pass for ready.
    """
    _refuse_unknown_admin(settings)
    return {
        "node": node(settings),
        "admin": {"address": _socket(LOOPBACK, settings.admin_port), "ignore_global_conn_limit": True},
        "dynamic_resources": _dynamic_resources(settings.xds_mode),
        "static_resources": {"clusters": _clusters(settings), "listeners": _listeners(settings)},
        "stats_config": stats_config(),
        "deferred_stat_options": {"enable_deferred_creation_stats": True},
        "overload_manager": _overload_manager(),
        "layered_runtime": _RUNTIME,
    }


def node(settings: SidecarSettings) -> dict[str, Any]:
    """envoy.config.core.v3.Node, whose id and metadata are what `pilot.model.proxy.parse_proxy` reads."""
    instance = f"{settings.name}.{settings.namespace}"
    found: dict[str, Any] = {
        "id": f"{'router' if settings.gateway else 'sidecar'}~{settings.address}~{instance}~{settings.dns_domain}",
        "cluster": f"{settings.service}.{settings.namespace}",
        "metadata": _metadata(settings),
    }
    if settings.locality != Locality():
        found["locality"] = _locality(settings.locality)
    return found


def _metadata(settings: SidecarSettings) -> dict[str, Any]:
    found: dict[str, Any] = {
        "NAME": settings.name,
        "NAMESPACE": settings.namespace,
        "LABELS": dict(settings.labels),
    }
    if settings.identity:
        found |= {"MESH_IDENTITY": "sds"} | ({"SERVICE_ACCOUNT": settings.account} if settings.account else {})
    if settings.identity_files:
        found |= _identity(settings.identity_files)
    if settings.gateway:
        return found
    return found | {
        "OUTBOUND_ADDRESS": LOOPBACK,
        "OUTBOUND_PORT": settings.outbound_port,
        "INBOUND": _inbound(settings),
        "UPSTREAMS": [_upstream(each) for each in settings.upstreams],
    }


def _identity(folder: str) -> dict[str, str]:
    """Istio's names for the files of a proxy that serves; what it calls with is the same."""
    files = {"CERT_CHAIN": "cert-chain.pem", "KEY": "key.pem", "ROOT_CERT": "root-cert.pem"}
    named = {f"TLS_SERVER_{name}": posixpath.join(folder, file) for name, file in files.items()}
    return {"MESH_IDENTITY": "files", **named}


def _inbound(settings: SidecarSettings) -> list[dict[str, Any]]:
    if settings.port is None:
        return []
    return [
        {
            "port": settings.port,
            "listen": settings.inbound_port,
            "address": settings.everywhere,
            "protocol": settings.protocol.value,
            "service": settings.service,
        }
    ]


def _upstream(upstream: Upstream) -> dict[str, Any]:
    return {
        "host": upstream.host,
        "port": upstream.port,
        "bindPort": upstream.bind_port,
        "bindAddress": upstream.bind_address,
    }


def _locality(locality: Locality) -> dict[str, str]:
    parts = {"region": locality.region, "zone": locality.zone, "sub_zone": locality.subzone}
    return {name: value for name, value in parts.items() if value}


def _dynamic_resources(mode: XdsMode) -> dict[str, Any]:
    """An initial fetch timeout of 0 waits for ever: the default would call an empty proxy ready after 15 seconds."""
    source = {"ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": "0s"}
    return {
        "lds_config": source,
        "cds_config": source,
        "ads_config": {
            "api_type": "DELTA_GRPC" if mode is XdsMode.DELTA else "GRPC",
            "transport_api_version": "V3",
            "set_node_on_first_message_only": True,
            "grpc_services": [{"envoy_grpc": {"cluster_name": XDS_CLUSTER, "retry_policy": _RECONNECT}}],
        },
    }


def _clusters(settings: SidecarSettings) -> list[dict[str, Any]]:
    clusters = [_xds_cluster(settings.xds_addr)]
    if settings.identity:
        clusters[0]["transport_socket"] = xds_transport_socket(settings.identity)
        clusters.append(sds_cluster(settings.identity))
    if settings.health_port or settings.metrics_port:
        clusters.append(_cluster(ADMIN_CLUSTER, "STATIC", _socket(LOOPBACK, settings.admin_port)))
    return clusters


def _xds_cluster(address: XdsAddress) -> dict[str, Any]:
    """A connection that answers no ping is given up after 20 s, so that a dead control plane is noticed."""
    where = {"pipe": {"path": address.path}} if address.path else _socket(address.host, address.port)
    keepalive = {"interval": "15s", "timeout": "5s"}
    options = {
        "@type": _TYPE + _HTTP_PROTOCOL_OPTIONS,
        "explicit_http_config": {"http2_protocol_options": {"connection_keepalive": keepalive}},
    }
    found = _cluster(XDS_CLUSTER, "STRICT_DNS" if address.needs_dns else "STATIC", where)
    if address.needs_dns:
        found |= {"dns_lookup_family": "V4_PREFERRED", "respect_dns_ttl": True}
    return found | {
        "typed_extension_protocol_options": {_HTTP_PROTOCOL_OPTIONS: options},
        "upstream_connection_options": {"tcp_keepalive": {"keepalive_time": 30}},
    }


def _cluster(name: str, discovery: str, address: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "type": discovery,
        "connect_timeout": "5s",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
    }


def _listeners(settings: SidecarSettings) -> list[dict[str, Any]]:
    """One path each of the admin interface, which itself stays on loopback: it could stop the proxy."""
    wanted = (
        (HEALTH, settings.health_port, READY_PATH, "/ready"),
        (METRICS, settings.metrics_port, METRICS_PATH, METRICS_PATH),
    )
    here = settings.everywhere
    return [_listener(name, _socket(here, port), path, target) for name, port, path, target in wanted if port]


def _listener(name: str, address: dict[str, Any], path: str, admin_path: str) -> dict[str, Any]:
    """It answers however busy the proxy is. A port shared with another process would have that one answer for it."""
    route = {"match": {"path": path}, "route": {"cluster": ADMIN_CLUSTER, "prefix_rewrite": admin_path}}
    manager = {
        "@type": f"{_TYPE}envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name,
        "route_config": {"name": name, "virtual_hosts": [{"name": name, "domains": ["*"], "routes": [route]}]},
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"{_TYPE}envoy.extensions.filters.http.router.v3.Router"},
            }
        ],
    }
    return {
        "name": name,
        "stat_prefix": name,
        "address": address,
        "enable_reuse_port": False,
        "ignore_global_conn_limit": True,
        "filter_chains": [
            {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
        ],
    }


def _overload_manager() -> dict[str, Any]:
    """Envoy warns of a proxy without a limit; this one is its own manual's, far above what one workload takes."""
    limit = {
        "@type": f"{_TYPE}envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
        "max_active_downstream_connections": MAX_DOWNSTREAM_CONNECTIONS,
    }
    name = "envoy.resource_monitors.global_downstream_max_connections"
    return {"resource_monitors": [{"name": name, "typed_config": limit}]}


def _socket(address: str, port: int) -> dict[str, Any]:
    return {"socket_address": {"address": address, "port_value": port}}


def _refuse_unknown_admin(settings: SidecarSettings) -> None:
    for option, port in (("--health-port", settings.health_port), ("--metrics-port", settings.metrics_port)):
        if port and not settings.admin_port:
            mend = f"give --admin-port a number, or {option} 0"
            raise SettingsError("--admin-port", f"{option} {port} leads to an admin port that Envoy would choose", mend)
