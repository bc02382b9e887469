"""What `proxy-status` and `/debug/syncz` show: who is connected, and how far each is."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import attrs

from pilot.xds.protocol import Node, TypeStatus
from pilot.xds.protocol.status import State
from pilot.xds.resource import SDS, SHORT_NAMES


@attrs.frozen
class ConnectionStatus:
    """One stream. A proxy that uses the single-type services has several."""

    node: Node
    address: str
    variant: str
    connected_at: datetime
    types: tuple[TypeStatus, ...]


def syncz(connections: Iterable[ConnectionStatus]) -> list[dict[str, object]]:
    """Plain values for JSON, by proxy id and then time of connection."""
    ordered = sorted(connections, key=lambda each: (each.node.id, each.connected_at))
    return [_connection(each) for each in ordered]


def _connection(connection: ConnectionStatus) -> dict[str, object]:
    return {
        "proxy": connection.node.id,
        "cluster": connection.node.cluster,
        "address": connection.address,
        "variant": connection.variant,
        "connectedAt": connection.connected_at.isoformat(),
        "userAgent": connection.node.user_agent_name,
        "version": connection.node.user_agent_version,
        "types": {SHORT_NAMES[status.type_url]: _type(status) for status in connection.types if _concerns(status)},
    }


def _concerns(status: TypeStatus) -> bool:
    """Every proxy is to ask for all types but secrets: one that needs none never asks, and lacks nothing."""
    return status.type_url != SDS or status.state is not State.NOT_SENT


def _type(status: TypeStatus) -> dict[str, object]:
    return {
        "state": status.state.value,
        "sent": status.sent_version,
        "nonce": status.sent_nonce,
        "acked": status.acked_version,
        "error": status.error,
        "objects": [{"name": each.name, "origin": each.caused_by} for each in status.culprits],
        "acks": status.acks,
        "nacks": status.nacks,
        "staleNonces": status.stale_nonces,
    }
