"""Routes of Services become VirtualServices of the mesh. Pure.

A route in the Service's namespace is for all clients, one in another for the clients there, who see no others then. All
routes of a Service for one audience are one VirtualService, since their rules are ordered together. On ports that none
of them is for, requests go where they went without.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import attrs

from galley.config import ConfigObject
from galley.gateway_api.backends import Backends
from galley.gateway_api.edge import Resolved
from galley.gateway_api.entrance import Entrance
from galley.gateway_api.ranking import Ranked, in_order
from galley.gateway_api.rules import Rules
from galley.gateway_api.services import KnownService, Services
from galley.gateway_api.status import ACCEPTED, Condition, accepted
from galley.kinds import virtual_service as istio
from galley.kinds.gateway_api.references import ParentReference

MESH = "mesh"
Rivals = Mapping[tuple[KnownService, str], ConfigObject[istio.VirtualService]]
"""VirtualServices by the services that they are for, and their namespace."""


@attrs.frozen(eq=False)
class MeshAttachment:
    """A route of a Service; port 0 is all of its ports."""

    route: ConfigObject[Any]
    service: KnownService
    port: int


def rivals(virtual_services: Iterable[ConfigObject[istio.VirtualService]], services: Services) -> Rivals:
    """Those for the mesh, by the services that their hosts mean."""
    found: dict[tuple[KnownService, str], ConfigObject[istio.VirtualService]] = {}
    for each in virtual_services:
        if each.spec.gateways and MESH not in each.spec.gateways:
            continue
        for host in each.spec.hosts:
            service = services.at(host, each.namespace) or services.named(host, each.namespace)
            if service:
                found.setdefault((service, each.namespace), each)
    return found


def attach_to_service(
    route: ConfigObject[Any], parent: ParentReference, services: Services, others: Rivals
) -> tuple[MeshAttachment | None, Condition]:
    """The route at the Service that is its parent, or why not."""
    namespace = parent.namespace or route.namespace
    service = services.named(parent.name, namespace)
    if service is None:
        message = f"Service {namespace}/{parent.name} is not known"
        return None, _refused("NoMatchingParent", message, "correct the reference, or register the service")
    if parent.port and parent.port not in service.ports:
        message = f"Service {namespace}/{parent.name} ({service.host}) has no port {parent.port}"
        return None, _refused("NoMatchingParent", message, f"its ports are {', '.join(map(str, service.ports))}")
    if route.spec.hostnames:
        message = "hostnames have no meaning for a route of a Service, whose host is known"
        return None, _refused("UnsupportedValue", message, "leave them out")
    rival = others.get((service, route.namespace))
    if rival:
        message = f"{rival} ({rival.origin}) routes {service.host} already"
        return None, _refused("Conflicted", message, "keep one of the two")
    return MeshAttachment(route, service, parent.port), accepted()


def mesh(
    attachments: Iterable[MeshAttachment], resolved: Resolved, rules: Rules
) -> Iterator[ConfigObject[istio.VirtualService]]:
    """Everything for sidecars and gRPC clients."""
    found: defaultdict[tuple[KnownService, str], list[MeshAttachment]] = defaultdict(list)
    for each in attachments:
        found[each.service, each.route.namespace].append(each)
    for (service, namespace), attached in sorted(found.items(), key=lambda item: (item[0][0].host, item[0][1])):
        ranked = [rule for each in attached for rule in _of_port(each, resolved[each.route.key], rules)]
        export_to = () if namespace == service.namespace else (namespace,)
        spec = istio.VirtualService(
            hosts=(service.host,), http=(*in_order(ranked), *_untouched(service, attached)), export_to=export_to
        )
        origin = attached[0].route.origin
        yield ConfigObject("VirtualService", namespace, f"{service.host}~routes", spec, origin)


def _of_port(each: MeshAttachment, backends: Backends, rules: Rules) -> Iterator[Ranked]:
    for ranked in rules.of(each.route, backends, Entrance()):
        (match,) = ranked.rule.match
        yield attrs.evolve(ranked, rule=attrs.evolve(ranked.rule, match=(attrs.evolve(match, port=each.port),)))


def _untouched(service: KnownService, attached: Iterable[MeshAttachment]) -> Iterator[istio.HTTPRoute]:
    touched = {each.port for each in attached}
    for port in () if 0 in touched else service.ports:
        if port not in touched:
            to = istio.HTTPRouteDestination(istio.Destination(service.host, port=istio.PortSelector(port)))
            yield istio.HTTPRoute("default", (istio.HTTPMatchRequest(port=port),), (to,))


def _refused(reason: str, message: str, mend: str) -> Condition:
    return Condition(ACCEPTED, False, reason, message, mend)
