"""How objects of the Gateway API name others: the parents of a route, and where it leads. Data only.

An empty namespace is that of the object which refers.
"""

from __future__ import annotations

from typing import Annotated

import attrs

from galley.kinds.gateway_api import CORE, GATEWAY_API
from galley.schema import Between

PortNumber = Annotated[int, Between(1, 65535)]
"""0 where none is given."""


@attrs.frozen
class ParentReference:
    """What a route belongs to: a Gateway, or one of its listeners (`sectionName`), or a Service of the mesh."""

    group: str = GATEWAY_API
    kind: str = "Gateway"
    namespace: str = ""
    name: str = ""
    section_name: str = ""
    port: PortNumber = 0


@attrs.frozen
class BackendObjectReference:
    """Where traffic goes: a Service by its name, or a host (`kind: Hostname`, `group: networking.istio.io`)."""

    group: str = CORE
    kind: str = "Service"
    name: str = ""
    namespace: str = ""
    port: PortNumber = 0


@attrs.frozen
class BackendReference(BackendObjectReference):
    """One of several, and its share beside the others'; 0 gets nothing."""

    weight: Annotated[int, Between(0, 1_000_000)] = 1
