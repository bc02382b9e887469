"""What a proxy is to do, in Envoy's words but without its types: the border between deciding and printing.

`pilot.plan` makes these values, `pilot.envoy` prints them and takes no decision. All are frozen and hashable, so equal
content is found in the cache and never encoded twice. Names of classes and fields follow Envoy's v3 API where the
meaning is the same. Durations are `timedelta`; an absent value is None and then Envoy's own default holds.
"""

from __future__ import annotations

import attrs

from pilot.ir.clusters import (
    CircuitBreakers,
    Cluster,
    Discovery,
    Http2Keepalive,
    LbEndpoint,
    LoadAssignment,
    LoadBalancer,
    LocalityEndpoints,
    OutlierDetection,
    ProxyProtocol,
    RetryBudget,
    SlowStart,
    TcpKeepalive,
    UpstreamHttp,
)
from pilot.ir.listeners import ApiListener, Direction, FilterChain, HttpConnectionManager, Listener, TcpProxy, Tunnel
from pilot.ir.mixer import Mixer
from pilot.ir.routes import (
    Action,
    Cors,
    DirectResponse,
    Fault,
    Forward,
    HashOf,
    HashPolicy,
    HeaderMatch,
    HeaderOperations,
    MatchKind,
    Mirror,
    Redirect,
    RetryPolicy,
    Route,
    RouteConfiguration,
    RouteMatch,
    StringMatch,
    VirtualHost,
    WeightedCluster,
)
from pilot.ir.telemetry import AccessLog, LogKind, SpanTag, TagKind, Tracer, Tracing
from pilot.ir.tls import AltName, AltNameKind, Secret, SecretRef, SecretSource, ServerTls, Tls

__all__ = [
    "AccessLog",
    "Action",
    "AltName",
    "AltNameKind",
    "ApiListener",
    "CircuitBreakers",
    "Cluster",
    "Cors",
    "DirectResponse",
    "Direction",
    "Discovery",
    "Fault",
    "FilterChain",
    "Forward",
    "HashOf",
    "HashPolicy",
    "HeaderMatch",
    "HeaderOperations",
    "Http2Keepalive",
    "HttpConnectionManager",
    "LbEndpoint",
    "Listener",
    "LoadAssignment",
    "LoadBalancer",
    "LocalityEndpoints",
    "LogKind",
    "MatchKind",
    "Mirror",
    "Mixer",
    "OutlierDetection",
    "Plan",
    "ProxyProtocol",
    "Redirect",
    "RetryBudget",
    "RetryPolicy",
    "Route",
    "RouteConfiguration",
    "RouteMatch",
    "Secret",
    "SecretRef",
    "SecretSource",
    "ServerTls",
    "SlowStart",
    "SpanTag",
    "StringMatch",
    "TagKind",
    "TcpKeepalive",
    "TcpProxy",
    "Tls",
    "Tracer",
    "Tracing",
    "Tunnel",
    "UpstreamHttp",
    "VirtualHost",
    "WeightedCluster",
]


@attrs.frozen(cache_hash=True)
class Plan:
    """All that one view of the mesh is to be told, by type; each tuple sorted by name, names unique."""

    clusters: tuple[Cluster, ...] = ()
    endpoints: tuple[LoadAssignment, ...] = ()
    listeners: tuple[Listener, ...] = ()
    api_listeners: tuple[ApiListener, ...] = ()
    routes: tuple[RouteConfiguration, ...] = ()
    secrets: tuple[Secret, ...] = ()
