"""GRPCRoute: rules for gRPC calls of Gateways, or of Services of the mesh. Data only."""

from __future__ import annotations

from typing import Annotated

import attrs

from galley.kinds.gateway_api.filters import GRPCFilter
from galley.kinds.gateway_api.http_route import ValueMatch, ValueMatchType
from galley.kinds.gateway_api.references import BackendReference, ParentReference
from galley.schema import Becomes, NotYet


@attrs.frozen
class GRPCMethodMatch:
    """A condition on service (`package.Name`) and method; one of the two may be left out."""

    type: ValueMatchType = ValueMatchType.Exact
    service: Annotated[str, Becomes("`path` `/SERVICE/METHOD`, `prefix` without a method, `safe_regex`")] = ""
    method: Annotated[str, Becomes("the same")] = ""


@attrs.frozen
class GRPCRouteMatch:
    """Conditions that must all hold."""

    method: GRPCMethodMatch | None = None
    headers: Annotated[tuple[ValueMatch, ...], Becomes("`match.headers.string_match`")] = ()


@attrs.frozen
class GRPCBackendReference(BackendReference):
    """A destination, and changes to the metadata of what goes there."""

    filters: tuple[GRPCFilter, ...] = ()


@attrs.frozen
class GRPCRouteRule:
    """Any of `matches` (none: every call), and what then happens; without anywhere to go calls are UNAVAILABLE."""

    name: Annotated[str, Becomes("behind namespace and route in `route.name`, else the rule's number")] = ""
    matches: Annotated[tuple[GRPCRouteMatch, ...], Becomes("a route each, the most specific first")] = ()
    filters: tuple[GRPCFilter, ...] = ()
    backend_refs: Annotated[
        tuple[GRPCBackendReference, ...],
        Becomes("`cluster` or `weighted_clusters`; `direct_response` 503 where none takes traffic"),
    ] = ()
    session_persistence: Annotated[
        str | None, NotYet(why="use a DestinationRule with consistentHash.httpHeaderName for the service")
    ] = None


@attrs.frozen
class GRPCRoute:
    """Rules for calls to `hostnames` (none: those of the listener)."""

    parent_refs: tuple[ParentReference, ...] = ()
    hostnames: Annotated[tuple[str, ...], Becomes("`virtual_hosts.domains`, as far as the listener has them")] = ()
    rules: Annotated[
        tuple[GRPCRouteRule, ...], Becomes("`virtual_hosts.routes`, together with those of other routes")
    ] = ()
    use_default_gateways: Annotated[str, NotYet(why="name the Gateways by parentRefs")] = ""
