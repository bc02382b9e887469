"""Patches of a listener and of all that is inside it. Changes the message that it is given.

In Istio's order: the listener, its listener filters, then chain by chain the chain, its network filters and the HTTP
filters in these; chains that a patch brings come last and are left as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from galley.checks.envoy_filter import INSERTS, MERGES
from galley.kinds.envoy_filter import ApplyTo, Operation
from pilot.envoy import codec
from pilot.envoy.patches.check import MANAGER, type_of
from pilot.envoy.patches.lists import edited, put
from pilot.envoy.patches.match import (
    ROUTES,
    ListenerFacts,
    named_filter,
    named_http_filter,
    takes_chain,
    takes_listener,
)
from pilot.envoy.patches.routes import merge_into, patch_routes, value_of
from pilot.model.patch import Patch


def patch_listener(listener: Any, facts: ListenerFacts, patches: Sequence[Patch]) -> bool:
    """envoy.config.listener.v3.Listener. False if it is taken away."""
    inline = [each for each in patches if each.spec.apply_to in ROUTES]
    mine = [each for each in patches if each.spec.apply_to not in ROUTES and takes_listener(each, facts)]
    for each in _of(mine, ApplyTo.LISTENER):
        if not any(takes_chain(each, chain, facts) for chain in listener.filter_chains):
            continue
        if each.operation is Operation.REMOVE:
            return False
        if each.operation in MERGES:
            merge_into(listener, each)
    _patch_filters(listener.listener_filters, _of(mine, ApplyTo.LISTENER_FILTER), _named_listener_filter)
    chains = [chain for chain in listener.filter_chains if _patch_chain(chain, facts, mine, inline)]
    if listener.HasField("default_filter_chain") and not _patch_chain(
        listener.default_filter_chain, facts, mine, inline
    ):
        listener.ClearField("default_filter_chain")
    put(listener.filter_chains, [*chains, *(value_of(each) for each in _of(mine, ApplyTo.FILTER_CHAIN) if _adds(each))])
    return True


def _of(patches: Iterable[Patch], apply_to: ApplyTo) -> list[Patch]:
    return [each for each in patches if each.spec.apply_to is apply_to]


def _adds(patch: Patch) -> bool:
    return patch.operation is Operation.ADD or patch.operation in INSERTS


def _named_listener_filter(patch: Patch) -> str:
    return patch.match.listener.listener_filter if patch.match.listener else ""


def _patch_chain(chain: Any, facts: ListenerFacts, patches: Iterable[Patch], inline: Sequence[Patch]) -> bool:
    """False if the chain is taken away."""
    mine = [each for each in patches if takes_chain(each, chain, facts)]
    for each in _of(mine, ApplyTo.FILTER_CHAIN):
        if each.operation is Operation.REMOVE:
            return False
        if each.operation in MERGES:
            merge_into(chain, each)
    _patch_filters(chain.filters, _of(mine, ApplyTo.NETWORK_FILTER), named_filter)
    of_http = _of(mine, ApplyTo.HTTP_FILTER)
    if of_http or inline:
        for each in chain.filters:
            if type_of(each.typed_config) == MANAGER:
                _patch_manager(each, of_http, inline)
    return True


def _patch_manager(filter_: Any, patches: Iterable[Patch], inline: Sequence[Patch]) -> None:
    cls: Any = codec.message_of(MANAGER)
    manager = cls.FromString(filter_.typed_config.value)
    mine = [each for each in patches if named_filter(each) in ("", filter_.name)]
    _patch_filters(manager.http_filters, mine, named_http_filter)
    if inline and manager.HasField("route_config"):
        patch_routes(manager.route_config, inline)
    filter_.typed_config.value = codec.encode(manager)


def _patch_filters(field: Any, patches: Sequence[Patch], name_of: Callable[[Patch], str]) -> None:
    """A list of filters of one sort: what changes the list first, then what changes those in it."""
    if not patches:
        return
    items = list(field)
    for each in patches:
        if each.operation not in MERGES:
            value = None if each.operation is Operation.REMOVE else value_of(each)
            items = edited(items, each.operation, value, _named(name_of(each)))
    put(field, items)
    for each in patches:
        if each.operation in MERGES:
            for item in field:
                if name_of(each) in ("", item.name):
                    merge_into(item, each)


def _named(name: str) -> Callable[[Any], bool] | None:
    return (lambda item: item.name == name) if name else None
