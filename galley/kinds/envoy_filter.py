"""EnvoyFilter and its messages (networking.istio.io, envoy_filter.proto): changes to what proxies are told.

Data only: read by planning, built by `galley.decode` from the annotations. `patches_of` in `galley.envoy_patches` gives
the patches of both forms, the present one and that of Istio 1.1.
"""

from __future__ import annotations

import enum
from typing import Annotated

import attrs

from galley.kinds.selector import TargetReference
from galley.kinds.service_entry import LabelSelector
from galley.schema import Deprecated, Int32, NotYet, OneOf, Struct, UInt32


class ApplyTo(enum.Enum):
    """What a patch changes, or puts beside others of its sort."""

    INVALID = "INVALID"
    LISTENER = "LISTENER"
    FILTER_CHAIN = "FILTER_CHAIN"
    NETWORK_FILTER = "NETWORK_FILTER"
    HTTP_FILTER = "HTTP_FILTER"
    ROUTE_CONFIGURATION = "ROUTE_CONFIGURATION"
    VIRTUAL_HOST = "VIRTUAL_HOST"
    HTTP_ROUTE = "HTTP_ROUTE"
    CLUSTER = "CLUSTER"
    EXTENSION_CONFIG = "EXTENSION_CONFIG"
    BOOTSTRAP = "BOOTSTRAP"
    LISTENER_FILTER = "LISTENER_FILTER"


class PatchContext(enum.Enum):
    """Which part of which proxies a patch is for."""

    ANY = "ANY"
    SIDECAR_INBOUND = "SIDECAR_INBOUND"
    SIDECAR_OUTBOUND = "SIDECAR_OUTBOUND"
    GATEWAY = "GATEWAY"
    WAYPOINT = "WAYPOINT"


class Operation(enum.Enum):
    """What is done with the value."""

    INVALID = "INVALID"
    MERGE = "MERGE"
    ADD = "ADD"
    REMOVE = "REMOVE"
    INSERT_BEFORE = "INSERT_BEFORE"
    INSERT_AFTER = "INSERT_AFTER"
    INSERT_FIRST = "INSERT_FIRST"
    REPLACE = "REPLACE"
    MERGE_AND_REPLACE_LIST = "MERGE_AND_REPLACE_LIST"


class FilterClass(enum.Enum):
    """Where an added filter stands among those that secure and observe."""

    UNSPECIFIED = "UNSPECIFIED"
    AUTHN = "AUTHN"
    AUTHZ = "AUTHZ"
    STATS = "STATS"


class RouteAction(enum.Enum):
    """What a route does with a request."""

    ANY = "ANY"
    ROUTE = "ROUTE"
    REDIRECT = "REDIRECT"
    DIRECT_RESPONSE = "DIRECT_RESPONSE"


_NO_EXTENSIONS = NotYet(
    (ApplyTo.EXTENSION_CONFIG, ApplyTo.BOOTSTRAP),
    "a filter is written with its typed_config where it stands, not discovered on its own, and a bootstrap is read "
    "before xDS says anything (change what `mesh-adapter bootstrap` prints)",
)
_NO_WAYPOINTS = NotYet((PatchContext.WAYPOINT,), "there are no waypoints here, only sidecars and gateways")
_NO_WAYPOINT_MATCH = NotYet(why="there are no waypoints here, only sidecars and gateways")
_NO_CLASSES = NotYet(
    (FilterClass.AUTHN, FilterClass.AUTHZ, FilterClass.STATS),
    "filters have no classes here; place it with INSERT_BEFORE or INSERT_AFTER and the name of another",
)
_NO_PORT_NAMES = NotYet(why="listeners keep no names of ports; give portNumber")


@attrs.frozen
class ProxyMatch:
    """Proxies by their version, a regular expression that some part of it matches, and by metadata of their node."""

    proxy_version: str = ""
    metadata: tuple[tuple[str, str], ...] = ()


@attrs.frozen
class SubFilterMatch:
    """An HTTP filter, by its name."""

    name: str = ""


@attrs.frozen
class FilterMatch:
    """A network filter by its name, and a filter inside it."""

    name: str = ""
    sub_filter: SubFilterMatch | None = None


@attrs.frozen
class FilterChainMatch:
    """A filter chain by what it says of itself; `application_protocols` with commas between, all of which it takes."""

    name: str = ""
    sni: str = ""
    transport_protocol: str = ""
    application_protocols: str = ""
    filter: FilterMatch | None = None
    destination_port: UInt32 = 0


@attrs.frozen
class ListenerMatch:
    """A listener, and what is inside it. An absent field takes all."""

    port_number: UInt32 = 0
    port_name: Annotated[str, _NO_PORT_NAMES] = ""
    filter_chain: FilterChainMatch | None = None
    listener_filter: str = ""
    name: str = ""


@attrs.frozen
class RouteMatch:
    """A route by its name and by what it does."""

    name: str = ""
    action: RouteAction = RouteAction.ANY


@attrs.frozen
class VirtualHostMatch:
    """A virtual host by its name or one of its domains, and a route of it."""

    name: str = ""
    domain_name: str = ""
    route: RouteMatch | None = None


@attrs.frozen
class RouteConfigurationMatch:
    """A route configuration, and what is inside it; `gateway` is NAMESPACE/NAME."""

    port_number: UInt32 = 0
    port_name: str = ""
    gateway: str = ""
    vhost: VirtualHostMatch | None = None
    name: str = ""


@attrs.frozen
class ClusterMatch:
    """A cluster by its name, or by what it stands for."""

    port_number: UInt32 = 0
    service: str = ""
    subset: str = ""
    name: str = ""


@attrs.frozen
class WaypointMatch:
    """What is inside a waypoint; not read."""


@attrs.frozen
class EnvoyConfigObjectMatch:
    """Where a patch is applied: all conditions must hold."""

    context: Annotated[PatchContext, _NO_WAYPOINTS] = PatchContext.ANY
    proxy: ProxyMatch | None = None
    listener: Annotated[ListenerMatch | None, OneOf("object_types")] = None
    route_configuration: Annotated[RouteConfigurationMatch | None, OneOf("object_types")] = None
    cluster: Annotated[ClusterMatch | None, OneOf("object_types")] = None
    waypoint: Annotated[WaypointMatch | None, _NO_WAYPOINT_MATCH] = None


@attrs.frozen
class Patch:
    """What is done; `value` is JSON of an Envoy message, or of a part of one."""

    operation: Operation = Operation.INVALID
    value: Struct | None = None
    filter_class: Annotated[FilterClass, _NO_CLASSES] = FilterClass.UNSPECIFIED


@attrs.frozen
class EnvoyConfigObjectPatch:
    """One change."""

    apply_to: Annotated[ApplyTo, _NO_EXTENSIONS] = ApplyTo.INVALID
    match: EnvoyConfigObjectMatch | None = None
    patch: Patch | None = None


class OldListenerType(enum.Enum):
    """Istio 1.1's contexts."""

    ANY = "ANY"
    SIDECAR_INBOUND = "SIDECAR_INBOUND"
    SIDECAR_OUTBOUND = "SIDECAR_OUTBOUND"
    GATEWAY = "GATEWAY"


class OldProtocol(enum.Enum):
    """What the connections of a filter chain carry."""

    ALL = "ALL"
    HTTP = "HTTP"
    TCP = "TCP"


class OldIndex(enum.Enum):
    """Where a filter is put."""

    FIRST = "FIRST"
    LAST = "LAST"
    BEFORE = "BEFORE"
    AFTER = "AFTER"


class OldFilterType(enum.Enum):
    """What sort of filter it is."""

    INVALID = "INVALID"
    HTTP = "HTTP"
    NETWORK = "NETWORK"


@attrs.frozen
class OldListenerMatch:
    """Istio 1.1: listeners by port, kind, protocol and address."""

    port_number: UInt32 = 0
    port_name_prefix: Annotated[str, _NO_PORT_NAMES] = ""
    listener_type: OldListenerType = OldListenerType.ANY
    listener_protocol: OldProtocol = OldProtocol.ALL
    address: tuple[str, ...] = ()


@attrs.frozen
class InsertPosition:
    """Istio 1.1: first, last, or beside a filter."""

    index: OldIndex = OldIndex.FIRST
    relative_to: str = ""


@attrs.frozen
class OldFilter:
    """Istio 1.1: one filter to put in."""

    listener_match: OldListenerMatch | None = None
    insert_position: InsertPosition | None = None
    filter_type: OldFilterType = OldFilterType.INVALID
    filter_name: str = ""
    filter_config: Struct | None = None


@attrs.frozen
class EnvoyFilter:
    """Patches for the proxies selected: all of the namespace unless it says more, all there are from the root one."""

    workload_selector: LabelSelector | None = None
    target_refs: tuple[TargetReference, ...] = ()
    config_patches: tuple[EnvoyConfigObjectPatch, ...] = ()
    priority: Int32 = 0
    workload_labels: Annotated[tuple[tuple[str, str], ...], Deprecated("workloadSelector")] = ()
    filters: Annotated[tuple[OldFilter, ...], Deprecated("configPatches")] = ()
