"""Decides load assignments for gRPC clients, from those for Envoys. Pure.

gRPC takes turns within a locality and does not look at the weights of endpoints; it takes no locality without a weight
and no gap between priorities. So endpoints of a locality that differ in weight are told as localities of their own,
each weighing what its endpoints weigh together. A hash ring counts the weights of endpoints itself, and there all
endpoints of a priority are one locality. Endpoints that are not healthy, and files, are left out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

import attrs

from pilot import ir
from pilot.plan.endpoints import MAX_WEIGHT, UNIX

_PRECISION = 10_000
"""Parts that a locality's weight is cut into for its endpoints."""
_Place = tuple[str, str, str]
_Weighed = tuple[_Place, ir.LbEndpoint, int]


def balanced(value: ir.LoadAssignment, *, hashing: bool) -> ir.LoadAssignment:
    """The same endpoints with the same shares, as gRPC counts them."""
    by_priority: defaultdict[int, list[_Weighed]] = defaultdict(list)
    for locality in value.localities:
        by_priority[locality.priority] += _weighed(locality)
    filled = [by_priority[priority] for priority in sorted(by_priority) if by_priority[priority]]
    make = _ring if hashing else _turns
    found = [make(_in_range(members), rank) for rank, members in enumerate(filled)]
    return ir.LoadAssignment(value.cluster, tuple(each for localities in found for each in localities))


def only_endpoint(value: ir.LoadAssignment) -> ir.LoadAssignment | None:
    """The single endpoint that a name looked up by gRPC may have; None where there are none or several."""
    found = [member for locality in value.localities for member in _weighed(locality)]
    if len(found) != 1:
        return None
    (place, endpoint, _), *_ = found
    return ir.LoadAssignment(value.cluster, (ir.LocalityEndpoints(*place, endpoints=(_plain(endpoint),)),))


def _weighed(locality: ir.LocalityEndpoints) -> Iterator[_Weighed]:
    """The endpoints that may be called with what each weighs among all of the priority."""
    usable = [each for each in locality.endpoints if each.health == "HEALTHY" and not each.address.startswith(UNIX)]
    total = sum(each.weight for each in usable)
    place = (locality.region, locality.zone, locality.subzone)
    for each in usable:
        share = each.weight * locality.weight * _PRECISION // total if locality.weight else each.weight
        yield place, each, max(share, 1)


def _in_range(members: list[_Weighed]) -> list[_Weighed]:
    """gRPC refuses weights whose sum does not fit 32 bits."""
    total = sum(weight for _, _, weight in members)
    if total <= MAX_WEIGHT:
        return members
    room = MAX_WEIGHT - len(members)
    return [(place, endpoint, max(weight * room // total, 1)) for place, endpoint, weight in members]


def _ring(members: list[_Weighed], rank: int) -> tuple[ir.LocalityEndpoints, ...]:
    endpoints = tuple(attrs.evolve(endpoint, weight=weight) for _, endpoint, weight in members)
    return (ir.LocalityEndpoints("", "", "", endpoints, weight=1, priority=rank),)


def _turns(members: list[_Weighed], rank: int) -> tuple[ir.LocalityEndpoints, ...]:
    by_place: defaultdict[_Place, defaultdict[int, list[ir.LbEndpoint]]] = defaultdict(lambda: defaultdict(list))
    for place, endpoint, weight in members:
        by_place[place][weight].append(_plain(endpoint))
    return tuple(each for place, classes in by_place.items() for each in _classes(place, classes, rank))


def _classes(place: _Place, classes: Mapping[int, list[ir.LbEndpoint]], rank: int) -> Iterator[ir.LocalityEndpoints]:
    """One locality for each weight that endpoints of the place have; its name says it where there are several."""
    region, zone, subzone = place
    for weight, endpoints in sorted(classes.items()):
        name = f"{subzone}~{weight}" if len(classes) > 1 else subzone
        yield ir.LocalityEndpoints(region, zone, name, tuple(endpoints), weight * len(endpoints), rank)


def _plain(endpoint: ir.LbEndpoint) -> ir.LbEndpoint:
    return attrs.evolve(endpoint, weight=1)
