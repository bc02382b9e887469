"""Patches of a route configuration, its virtual hosts and their routes. Changes the message that it is given."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from galley.checks.envoy_filter import INSERTS, MERGES
from galley.kinds.envoy_filter import ApplyTo, Operation
from pilot.envoy.patches.lists import edited, put
from pilot.envoy.patches.match import is_route, named_route, takes_routes, takes_virtual_host
from pilot.envoy.patches.merge import merge
from pilot.envoy.patches.values import message
from pilot.model.patch import Patch


def value_of(patch: Patch) -> Any:
    """The patch's value as a message; shared, so not to be changed."""
    said = patch.spec.patch
    if said is None or said.value is None:
        raise ValueError(f"{patch.source}: {patch.place} has no value")
    return message(patch.spec.apply_to, said.value)


def merge_into(target: Any, patch: Patch) -> None:
    """One of the two merging operations."""
    merge(target, value_of(patch), replace_lists=patch.operation is Operation.MERGE_AND_REPLACE_LIST)


def patch_routes(routes: Any, patches: Iterable[Patch]) -> None:
    """envoy.config.route.v3.RouteConfiguration."""
    hosts = [host.name for host in routes.virtual_hosts]
    mine = [each for each in patches if takes_routes(each, routes.name, hosts)]
    for each in mine:
        if each.spec.apply_to is ApplyTo.ROUTE_CONFIGURATION:
            merge_into(routes, each)
    kept = [found for host in routes.virtual_hosts if (found := _patch_host(host, routes.name, mine)) is not None]
    of_hosts = [each for each in mine if each.spec.apply_to is ApplyTo.VIRTUAL_HOST]
    put(routes.virtual_hosts, [*kept, *(value_of(each) for each in of_hosts if _adds(each.operation))])


def _adds(operation: Operation) -> bool:
    """Where there is no order, an insertion is an addition."""
    return operation is Operation.ADD or operation in INSERTS


def _patch_host(host: Any, routes: str, patches: Iterable[Patch]) -> Any | None:
    """The virtual host as it is to be; None if it is taken away."""
    for each in patches:
        if each.spec.apply_to is not ApplyTo.VIRTUAL_HOST or not takes_virtual_host(each, host, routes):
            continue
        if each.operation is Operation.REMOVE:
            return None
        if each.operation in MERGES:
            merge_into(host, each)
        elif each.operation is Operation.REPLACE:
            host = type(host).FromString(value_of(each).SerializeToString())
    of_routes = (each for each in patches if each.spec.apply_to is ApplyTo.HTTP_ROUTE)
    _patch_host_routes(host, [each for each in of_routes if takes_virtual_host(each, host, routes)])
    return host


def _patch_host_routes(host: Any, patches: Iterable[Patch]) -> None:
    """Merges and removals first, so that what is put in is not changed again."""
    items = list(host.routes)
    for each in patches:
        named = _names(each)
        if each.operation is Operation.REMOVE:
            items = [route for route in items if named is not None and not named(route)]
        elif each.operation in MERGES:
            for route in items:
                if named is None or named(route):
                    merge_into(route, each)
    for each in patches:
        named = _names(each)
        absent = named is not None and not any(map(named, items))
        if (each.operation is Operation.ADD or each.operation in INSERTS) and not (
            each.operation is Operation.INSERT_FIRST and absent
        ):
            items = edited(items, each.operation, value_of(each), named)
    put(host.routes, items)


def _names(patch: Patch) -> Callable[[Any], bool] | None:
    match = named_route(patch)
    return (lambda route: is_route(match, route)) if match is not None else None
