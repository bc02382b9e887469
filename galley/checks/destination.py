"""What a destination and a split over several must hold, whatever protocol is routed."""

from __future__ import annotations

from collections.abc import Iterator

from galley.checks.values import check_host, check_port_selector
from galley.document import Path
from galley.finding import Finding
from galley.kinds.virtual_service import Destination, HTTPRouteDestination, RouteDestination


def check_split(routes: tuple[HTTPRouteDestination | RouteDestination, ...], path: Path) -> Iterator[Finding]:
    """All findings of weighted destinations."""
    for index, each in enumerate(routes):
        if each.destination is None:
            mend = "say where the traffic goes: destination.host"
            yield Finding((*path, index), "has no destination", mend)
        else:
            yield from check_destination(each.destination, (*path, index, "destination"))
        if each.weight < 0:
            yield Finding((*path, index, "weight"), f"{each.weight} is negative", "weights are shares of 100")
    weights = [each.weight for each in routes]
    total = sum(weights)
    if len(weights) > 1 and min(weights) >= 0 and total not in (0, 100):
        mend = "make them sum to 100, or leave all weights out to split evenly"
        yield Finding(path, f"weights sum to {total}, not 100", mend)


def check_destination(destination: Destination, path: Path) -> Iterator[Finding]:
    """All findings of one destination."""
    yield from check_host(destination.host, (*path, "host"), wildcard=False)
    yield from check_port_selector(destination.port, (*path, "port"))
