"""ServiceEntry and its messages (networking.istio.io, service_entry.proto): a service that no platform tells of.

Data only: read by planning, built by `galley.decode` from the annotations.
"""

from __future__ import annotations

import enum
from typing import Annotated

import attrs

from galley.kinds.workload_entry import WorkloadEntry
from galley.schema import Becomes, UInt32


class Location(enum.Enum):
    """Whether the service's instances are part of the mesh, and so have an identity of it."""

    MESH_EXTERNAL = "MESH_EXTERNAL"
    MESH_INTERNAL = "MESH_INTERNAL"


class Resolution(enum.Enum):
    """How a proxy comes by the addresses behind the service's hosts."""

    NONE = "NONE"
    STATIC = "STATIC"
    DNS = "DNS"
    DNS_ROUND_ROBIN = "DNS_ROUND_ROBIN"
    DYNAMIC_DNS = "DYNAMIC_DNS"


@attrs.frozen
class LabelSelector:
    """The workloads that carry all of these labels (`workloadSelector.labels`, the older form of a selector)."""

    labels: Annotated[tuple[tuple[str, str], ...], Becomes("proxies or endpoints that carry them")] = ()


@attrs.frozen
class ServicePort:
    """A port of the service. `target_port` is what its endpoints listen on, where they do not say."""

    number: Annotated[UInt32, Becomes("clusters `outbound|NUMBER||HOST`, `virtual_hosts.domains`")] = 0
    protocol: Annotated[str, Becomes("`HttpProtocolOptions` of the cluster; which filter its listener has")] = ""
    name: Annotated[str, Becomes("how endpoints name the port")] = ""
    target_port: Annotated[UInt32, Becomes("`Endpoint.address.port_value` where the endpoint says none")] = 0


@attrs.frozen
class ServiceEntry:
    """One service a host, each with all of the ports and endpoints."""

    hosts: Annotated[tuple[str, ...], Becomes("clusters, virtual hosts")] = ()
    addresses: Annotated[tuple[str, ...], Becomes("further `virtual_hosts.domains`")] = ()
    ports: tuple[ServicePort, ...] = ()
    location: Annotated[Location, Becomes("nothing of its own: whether peers have an identity of the mesh")] = (
        Location.MESH_EXTERNAL
    )
    resolution: Annotated[
        Resolution, Becomes("`Cluster.type`: EDS, STRICT_DNS, LOGICAL_DNS, or the dynamic forward proxy")
    ] = Resolution.NONE
    endpoints: Annotated[tuple[WorkloadEntry, ...], Becomes("`ClusterLoadAssignment.endpoints`")] = ()
    workload_selector: LabelSelector | None = None
    export_to: Annotated[tuple[str, ...], Becomes("clusters of proxies of these namespaces")] = ()
    subject_alt_names: Annotated[
        tuple[str, ...], Becomes("`match_typed_subject_alt_names`, where a TLS rule says none")
    ] = ()
