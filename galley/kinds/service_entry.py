"""ServiceEntry and its messages (networking.istio.io, service_entry.proto): a service that no platform tells of.

Data only: read by planning, built by `galley.decode` from the annotations.
"""

from __future__ import annotations

import enum

import attrs

from galley.kinds.workload_entry import WorkloadEntry
from galley.schema import UInt32


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

    labels: tuple[tuple[str, str], ...] = ()


@attrs.frozen
class ServicePort:
    """A port of the service. `target_port` is what its endpoints listen on, where they do not say."""

    number: UInt32 = 0
    protocol: str = ""
    name: str = ""
    target_port: UInt32 = 0


@attrs.frozen
class ServiceEntry:
    """One service a host, each with all of the ports and endpoints."""

    hosts: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    ports: tuple[ServicePort, ...] = ()
    location: Location = Location.MESH_EXTERNAL
    resolution: Resolution = Resolution.NONE
    endpoints: tuple[WorkloadEntry, ...] = ()
    workload_selector: LabelSelector | None = None
    export_to: tuple[str, ...] = ()
    subject_alt_names: tuple[str, ...] = ()
