"""Listeners: where a proxy is spoken to, and by which chain of filters a connection goes."""

from __future__ import annotations

import enum
from datetime import timedelta

import attrs

from pilot.ir.authorization import Rbac
from pilot.ir.mixer import Mixer
from pilot.ir.routes import RouteConfiguration, WeightedCluster
from pilot.ir.telemetry import AccessLog, Tracing
from pilot.ir.tls import ServerTls


@attrs.frozen(cache_hash=True)
class HttpConnectionManager:
    """An HTTP filter chain: routes by RDS (`route_name`) or inline (`routes`); exactly one is set."""

    stat_prefix: str
    route_name: str = ""
    routes: RouteConfiguration | None = None
    upgrades: tuple[str, ...] = ("websocket",)
    use_remote_address: bool = False
    server_name: str = ""
    dynamic_forward_proxy: bool = False
    """Whether routes may lead to a DYNAMIC_FORWARD_PROXY cluster."""
    grpc_web: bool = False
    """Whether gRPC-Web requests are made gRPC ones."""
    routes_may_fault: bool = False
    routes_may_cors: bool = False
    """Whether filters stand ready for what routes say of faults and origins."""
    mixer: Mixer | None = None
    access_logs: tuple[AccessLog, ...] = ()
    tracing: Tracing | None = None
    authorization: tuple[Rbac, ...] = ()
    """Who may ask, in this order."""
    normalize_path: bool = True
    merge_slashes: bool = False
    unescape_slashes: bool = False


@attrs.frozen(cache_hash=True)
class TcpProxy:
    stat_prefix: str
    clusters: tuple[WeightedCluster, ...]
    idle_timeout: timedelta | None = None
    max_connection_duration: timedelta | None = None
    hash_source_ip: bool = False
    alpn: tuple[str, ...] = ()
    """What a TLS connection to the cluster offers, in the place of what the cluster says."""
    tunnel: Tunnel | None = None
    mixer: Mixer | None = None
    access_logs: tuple[AccessLog, ...] = ()
    authorization: tuple[Rbac, ...] = ()
    """Who may connect, in this order."""


@attrs.frozen(cache_hash=True)
class Tunnel:
    """The connection inside an HTTP request, CONNECT or POST, to `target` (`host:port`)."""

    target: str
    post: bool = False


@attrs.frozen(cache_hash=True)
class FilterChain:
    filter: HttpConnectionManager | TcpProxy
    name: str = ""
    application_protocols: tuple[str, ...] = ()
    transport_protocol: str = ""
    server_names: tuple[str, ...] = ()
    destinations: tuple[str, ...] = ()
    """Subnets in CIDR form, of which one must hold the address that the client dialled."""
    tls: ServerTls | None = None
    """How the chain ends TLS; None takes the bytes as they come."""


class Direction(enum.Enum):
    INBOUND = "INBOUND"
    OUTBOUND = "OUTBOUND"


@attrs.frozen(cache_hash=True)
class Listener:
    name: str
    address: str
    port: int
    direction: Direction
    chains: tuple[FilterChain, ...]
    http_inspector: bool = False
    tls_inspector: bool = False
    silence: timedelta | None = None
    """How long a client may say nothing before it counts as one that lets the server speak first; absent is as long
    as suits what is looked for."""
    origin: str = ""


@attrs.frozen(cache_hash=True)
class ApiListener:
    """A listener that nobody listens for: a gRPC client asks for it by the target it is to call."""

    name: str
    http: HttpConnectionManager
