"""Who asks: the index it is answered from, the view of the client, and which gateway its rules are read for."""

from __future__ import annotations

import attrs

from pilot.model.proxy import OutboundView
from pilot.plan.bindings import MESH
from pilot.plan.index import Index


@attrs.frozen
class Client:
    """`gateway` is `mesh` for sidecars, else NAMESPACE/NAME; virtual services and matches may be for some only."""

    index: Index
    view: OutboundView
    gateway: str = MESH
