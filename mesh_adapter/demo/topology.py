"""Who is in the demo's mesh, and which port is whose. Pure.

Three services in two versions each; `web` calls `reviews` calls `ratings`. Version v2 of `reviews` has two instances,
so that one of them can be killed while the version goes on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs

from pilot.model.service import Protocol
from pilot.sidecar.settings import SidecarSettings, XdsAddress

DOMAIN = "demo"
NAMESPACE = "default"
SERVICE_PORT = 80
LOOPBACK = "127.0.0.1"
ENTRY = "web"
SPLIT = "reviews"
"""The service whose traffic the rules file splits."""
VICTIM = "reviews-v2-b"
"""The instance that is killed."""
SURVIVOR = "reviews-v2-a"
CALLS = {"web": "reviews", "reviews": "ratings", "ratings": ""}
PORTS_OF_INSTANCE = 4
PORTS_OF_MESH = 4
"""xDS and HTTP of the control plane, outbound and admin of the client's Envoy."""


def host(service: str) -> str:
    """The name that clients ask for."""
    return f"{service}.{DOMAIN}"


@attrs.frozen
class Instance:
    """One running copy of a service, with the Envoy beside it."""

    service: str
    version: str
    name: str
    port: int
    inbound_port: int
    outbound_port: int
    admin_port: int

    @property
    def envoy(self) -> str:
        """The name of its Envoy's process."""
        return f"{self.name}-envoy"


@attrs.frozen
class Topology:
    """The whole mesh, every port known."""

    instances: tuple[Instance, ...]
    xds_port: int
    http_port: int
    client_outbound_port: int
    client_admin_port: int

    def of(self, service: str) -> tuple[Instance, ...]:
        return tuple(each for each in self.instances if each.service == service)

    def instance(self, name: str) -> Instance:
        return next(each for each in self.instances if each.name == name)

    def callers(self, service: str) -> tuple[Instance, ...]:
        """The instances whose Envoys choose among the instances of `service`."""
        return tuple(each for each in self.instances if CALLS[each.service] == service)


_NAMES = (
    ("web", "v1", "web-v1"),
    ("web", "v2", "web-v2"),
    ("reviews", "v1", "reviews-v1"),
    ("reviews", "v2", SURVIVOR),
    ("reviews", "v2", VICTIM),
    ("ratings", "v1", "ratings-v1"),
    ("ratings", "v2", "ratings-v2"),
)
PORTS_NEEDED = PORTS_OF_INSTANCE * len(_NAMES) + PORTS_OF_MESH


def topology(ports: Sequence[int]) -> Topology:
    """The mesh on these ports, PORTS_NEEDED of them, all different."""
    given = iter(ports)
    instances = tuple(_instance(*names, given) for names in _NAMES)
    return Topology(instances, *(next(given) for _ in range(PORTS_OF_MESH)))


def _instance(service: str, version: str, name: str, ports: Iterator[int]) -> Instance:
    return Instance(service, version, name, *(next(ports) for _ in range(PORTS_OF_INSTANCE)))


def sidecar(mesh: Topology, instance: Instance) -> SidecarSettings:
    """The Envoy beside an instance: takes its requests in, carries its calls out."""
    return SidecarSettings(
        service=host(instance.service),
        instance=instance.name,
        namespace=NAMESPACE,
        address=LOOPBACK,
        port=instance.port,
        protocol=Protocol.HTTP,
        inbound_port=instance.inbound_port,
        outbound_port=instance.outbound_port,
        labels=(("version", instance.version),),
        admin_port=instance.admin_port,
        xds_addr=XdsAddress(LOOPBACK, mesh.xds_port),
        health_port=0,
        metrics_port=0,
        dns_domain=DOMAIN,
    )


def client_sidecar(mesh: Topology) -> SidecarSettings:
    """The Envoy beside the client: nothing comes in."""
    return SidecarSettings(
        service="client",
        namespace=NAMESPACE,
        address=LOOPBACK,
        outbound_port=mesh.client_outbound_port,
        admin_port=mesh.client_admin_port,
        xds_addr=XdsAddress(LOOPBACK, mesh.xds_port),
        health_port=0,
        metrics_port=0,
        dns_domain=DOMAIN,
    )
