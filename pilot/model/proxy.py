"""A proxy as it presents itself, and the view of it that planning may see.

The node id follows Istio's grammar, `TYPE~IP~NAME.NAMESPACE~DOMAIN`; an id without `~` is accepted when the metadata
says the rest. `parse_proxy` is called once a stream, by `pilot.discovery`.

Metadata `GENERATOR: grpc`, or a client that calls itself gRPC, asks for what a gRPC client needs to be its own proxy.

Two proxies with equal views get the same bytes, so a view holds exactly what planning uses and nothing else.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

import attrs

from galley.kinds.destination_rule import ConnectionPoolSettings
from pilot.model.agent import NOBODY, Agent, Feature
from pilot.model.patch import Patch
from pilot.model.scope import EVERYTHING, Scope
from pilot.model.security import PERMISSIVE, Identity, Security
from pilot.model.service import Labels, Locality, Protocol, labels

GRAMMAR = "TYPE~IP~NAME.NAMESPACE~DOMAIN, as in sidecar~10.0.0.1~web-1.default~default.svc.cluster.local"
ROUTERS = ("router", "ingress")
"""Proxies at the edge; the second is Istio 1.1's older word for them."""
KINDS = ("sidecar", *ROUTERS)
GRPC = "grpc"
"""Metadata GENERATOR of a gRPC client without a proxy beside it, as Istio has it."""
OUTBOUND_PORT = 15001
INBOUND_PORT = 15006
NOWHERE = Locality()
_NOT_MATCHED = frozenset({"NAME", "NAMESPACE", "OUTBOUND_ADDRESS", "OUTBOUND_PORT"})
"""Metadata that is elsewhere in the view, or that no two proxies share, so that none would share a view."""
SYSTEM_CA = "/etc/ssl/certs/ca-certificates.crt"
"""Where a proxy's host keeps the CAs that it trusts, unless metadata SYSTEM_CA says otherwise."""


class NodeError(ValueError):
    """The proxy's node can't be used; the message names the id and what is expected."""


@attrs.frozen
class Inbound:
    """What the proxy takes in: listens on `address:listen`, hands to `port` of the workload beside it.

    `workload` is the address of that port, or `unix:///path` without one. `number` is what it goes by in names, where
    that is not `port`.
    """

    port: int
    listen: int = INBOUND_PORT
    address: str = "0.0.0.0"
    protocol: Protocol = Protocol.UNSPECIFIED
    service: str = ""
    workload: str = "127.0.0.1"
    number: int = 0
    pool: ConnectionPoolSettings | None = None

    @property
    def name_port(self) -> int:
        return self.number or self.port


@attrs.frozen
class Upstream:
    """A service the workload reaches on a local port of its own, `bind_address:bind_port`."""

    host: str
    port: int
    bind_port: int
    bind_address: str = "127.0.0.1"


@attrs.frozen(cache_hash=True)
class OutboundView:
    """What decides a proxy's outbound clusters, endpoints and routes; shared by all proxies for which it is equal."""

    namespace: str = "default"
    labels: Labels = ()
    address: str = "127.0.0.1"
    port: int = OUTBOUND_PORT
    locality: Locality = NOWHERE
    system_ca: str = SYSTEM_CA
    scope: Scope = EVERYTHING
    withheld: frozenset[Feature] = frozenset()
    """What the proxy's version would not understand."""
    network: str = ""
    """Endpoints of another network are reached through its gateways; an empty one reaches all."""
    edge: bool = False
    """Whether it is a router's."""
    secrets: bool = False
    """Whether the proxy proved that it is of its namespace, whose secrets it may then be told."""
    telemetry: tuple[str, ...] = ()
    """The Telemetry objects for it, as NAMESPACE/NAME, wider ones first; known once the view is reduced."""
    identity: Identity | None = None
    """What it shows peers by mutual TLS; None is a proxy that can show nothing, and speaks plain text."""


@attrs.frozen(cache_hash=True)
class ProxyView:
    """All that planning may see of a proxy; one that is `proxyless` is a gRPC client, and has no listeners.

    A `router` stands at the edge of the mesh, beside no workload: it listens where Gateway objects say, and nowhere
    else. `gateways` are those that select it, as NAMESPACE/NAME; known once the view is reduced.

    `version` and `metadata`, texts of the node, say what EnvoyFilters are for it; the reduced view has their `patches`
    instead.
    """

    outbound: OutboundView = OutboundView()
    upstreams: tuple[Upstream, ...] = ()
    inbound: tuple[Inbound, ...] = ()
    proxyless: bool = False
    router: bool = False
    gateways: tuple[str, ...] = ()
    version: str = ""
    metadata: Labels = ()
    patches: tuple[Patch, ...] = ()
    security: Security = PERMISSIVE
    """What holds for connections to `inbound`, or to a router; known once the view is reduced."""


@attrs.frozen
class Proxy:
    id: str
    kind: str
    address: str
    name: str
    view: ProxyView

    @property
    def namespace(self) -> str:
        return self.view.outbound.namespace


def claimed_namespace(node_id: str, metadata: Mapping[str, Any]) -> str:
    """The namespace that a node says it is in. NodeError if its id can't be read."""
    return str(metadata.get("NAMESPACE") or _parse_id(node_id)[3] or "default")


def parse_proxy(
    node_id: str, metadata: Mapping[str, Any], locality: Locality = NOWHERE, agent: Agent = NOBODY
) -> Proxy:
    """The proxy of an xDS node. NodeError if the id has `~` and is not of Istio's grammar, metadata is misshapen, or
    the `agent` is too old.

    A `locality` that says nothing gives way to the metadata's LOCALITY, `region/zone/subzone`.
    """
    if agent.too_old:
        raise NodeError(f"node {node_id!r}: {agent.too_old}")
    kind, address, name, _ = _parse_id(node_id)
    namespace = claimed_namespace(node_id, metadata)
    view = ProxyView(
        outbound=OutboundView(
            namespace=namespace,
            labels=_labels(node_id, metadata),
            address=_address(node_id, metadata, "OUTBOUND_ADDRESS", "127.0.0.1"),
            port=_port(node_id, metadata, "OUTBOUND_PORT", OUTBOUND_PORT),
            locality=locality if locality != NOWHERE else Locality.parse(str(metadata.get("LOCALITY") or "")),
            system_ca=str(metadata.get("SYSTEM_CA") or SYSTEM_CA),
            withheld=agent.withheld,
            network=str(metadata.get("NETWORK") or ""),
            edge=kind in ROUTERS,
            identity=_identity(node_id, metadata),
        ),
        upstreams=tuple(_upstream(node_id, item) for item in _objects(node_id, metadata, "UPSTREAMS")),
        inbound=tuple(_inbound(node_id, item) for item in _objects(node_id, metadata, "INBOUND")),
        proxyless=_proxyless(node_id, metadata, agent),
        router=kind in ROUTERS,
        version=str(metadata.get("ISTIO_VERSION") or agent.version),
        metadata=_texts(metadata),
    )
    _refuse_workload(node_id, kind, view)
    _refuse_shared_ports(node_id, view)
    return Proxy(id=node_id, kind=kind, address=address, name=str(metadata.get("NAME") or name), view=view)


def _identity(node_id: str, metadata: Mapping[str, Any]) -> Identity | None:
    try:
        return Identity.of(metadata)
    except ValueError as error:
        raise NodeError(f"node {node_id!r}: metadata {error}") from None


def _proxyless(node_id: str, metadata: Mapping[str, Any], agent: Agent) -> bool:
    generator = metadata.get("GENERATOR") or ""
    if generator not in ("", GRPC):
        raise NodeError(f"node {node_id!r}: metadata GENERATOR is {generator!r}: give {GRPC!r} or leave it out")
    found = bool(generator) or agent.is_grpc
    if found and (metadata.get("UPSTREAMS") or metadata.get("INBOUND")):
        raise NodeError(f"node {node_id!r}: a gRPC client has no listeners: leave UPSTREAMS and INBOUND out")
    return found


def _refuse_workload(node_id: str, kind: str, view: ProxyView) -> None:
    """A router has none, so nothing could come of listening for it."""
    if view.router and (view.inbound or view.upstreams or view.proxyless):
        told = "INBOUND" if view.inbound else "UPSTREAMS" if view.upstreams else "GENERATOR"
        raise NodeError(f"node {node_id!r}: metadata {told} is for a client or server of the mesh, not for a {kind}")


def _refuse_shared_ports(node_id: str, view: ProxyView) -> None:
    """Two listeners on one port would make the proxy refuse its whole configuration."""
    ports = [view.outbound.port, *(each.bind_port for each in view.upstreams), *(each.listen for each in view.inbound)]
    twice = sorted({port for port in ports if ports.count(port) > 1})
    if twice:
        raise NodeError(f"node {node_id!r}: port {twice[0]} is to be listened on twice: give each listener its own")


def _parse_id(node_id: str) -> tuple[str, str, str, str]:
    if not node_id:
        raise NodeError(f"node id is empty: give {GRAMMAR}")
    if "~" not in node_id:
        return "sidecar", "", node_id, ""
    parts = node_id.split("~")
    if len(parts) != 4:
        raise NodeError(f"node id {node_id!r} has {len(parts)} parts separated by '~', not 4: give {GRAMMAR}")
    kind, address, instance, _domain = parts
    if kind not in KINDS:
        raise NodeError(f"node id {node_id!r}: type {kind!r} is not one of {', '.join(KINDS)}")
    try:
        ipaddress.ip_address(address)
    except ValueError:
        raise NodeError(f"node id {node_id!r}: {address!r} is not an IP address: give {GRAMMAR}") from None
    name, dot, namespace = instance.rpartition(".")
    if not dot or not name or not namespace:
        raise NodeError(f"node id {node_id!r}: {instance!r} is not NAME.NAMESPACE: give {GRAMMAR}")
    return kind, address, name, namespace


def _labels(node_id: str, metadata: Mapping[str, Any]) -> Labels:
    found = metadata.get("LABELS") or {}
    if not isinstance(found, Mapping):
        raise NodeError(f"node {node_id!r}: metadata LABELS is not a map of strings")
    return labels({str(key): str(value) for key, value in found.items()})


def _texts(metadata: Mapping[str, Any]) -> Labels:
    return labels({key: each for key, each in metadata.items() if isinstance(each, str) and key not in _NOT_MATCHED})


def _objects(node_id: str, metadata: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    found = metadata.get(key) or []
    if not isinstance(found, list | tuple) or not all(isinstance(item, Mapping) for item in found):
        raise NodeError(f"node {node_id!r}: metadata {key} is not a list of objects")
    return list(found)


def _port(node_id: str, source: Mapping[str, Any], key: str, default: int | None = None) -> int:
    value = source.get(key, default)
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        number = 0
    if not 1 <= number <= 65535:
        raise NodeError(f"node {node_id!r}: metadata {key} is {value!r}, not a port between 1 and 65535")
    return number


def _address(node_id: str, source: Mapping[str, Any], key: str, default: str) -> str:
    """An address to listen on; one that Envoy can't read would make it refuse all of its listeners."""
    value = source.get(key) or default
    try:
        return str(ipaddress.ip_address(str(value)))
    except ValueError:
        raise NodeError(f"node {node_id!r}: metadata {key} is {value!r}, not an IP address") from None


def _inbound(node_id: str, item: Mapping[str, Any]) -> Inbound:
    said = str(item.get("protocol") or Protocol.UNSPECIFIED.value)
    protocol = Protocol.UNSPECIFIED if said == Protocol.UNSPECIFIED.value else Protocol.parse(said)
    if protocol is None:
        raise NodeError(
            f"node {node_id!r}: metadata INBOUND protocol {said!r} is not known: http, http2, grpc, grpc-web or tcp"
        )
    return Inbound(
        port=_port(node_id, item, "port"),
        listen=_port(node_id, item, "listen", INBOUND_PORT),
        address=_address(node_id, item, "address", "0.0.0.0"),
        protocol=protocol,
        service=str(item.get("service") or ""),
    )


def _upstream(node_id: str, item: Mapping[str, Any]) -> Upstream:
    host = str(item.get("host") or "")
    if not host:
        raise NodeError(f"node {node_id!r}: an entry of metadata UPSTREAMS has no host")
    return Upstream(
        host=host,
        port=_port(node_id, item, "port", 80),
        bind_port=_port(node_id, item, "bindPort"),
        bind_address=_address(node_id, item, "bindAddress", "127.0.0.1"),
    )
