"""TLSRoute: where connections go by the server name that their client asks for. Data only."""

from __future__ import annotations

from typing import Annotated

import attrs

from galley.kinds.gateway_api.references import BackendReference, ParentReference
from galley.schema import Becomes, NotYet


@attrs.frozen
class TLSRouteRule:
    """Destinations and their shares."""

    name: str = ""
    backend_refs: Annotated[tuple[BackendReference, ...], Becomes("`TcpProxy.cluster` or `weighted_clusters`")] = ()


@attrs.frozen
class TLSRoute:
    """The one rule for connections that ask for one of `hostnames` (none: those of the listener)."""

    parent_refs: tuple[ParentReference, ...] = ()
    hostnames: Annotated[
        tuple[str, ...], Becomes("`filter_chain_match.server_names`, as far as the listener has them")
    ] = ()
    rules: Annotated[tuple[TLSRouteRule, ...], Becomes("a filter chain")] = ()
    use_default_gateways: Annotated[str, NotYet(why="name the Gateways by parentRefs")] = ""
