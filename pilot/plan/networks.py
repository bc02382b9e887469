"""Decides by what address a client reaches endpoints of networks other than its own: those networks' gateways. Pure.

Istio's meshNetworks, as far as it works without mutual TLS between sidecars: an endpoint of another network gives way
to the gateways of that network, which weigh together what the endpoints behind them weigh. They find the service by the
request's host, so only HTTP goes through; the endpoints of other ports are out of reach for such a client. A network
without gateways, a client or an endpoint that names no network: reached directly.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import attrs

from pilot.model.service import Endpoint, Health, Locality, NetworkGateway, Protocol

Chosen = tuple[Endpoint, int]
"""An endpoint and the port to call it on."""
_Behind = tuple[tuple[NetworkGateway, ...], str, Locality, int]


def through_gateways(chosen: Sequence[Chosen], protocol: Protocol, network: str) -> list[Chosen]:
    """The endpoints as a client of `network` calls them."""
    if not network or all(_is_direct(endpoint, network) for endpoint, _ in chosen):
        return list(chosen)
    direct = [(endpoint, port) for endpoint, port in chosen if _is_direct(endpoint, network)]
    behind: dict[_Behind, list[Endpoint]] = {}
    for endpoint, _ in chosen:
        if not _is_direct(endpoint, network) and protocol.is_http:
            way = endpoint.gateways, endpoint.network, endpoint.locality, endpoint.priority
            behind.setdefault(way, []).append(endpoint)
    # Weights are whole numbers: all are multiplied so that each gateway gets an even part of what lies behind it.
    fine = math.lcm(*(len(gateways) for gateways, *_ in behind))
    found = [(attrs.evolve(endpoint, weight=endpoint.weight * fine), port) for endpoint, port in direct]
    for (gateways, _, _, _), members in behind.items():
        found += [_gateway(each, members, fine // len(gateways)) for each in gateways]
    return found


def _is_direct(endpoint: Endpoint, network: str) -> bool:
    return not endpoint.gateways or endpoint.network in ("", network)


def _gateway(gateway: NetworkGateway, members: Sequence[Endpoint], share: int) -> Chosen:
    """The gateway in the place of what lies behind it: as healthy as the healthiest of it."""
    taking = [each for each in members if each.health is Health.HEALTHY and each.weight > 0]
    weight = sum(each.weight for each in taking) * share
    stands_for = attrs.evolve(
        (taking or members)[0],
        address=gateway.address,
        ports=(),
        labels=(),
        weight=weight or 1,
        health=Health.HEALTHY if taking else Health.UNHEALTHY,
    )
    return stands_for, gateway.port
