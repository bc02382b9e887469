"""What the limits of a connection pool must hold beyond their types: a DestinationRule's, and a Sidecar's."""

from __future__ import annotations

from collections.abc import Iterator

from galley.checks.values import MILLISECOND, SECOND, check_duration, check_not_negative
from galley.document import Path
from galley.finding import Finding
from galley.kinds.destination_rule import (
    ConnectionKeepalive,
    ConnectionPoolSettings,
    H2UpgradePolicy,
    HTTPSettings,
    TCPSettings,
)


def check_connection_pool(pool: ConnectionPoolSettings | None, path: Path) -> Iterator[Finding]:
    """A connection pool, where there is one."""
    if pool is None:
        return
    if pool.tcp is not None:
        yield from _tcp(pool.tcp, (*path, "tcp"))
    if pool.http is not None:
        yield from _http(pool.http, (*path, "http"))


def _tcp(tcp: TCPSettings, path: Path) -> Iterator[Finding]:
    yield from check_not_negative(tcp.max_connections, (*path, "maxConnections"))
    yield from check_duration(tcp.connect_timeout, (*path, "connectTimeout"), least=MILLISECOND)
    yield from check_duration(tcp.max_connection_duration, (*path, "maxConnectionDuration"), least=MILLISECOND)
    yield from check_duration(tcp.idle_timeout, (*path, "idleTimeout"))
    if tcp.tcp_keepalive is not None:
        here = (*path, "tcpKeepalive")
        yield from check_duration(tcp.tcp_keepalive.time, (*here, "time"), least=SECOND, step=SECOND)
        yield from check_duration(tcp.tcp_keepalive.interval, (*here, "interval"), least=SECOND, step=SECOND)


def _http(http: HTTPSettings, path: Path) -> Iterator[Finding]:
    yield from check_not_negative(http.http1_max_pending_requests, (*path, "http1MaxPendingRequests"))
    yield from check_not_negative(http.http2_max_requests, (*path, "http2MaxRequests"))
    yield from check_not_negative(http.max_requests_per_connection, (*path, "maxRequestsPerConnection"))
    yield from check_not_negative(http.max_retries, (*path, "maxRetries"))
    yield from check_not_negative(http.max_concurrent_streams, (*path, "maxConcurrentStreams"))
    yield from check_duration(http.idle_timeout, (*path, "idleTimeout"))
    if http.use_client_protocol and http.h2_upgrade_policy is H2UpgradePolicy.UPGRADE:
        message = "use client protocol must not be true when h2UpgradePolicy is UPGRADE"
        yield Finding((*path, "useClientProtocol"), message, "keep one of the two")
    yield from _keepalive(http.http2_keep_alive, (*path, "http2KeepAlive"))


def _keepalive(keepalive: ConnectionKeepalive | None, path: Path) -> Iterator[Finding]:
    if keepalive is None:
        return
    for field, value in (("interval", keepalive.interval), ("timeout", keepalive.timeout)):
        if value is None:
            yield Finding((*path, field), "is missing", "give both, interval and timeout")
        yield from check_duration(value, (*path, field), least=MILLISECOND)
