"""Decides which clusters a route's destinations are, and what share each has. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from galley.config import ConfigObject
from galley.kinds import virtual_service as kind
from pilot import ir
from pilot.plan import names
from pilot.plan.client import Client

Rule = ConfigObject[kind.VirtualService]
Destination = tuple[kind.Destination | None, int, ir.HeaderOperations | None, str]
"""A destination, its weight, its header changes and the authority it wants."""


def split(client: Client, rule: Rule, port: int, destinations: Iterable[Destination]) -> tuple[ir.WeightedCluster, ...]:
    """Weights as written; left out everywhere they are even. A destination of weight 0 beside others gets nothing."""
    given = [(to, weight, headers, host) for to, weight, headers, host in destinations if to]
    even = not any(weight for _, weight, _, _ in given)
    return tuple(
        ir.WeightedCluster(cluster(client, rule, port, to), 1 if even else weight, headers, host)
        for to, weight, headers, host in given
        if even or weight
    )


def cluster(client: Client, rule: Rule, port: int, destination: kind.Destination) -> str:
    """The destination's cluster; its port is the one named, else the service's only one, else that of the request.

    A host that no platform knows keeps its name: Envoy answers 503 until the host appears (`galley.analyze` warns).
    """
    service = client.index.hosts.find(destination.host, rule.namespace)
    host = service.host if service else destination.host
    number = destination.port.number if destination.port else 0
    if not number:
        number = service.ports[0].number if service and len(service.ports) == 1 else port
    return names.outbound_cluster(host, number, destination.subset)
