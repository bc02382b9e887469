"""Sidecar and its messages (networking.istio.io, sidecar.proto): what a proxy listens on and what it knows of.

Data only: read by planning, built by `galley.decode` from the annotations.
"""

from __future__ import annotations

import enum
from typing import Annotated

import attrs

from galley.kinds.destination_rule import ConnectionPoolSettings
from galley.kinds.service_entry import LabelSelector
from galley.kinds.virtual_service import Destination
from galley.schema import Becomes, Deprecated, Later, NotYet, UInt32


class CaptureMode(enum.Enum):
    """How traffic comes to a listener. DEFAULT is the mode of the proxy, which is NONE: clients name the listener."""

    DEFAULT = "DEFAULT"
    IPTABLES = "IPTABLES"
    NONE = "NONE"


class OutboundMode(enum.Enum):
    """What becomes of requests for a host that the mesh does not know."""

    REGISTRY_ONLY = "REGISTRY_ONLY"
    ALLOW_ANY = "ALLOW_ANY"


_NO_CAPTURE = NotYet((CaptureMode.IPTABLES,), "no traffic is captured, clients name the listener that they mean")
_NO_TLS = NotYet(why="listeners have no certificates yet")


@attrs.frozen
class SidecarPort:
    """A port that a sidecar listens on."""

    number: Annotated[UInt32, Becomes("`Listener.address.port_value`")] = 0
    protocol: Annotated[str, Becomes("an `HttpConnectionManager` or a `TcpProxy`")] = ""
    name: Annotated[str, Becomes("its protocol, where that is not said")] = ""
    target_port: Annotated[Later[UInt32], Deprecated("defaultEndpoint")] = 0


@attrs.frozen
class ServerTLSSettings:
    """TLS of a listener; not read yet."""


@attrs.frozen
class IstioIngressListener:
    """What comes in on one port, and the local endpoint that it goes to."""

    port: SidecarPort | None = None
    bind: Annotated[str, Becomes("`Listener.address.address`")] = ""
    capture_mode: Annotated[CaptureMode, _NO_CAPTURE, Becomes("nothing: clients name the listener")] = (
        CaptureMode.DEFAULT
    )
    default_endpoint: Annotated[str, Becomes("the endpoint of cluster `inbound|PORT||`")] = ""
    tls: Annotated[ServerTLSSettings | None, _NO_TLS] = None
    connection_pool: ConnectionPoolSettings | None = None


@attrs.frozen
class IstioEgressListener:
    """What goes out: by a listener of its own if it has a port, else by the one that serves all hosts."""

    port: SidecarPort | None = None
    bind: Annotated[str, Becomes("`Listener.address.address`")] = ""
    capture_mode: Annotated[CaptureMode, _NO_CAPTURE, Becomes("nothing: clients name the listener")] = (
        CaptureMode.DEFAULT
    )
    hosts: Annotated[tuple[str, ...], Becomes("which clusters and virtual hosts there are")] = ()


@attrs.frozen
class OutboundTrafficPolicy:
    """What becomes of requests for unknown hosts, and by way of whom they go."""

    mode: Annotated[OutboundMode, Becomes("ALLOW_ANY: a virtual host `allow_any` to `PassthroughCluster`")] = (
        OutboundMode.REGISTRY_ONLY
    )
    egress_proxy: Destination | None = None


@attrs.frozen
class Sidecar:
    """The settings of the proxies it selects: one Sidecar a proxy, the most specific."""

    workload_selector: Annotated[LabelSelector | None, Becomes("of which proxies")] = None
    ingress: tuple[IstioIngressListener, ...] = ()
    egress: tuple[IstioEgressListener, ...] = ()
    inbound_connection_pool: Annotated[
        ConnectionPoolSettings | None, Becomes("`circuit_breakers` and timeouts of clusters `inbound|PORT||`")
    ] = None
    outbound_traffic_policy: OutboundTrafficPolicy | None = None
