"""Services, ports and endpoints, as planning sees them, whatever platform they live on.

Built by `adapters.*.convert`, combined by `adapters.merge`, read by `pilot.plan`. Must not import anything that
does I/O. Tuples inside, so that values can be shared between snapshots and compared by identity first.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

import attrs

Labels = tuple[tuple[str, str], ...]
"""Labels sorted by key: hashable, and equal whatever order the platform listed them in."""


def labels(source: Mapping[str, str]) -> Labels:
    return tuple(sorted(source.items()))


def has_labels(have: Labels, wanted: Labels) -> bool:
    """Whether `have` carries every label of `wanted` (the selector rule of Istio and Kubernetes)."""
    return not wanted or set(wanted) <= set(have)


class Protocol(enum.Enum):
    """Application protocol of a port, by Istio's names (networking/v1alpha3 Port.protocol)."""

    HTTP = "HTTP"
    HTTP2 = "HTTP2"
    GRPC = "GRPC"
    GRPC_WEB = "GRPC-Web"
    TCP = "TCP"
    TLS = "TLS"
    HTTPS = "HTTPS"
    UNSPECIFIED = "UNSPECIFIED"

    @property
    def is_http(self) -> bool:
        return self in (Protocol.HTTP, Protocol.HTTP2, Protocol.GRPC, Protocol.GRPC_WEB)

    @property
    def is_http2(self) -> bool:
        return self in (Protocol.HTTP2, Protocol.GRPC, Protocol.GRPC_WEB)

    @classmethod
    def parse(cls, text: str) -> Protocol | None:
        """The protocol of that name, letter case aside; also Kubernetes' `appProtocol` forms; None if unknown."""
        return _PROTOCOL_NAMES.get(text.strip().lower())

    @classmethod
    def of_port_name(cls, name: str) -> Protocol:
        """Istio's rule: the part before the first dash names the protocol (`http-web`); else it is unspecified.

        `grpc-web` is one of its own, with or without more behind it.
        """
        if name.lower().startswith("grpc-web"):
            return cls.GRPC_WEB if name.lower()[8:9] in ("", "-") else cls.GRPC
        return cls.parse(name.split("-", 1)[0]) or cls.UNSPECIFIED


_PROTOCOL_NAMES = {
    "http": Protocol.HTTP,
    "http1": Protocol.HTTP,
    "http2": Protocol.HTTP2,
    "http/2": Protocol.HTTP2,
    "grpc": Protocol.GRPC,
    "grpc-web": Protocol.GRPC_WEB,
    "tcp": Protocol.TCP,
    "tls": Protocol.TLS,
    "https": Protocol.HTTPS,
    "mongo": Protocol.TCP,
    "mysql": Protocol.TCP,
    "redis": Protocol.TCP,
    "kubernetes.io/h2c": Protocol.HTTP2,
    "kubernetes.io/ws": Protocol.HTTP,
    "kubernetes.io/wss": Protocol.HTTPS,
}


class Resolution(enum.Enum):
    """How proxies come by the addresses behind a service.

    ENDPOINTS are told by the control plane; where one is a name, the proxy looks it up. DNS looks names up and uses all
    addresses found, DNS_ROUND_ROBIN the first one for each new connection. BY_REQUEST looks up the host that a request
    names.
    """

    ENDPOINTS = "ENDPOINTS"
    DNS = "DNS"
    DNS_ROUND_ROBIN = "DNS_ROUND_ROBIN"
    BY_REQUEST = "BY_REQUEST"


class Health(enum.Enum):
    """What the platform says of an endpoint. Planning decides what traffic it gets.

    HEALTHY takes traffic. DRAINING (maintenance, terminating) takes no new traffic and is kept known.
    UNHEALTHY is kept known for panic routing only.
    """

    HEALTHY = "HEALTHY"
    DRAINING = "DRAINING"
    UNHEALTHY = "UNHEALTHY"


@attrs.frozen
class Locality:
    """Region, zone and sub-zone; an empty part is unknown."""

    region: str = ""
    zone: str = ""
    subzone: str = ""

    def __str__(self) -> str:
        return "/".join(filter(None, (self.region, self.zone, self.subzone)))

    @classmethod
    def parse(cls, text: str) -> Locality:
        """From Istio's `region/zone/subzone` form."""
        return cls(*(text.split("/", 2) if text else ()))


@attrs.frozen
class Port:
    """A port of a service: the number clients name, not the one an instance listens on."""

    name: str
    number: int
    protocol: Protocol = Protocol.UNSPECIFIED


@attrs.frozen(order=True)
class NetworkGateway:
    """Where a network is entered from others: it takes plain HTTP and finds the service by the request's host."""

    address: str
    port: int


@attrs.frozen
class Endpoint:
    """One instance of one service, on all of the service's ports.

    `ports` maps the service port's name to the port the instance listens on. `weight` is relative within the service
    (1 to 128 in Envoy's terms are usual; 0 takes no traffic). `instance` is unique within the platform that told of it.
    Those of a higher `priority` are called when those of the lower ones fail. `network` is what can reach its address
    directly; clients of another go through one of the `gateways`, where there are any.
    """

    address: str
    ports: tuple[tuple[str, int], ...]
    instance: str
    labels: Labels = ()
    locality: Locality = Locality()
    weight: int = 1
    health: Health = Health.HEALTHY
    service_account: str = ""
    network: str = ""
    platform: str = ""
    priority: int = 0
    gateways: tuple[NetworkGateway, ...] = ()

    def port(self, name: str) -> int | None:
        return next((number for port_name, number in self.ports if port_name == name), None)


@attrs.frozen(order=True)
class ServiceKey:
    """A service is one service across platforms when host and namespace are equal."""

    namespace: str
    host: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.host}"


@attrs.frozen
class Service:
    """A service with all endpoints that are known of it; healthy or not, since planning decides about health."""

    key: ServiceKey
    ports: tuple[Port, ...]
    endpoints: tuple[Endpoint, ...] = ()
    labels: Labels = ()
    origin: str = ""
    """Coordinates for messages: `file:line`, `consul dc1/web`."""
    resolution: Resolution = Resolution.ENDPOINTS
    configured: bool = False
    """Told by a ServiceEntry: goes by its whole name, and `addresses`, only."""
    external: bool = False
    """Its instances are no part of the mesh and have no identity of it."""
    addresses: tuple[str, ...] = ()
    """IP addresses that clients may say for its host."""
    export_to: tuple[str, ...] = ()
    """Namespaces whose clients see it; empty is all."""
    subject_alt_names: tuple[str, ...] = ()
    """Names that its instances' certificates are expected to carry."""
    name: str = ""
    """What its platform calls it: services of one namespace and name are one, whatever their hosts. May be empty."""
    aliases: tuple[str, ...] = ()
    """Further hosts that it goes by: what other platforms call it."""

    def is_visible_to(self, namespace: str) -> bool:
        return not self.export_to or namespace in self.export_to

    @property
    def host(self) -> str:
        return self.key.host

    @property
    def hosts(self) -> tuple[str, ...]:
        """All that it goes by, its own first."""
        return (self.key.host, *self.aliases)

    @property
    def namespace(self) -> str:
        return self.key.namespace

    @property
    def short_name(self) -> str:
        """What its platform calls it, else the first part of its host."""
        return self.name or self.key.host.partition(".")[0]

    @property
    def distinct_ports(self) -> tuple[Port, ...]:
        """Ports with the first of each number only: a number that is told twice must not make two clusters."""
        found: dict[int, Port] = {}
        for port in self.ports:
            found.setdefault(port.number, port)
        return tuple(found.values())

    def port(self, number: int) -> Port | None:
        return next((p for p in self.ports if p.number == number), None)

    def differs_in_endpoints_only(self, other: Service) -> bool:
        """Whether a change from `other` to this one leaves all but endpoints as it was, and who they may be."""
        alike = attrs.evolve(self, endpoints=(), origin="") == attrs.evolve(other, endpoints=(), origin="")
        return alike and self.accounts == other.accounts

    @property
    def accounts(self) -> frozenset[str]:
        """Service accounts of its instances, as far as they are known."""
        return frozenset(endpoint.service_account for endpoint in self.endpoints if endpoint.service_account)
