"""The edge of the mesh: listeners become Gateways, and the routes attached to them VirtualServices. Pure.

A listener is a Gateway of its own, so that a route may be for one of them alone. All routes of a host at a listener
are one VirtualService, since their rules are ordered together. A listener that ends TLS for TLSRoutes has a Gateway for
each route: what the client asked for is known at the beginning only.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from galley.checks.gateway_api.gateway import CERTIFICATE, CLIENT_CAS, MUTUAL, PRIVATE_KEY, SIMPLE, TERMINATE_MODE
from galley.config import ConfigObject, ObjectKey
from galley.gateway_api.backends import MISSING, Backends
from galley.gateway_api.certificates import credentials
from galley.gateway_api.entrance import DEFAULT_PORTS, Entrance
from galley.gateway_api.http_rules import takes_traffic
from galley.gateway_api.listeners import Attachment, OurListener
from galley.gateway_api.ranking import age, in_order
from galley.gateway_api.rules import Rules
from galley.hostnames import ANY_HOST
from galley.kinds import gateway as istio_gateway
from galley.kinds import virtual_service as istio
from galley.kinds.gateway_api.gateway import ListenerTLS, TLSMode
from galley.kinds.gateway_api.tls_route import TLSRoute

GATEWAY_NAME = "gateway.networking.k8s.io/gateway-name"
"""The label by which routers say which Gateway they are, as pods do that Istio deploys."""
NOT_FOUND = 404
Resolved = Mapping[ObjectKey, Backends]
"""What the references of each route resolved to."""
Gateway = ConfigObject[istio_gateway.Gateway]
VirtualService = ConfigObject[istio.VirtualService]


def edge(
    listeners: Iterable[OurListener], attachments: Iterable[Attachment], resolved: Resolved, rules: Rules
) -> Iterator[Gateway | VirtualService]:
    """Everything for routers."""
    by_listener: defaultdict[int, list[Attachment]] = defaultdict(list)
    for each in attachments:
        by_listener[id(each.listener)].append(each)
    for listener in listeners:
        attached = sorted(by_listener[id(listener)], key=lambda each: age(each.route))
        if listener.spec.protocol != "TLS":
            yield _gateway(listener, listener.name, (listener.hostname,))
            yield from _http(listener, attached, resolved, rules)
        elif _passes_on(listener):
            yield _gateway(listener, listener.name, (listener.hostname,))
            yield from (_passed_on(each, resolved) for each in attached)
        else:
            yield from _ended(listener, attached, resolved)


def _passes_on(listener: OurListener) -> bool:
    return listener.spec.tls is not None and listener.spec.tls.mode is TLSMode.Passthrough


def _gateway(listener: OurListener, name: str, hosts: tuple[str, ...]) -> Gateway:
    spec, gateway = listener.spec, listener.gateway
    server = istio_gateway.Server(
        port=istio_gateway.ServerPort(spec.port, spec.protocol, spec.name),
        hosts=hosts,
        tls=_tls(spec.tls, credentials(listener)) if spec.tls else None,
    )
    selector = ((GATEWAY_NAME, gateway.name),)
    whole = istio_gateway.Gateway((server,), selector, of_api=True)
    return ConfigObject(gateway.kind, gateway.namespace, name, whole, gateway.origin)


def _tls(tls: ListenerTLS, secrets: tuple[str, ...]) -> istio_gateway.ServerTLSSettings:
    options = dict(tls.options)
    if tls.mode is TLSMode.Passthrough:
        return istio_gateway.ServerTLSSettings()
    clients = options.get(CLIENT_CAS, "")
    return istio_gateway.ServerTLSSettings(
        mode=istio_gateway.ServerTLSmode(options.get(TERMINATE_MODE, MUTUAL if clients else SIMPLE)),
        server_certificate=options.get(CERTIFICATE, ""),
        private_key=options.get(PRIVATE_KEY, ""),
        ca_certificates=clients,
        credential_names=secrets,
    )


def _http(
    listener: OurListener, attached: Iterable[Attachment], resolved: Resolved, rules: Rules
) -> Iterator[VirtualService]:
    """By host. The listener's own is always there, so that its requests don't go to one that takes more hosts."""
    by_host: defaultdict[str, list[ConfigObject[Any]]] = defaultdict(list)
    for each in attached:
        for host in each.hosts:
            by_host[host].append(each.route)
    scheme = listener.spec.protocol.lower()
    entrance = Entrance(scheme, 0 if listener.spec.port == DEFAULT_PORTS[scheme] else listener.spec.port)
    for host, routes in by_host.items():
        ranked = (rule for route in routes for rule in rules.of(route, resolved[route.key], entrance))
        yield _virtual_service(listener, listener.name, (host,), http=in_order(ranked))
    if listener.hostname not in (ANY_HOST, *by_host):
        nothing = istio.HTTPRoute(direct_response=istio.HTTPDirectResponse(NOT_FOUND), origin=str(listener.gateway))
        yield _virtual_service(listener, listener.name, (listener.hostname,), http=(nothing,))


def _passed_on(each: Attachment, resolved: Resolved) -> VirtualService:
    match = istio.TLSMatchAttributes(sni_hosts=each.hosts)
    route = istio.TLSRoute((match,), _destinations(each.route, resolved))
    return _virtual_service(each.listener, each.listener.name, each.hosts, each.route, tls=(route,))


def _ended(
    listener: OurListener, attached: Iterable[Attachment], resolved: Resolved
) -> Iterator[Gateway | VirtualService]:
    """Of two routes for one host the older has it."""
    taken: set[str] = set()
    for each in attached:
        hosts = tuple(host for host in each.hosts if host not in taken)
        taken |= set(hosts)
        if hosts:
            name = f"{listener.name}~{each.route.namespace}~{each.route.name}"
            yield _gateway(listener, name, hosts)
            tcp = (istio.TCPRoute(route=_destinations(each.route, resolved)),)
            yield _virtual_service(listener, name, hosts, each.route, tcp=tcp)


def _destinations(route: ConfigObject[TLSRoute], resolved: Resolved) -> tuple[istio.RouteDestination, ...]:
    """Where all have a share of nothing, connections fail as they do where there is no such service."""
    (rule,) = route.spec.rules
    if not takes_traffic(rule.backend_refs):
        return (istio.RouteDestination(MISSING, 1),)
    backends = resolved[route.key]
    return tuple(istio.RouteDestination(backends.destination(each), each.weight) for each in rule.backend_refs)


def _virtual_service(
    listener: OurListener, gateway: str, hosts: tuple[str, ...], of: ConfigObject[Any] | None = None, **routes: Any
) -> VirtualService:
    """For one Gateway, to be seen by all routers that it selects."""
    namespace = listener.gateway.namespace
    spec = istio.VirtualService(hosts=hosts, gateways=(f"{namespace}/{gateway}",), **routes)
    name = f"{gateway}~{of.namespace}~{of.name}" if of else f"{gateway}~{hosts[0]}"
    kind = of.kind if of else "VirtualService"
    return ConfigObject(kind, namespace, name, spec, of.origin if of else listener.gateway.origin)
