"""Decides the listeners that a Sidecar adds on the way out: HTTP by host, or the bytes of one service. Pure."""

from __future__ import annotations

import attrs

from pilot import ir
from pilot.model.proxy import Upstream
from pilot.model.scope import EgressListener
from pilot.model.service import Port, Protocol, Service
from pilot.plan.client import Client
from pilot.plan.listeners import listener_name, manager, upstream_listener
from pilot.plan.reach import services
from pilot.plan.virtual_hosts import egress_routes


def plan_egress(client: Client) -> ir.Plan:
    """The listeners of the view's scope, and the routes of those for HTTP."""
    listeners, routes = [], []
    for each in client.view.scope.listeners:
        found = services(client.index, client.view, each.hosts)
        if _carries_http(each, found):
            route = str(each.port)
            chain = ir.FilterChain(manager(route, route, found))
            listeners.append(
                ir.Listener(listener_name(each.address, each.port), each.address, each.port, _OUT, (chain,))
            )
            routes.append(egress_routes(client, route, each.port, found))
        else:
            listeners.append(_one_service(client, each, found))
    return ir.Plan(listeners=tuple(listeners), routes=tuple(routes))


_OUT = ir.Direction.OUTBOUND


def _carries_http(listener: EgressListener, found: tuple[Service, ...]) -> bool:
    """As the listener says; where it says nothing, HTTP unless it leads to one service that speaks something else."""
    if listener.protocol is not Protocol.UNSPECIFIED:
        return listener.protocol.is_http
    port = found[0].port(listener.port) if len(found) == 1 else None
    return port is None or port.protocol.is_http or port.protocol is Protocol.UNSPECIFIED


def _one_service(client: Client, listener: EgressListener, found: tuple[Service, ...]) -> ir.Listener:
    """A host that nobody knows, or one without this port, leads to a cluster that may come up later."""
    host = found[0].host if found else next((each.host for each in listener.hosts), "")
    service = found[0] if found else None
    port = service.port(listener.port) if service else None
    spoken = listener.protocol if listener.protocol is not Protocol.UNSPECIFIED else Protocol.TCP
    told = attrs.evolve(port, protocol=spoken) if port else Port("", listener.port, spoken)
    return upstream_listener(client, Upstream(host, listener.port, listener.port, listener.address), service, told)
