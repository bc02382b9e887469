"""The xDS transport protocol as state machines without I/O and without a clock.

`messages` is what is said, `subscription` which names are wanted, `channel` one type of one stream, `session` the order
among types, `sotw` and `delta` the two variants, `status` what became of it. `pilot.xds.server` does the talking.
"""

from __future__ import annotations

from pilot.xds.protocol.delta import DeltaSession
from pilot.xds.protocol.messages import (
    DeltaDiscoveryRequest,
    DeltaResponse,
    DiscoveryRequest,
    Json,
    Node,
    NodeLocality,
    Response,
)
from pilot.xds.protocol.sotw import SotwSession
from pilot.xds.protocol.status import Acked, Event, Nacked, StaleNonce, State, TypeStatus, UnknownType

__all__ = [
    "Acked",
    "DeltaDiscoveryRequest",
    "DeltaResponse",
    "DeltaSession",
    "DiscoveryRequest",
    "Event",
    "Json",
    "Nacked",
    "Node",
    "NodeLocality",
    "Response",
    "SotwSession",
    "StaleNonce",
    "State",
    "TypeStatus",
    "UnknownType",
]
