"""Decides what part of the mesh a proxy is told of: the Sidecar object that holds for it, and what that takes in. Pure.

Istio's order: of the proxy's namespace the first by name whose labels the workload carries, else the first without a
selector, else the first without one in the root namespace; a proxy for which there is none is told of everything.
Without `egress` a Sidecar leaves that as it is, and so without `ingress` what the proxy takes in.

What a proxy itself asks to listen on comes before a Sidecar's listener on the same port, which is left out then.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

import attrs

from galley.config import ConfigObject
from galley.kinds import sidecar as kind
from pilot.model.proxy import Inbound, OutboundView, ProxyView
from pilot.model.scope import EVERY, EgressListener, HostPattern, Scope
from pilot.model.service import Protocol, has_labels
from pilot.plan import names
from pilot.plan.index import Index

LOOPBACK = "127.0.0.1"
EVERYWHERE = "0.0.0.0"
UNIX = "unix://"
OWN, NOWHERE = ".", "~"

Sidecar = ConfigObject[kind.Sidecar]


def scoped(index: Index, view: ProxyView) -> ProxyView:
    """The view with what the Sidecar in force for it says."""
    sidecar = _in_force(index.sidecars, view.outbound, index.peers.root_namespace)
    if sidecar is None:
        return view
    spec = sidecar.spec
    taken = {view.outbound.port, *(each.bind_port for each in view.upstreams)}
    inbound = view.inbound
    if spec.ingress:
        inbound = tuple(_ingress(each) for each in spec.ingress if _number(each.port) not in taken)
    if spec.inbound_connection_pool:
        inbound = tuple(attrs.evolve(each, pool=each.pool or spec.inbound_connection_pool) for each in inbound)
    taken |= {each.listen for each in inbound}
    scope = _scope(index, sidecar, view.outbound.namespace, taken)
    return attrs.evolve(view, outbound=attrs.evolve(view.outbound, scope=scope), inbound=inbound)


def _in_force(sidecars: Mapping[str, tuple[Sidecar, ...]], view: OutboundView, root: str) -> Sidecar | None:
    own = sidecars.get(view.namespace, ())
    for each in own:
        selector = each.spec.workload_selector
        if selector and has_labels(view.labels, selector.labels):
            return each
    for_all = (each for each in (*own, *sidecars.get(root, ())) if each.spec.workload_selector is None)
    return next(for_all, None)


def _number(port: kind.SidecarPort | None) -> int:
    return port.number if port else 0


def _protocol(port: kind.SidecarPort | None) -> Protocol:
    """As it is said, else by the port's name."""
    if port is None:
        return Protocol.UNSPECIFIED
    return Protocol.parse(port.protocol) or Protocol.of_port_name(port.name)


def _ingress(listener: kind.IstioIngressListener) -> Inbound:
    number = _number(listener.port)
    endpoint = listener.default_endpoint
    is_file = endpoint.startswith(UNIX)
    address, _, port = endpoint.rpartition(":")
    return Inbound(
        port=0 if is_file else int(port),
        listen=number,
        address=listener.bind or EVERYWHERE,
        protocol=_protocol(listener.port),
        workload=endpoint if is_file else address.strip("[]"),
        number=number,
        pool=listener.connection_pool,
    )


def _scope(index: Index, sidecar: Sidecar, namespace: str, taken: Collection[int]) -> Scope:
    spec = sidecar.spec
    policy = spec.outbound_traffic_policy or kind.OutboundTrafficPolicy()
    forward = policy.mode is kind.OutboundMode.ALLOW_ANY
    scope = Scope(forward_unknown=forward, egress_proxy=_egress_proxy(index, sidecar, policy) if forward else "")
    if not spec.egress:
        return scope
    default = [each for each in spec.egress if each.port is None]
    listeners = [each for each in spec.egress if each.port is not None and each.port.number not in taken]
    return attrs.evolve(
        scope,
        hosts=tuple(pattern for each in default for pattern in _patterns(index, each.hosts, namespace)),
        listeners=tuple(_egress(index, each, namespace) for each in listeners),
    )


def _egress(index: Index, listener: kind.IstioEgressListener, namespace: str) -> EgressListener:
    return EgressListener(
        address=listener.bind or LOOPBACK,
        port=_number(listener.port),
        protocol=_protocol(listener.port),
        hosts=tuple(_patterns(index, listener.hosts, namespace)),
    )


def _patterns(index: Index, hosts: Iterable[str], namespace: str) -> Iterator[HostPattern]:
    """`.` is the namespace of the proxy, as a Sidecar of the root namespace holds in many; `~` takes in nothing."""
    for text in hosts:
        where, _, host = text.partition("/")
        if where == NOWHERE:
            continue
        where = namespace if where == OWN else where
        service = None if host.startswith("*") else index.hosts.find(host, namespace if where == EVERY else where)
        yield HostPattern(where, service.host if service else host)


def _egress_proxy(index: Index, sidecar: Sidecar, policy: kind.OutboundTrafficPolicy) -> str:
    proxy = policy.egress_proxy
    if proxy is None:
        return ""
    service = index.hosts.find(proxy.host, sidecar.namespace)
    port = proxy.port.number if proxy.port else 0
    return names.outbound_cluster(service.host if service else proxy.host, port, proxy.subset)
