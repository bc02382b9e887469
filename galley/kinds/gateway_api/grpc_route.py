"""GRPCRoute: rules for gRPC calls of Gateways, or of Services of the mesh. Data only."""

from __future__ import annotations

from typing import Annotated

import attrs

from galley.kinds.gateway_api.filters import GRPCFilter
from galley.kinds.gateway_api.http_route import ValueMatch, ValueMatchType
from galley.kinds.gateway_api.references import BackendReference, ParentReference
from galley.schema import NotYet


@attrs.frozen
class GRPCMethodMatch:
    """A condition on service (`package.Name`) and method; one of the two may be left out."""

    type: ValueMatchType = ValueMatchType.Exact
    service: str = ""
    method: str = ""


@attrs.frozen
class GRPCRouteMatch:
    """Conditions that must all hold."""

    method: GRPCMethodMatch | None = None
    headers: tuple[ValueMatch, ...] = ()


@attrs.frozen
class GRPCBackendReference(BackendReference):
    """A destination, and changes to the metadata of what goes there."""

    filters: tuple[GRPCFilter, ...] = ()


@attrs.frozen
class GRPCRouteRule:
    """Any of `matches` (none: every call), and what then happens; without anywhere to go calls are UNAVAILABLE."""

    name: str = ""
    matches: tuple[GRPCRouteMatch, ...] = ()
    filters: tuple[GRPCFilter, ...] = ()
    backend_refs: tuple[GRPCBackendReference, ...] = ()
    session_persistence: Annotated[
        str | None, NotYet(why="use a DestinationRule with consistentHash.httpHeaderName for the service")
    ] = None


@attrs.frozen
class GRPCRoute:
    """Rules for calls to `hostnames` (none: those of the listener)."""

    parent_refs: tuple[ParentReference, ...] = ()
    hostnames: tuple[str, ...] = ()
    rules: tuple[GRPCRouteRule, ...] = ()
    use_default_gateways: Annotated[str, NotYet(why="name the Gateways by parentRefs")] = ""
