"""What an EnvoyFilter must hold beyond its types: Istio's rules, and no patch that could never do anything.

Whether a value is what Envoy calls such an object is not known here; the composition root brings that check
(`pilot.envoy.patches.values`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from galley.checks.regex import judge
from galley.checks.selector import check_target
from galley.checks.service_entry import check_selector
from galley.document import Path
from galley.envoy_patches import HTTP_MANAGER, new_name, old_type
from galley.finding import Finding
from galley.kinds.envoy_filter import (
    ApplyTo,
    EnvoyConfigObjectMatch,
    EnvoyConfigObjectPatch,
    EnvoyFilter,
    FilterMatch,
    OldFilter,
    OldFilterType,
    OldIndex,
    OldProtocol,
    Operation,
    ProxyMatch,
)

MERGES = frozenset({Operation.MERGE, Operation.MERGE_AND_REPLACE_LIST})
INSERTS = frozenset({Operation.INSERT_BEFORE, Operation.INSERT_AFTER, Operation.INSERT_FIRST})
_IN_ORDER = MERGES | INSERTS | {Operation.ADD, Operation.REMOVE, Operation.REPLACE}
_UNORDERED = MERGES | {Operation.ADD, Operation.REMOVE}
OPERATIONS: Mapping[ApplyTo, frozenset[Operation]] = {
    ApplyTo.LISTENER: _UNORDERED,
    ApplyTo.LISTENER_FILTER: _IN_ORDER,
    ApplyTo.FILTER_CHAIN: _UNORDERED,
    ApplyTo.NETWORK_FILTER: _IN_ORDER,
    ApplyTo.HTTP_FILTER: _IN_ORDER,
    ApplyTo.ROUTE_CONFIGURATION: MERGES,
    ApplyTo.VIRTUAL_HOST: _UNORDERED | {Operation.REPLACE},
    ApplyTo.HTTP_ROUTE: _IN_ORDER - {Operation.REPLACE},
    ApplyTo.CLUSTER: _UNORDERED,
}
"""What can be done to each; an insertion where nothing has an order is the same as ADD."""
_BY_OBJECT: Mapping[str, frozenset[ApplyTo]] = {
    "listener": frozenset(
        {
            ApplyTo.LISTENER,
            ApplyTo.LISTENER_FILTER,
            ApplyTo.FILTER_CHAIN,
            ApplyTo.NETWORK_FILTER,
            ApplyTo.HTTP_FILTER,
        }
    ),
    "routeConfiguration": frozenset({ApplyTo.ROUTE_CONFIGURATION, ApplyTo.VIRTUAL_HOST, ApplyTo.HTTP_ROUTE}),
    "cluster": frozenset({ApplyTo.CLUSTER}),
}
_NOT_COMPARED = ("NAME", "LABELS", "INBOUND", "UPSTREAMS", "OUTBOUND_ADDRESS", "OUTBOUND_PORT")


def check_envoy_filter(spec: EnvoyFilter) -> Iterator[Finding]:
    """All findings of one EnvoyFilter, paths starting at `spec`."""
    path: Path = ("spec",)
    if not spec.config_patches and not spec.filters:
        yield Finding(path, "is empty", "say what it is to change: configPatches")
    if spec.config_patches and spec.filters:
        yield Finding(path, "sets configPatches and filters, which is its older form", "keep configPatches")
    yield from _selection(spec, path)
    for index, patch in enumerate(spec.config_patches):
        yield from _patch(patch, (*path, "configPatches", index))
    for index, old in enumerate(spec.filters):
        yield from _old_filter(old, (*path, "filters", index))


def _selection(spec: EnvoyFilter, path: Path) -> Iterator[Finding]:
    ways = [
        name
        for name, said in (
            ("workloadSelector", spec.workload_selector),
            ("workloadLabels", spec.workload_labels),
            ("targetRefs", spec.target_refs),
        )
        if said
    ]
    if len(ways) > 1:
        yield Finding(path, f"sets {' and '.join(ways)}, of which only one may be set", f"keep {ways[0]}")
    if spec.workload_selector is not None:
        yield from check_selector(spec.workload_selector.labels, (*path, "workloadSelector"))
    for index, reference in enumerate(spec.target_refs):
        yield from check_target(reference, (*path, "targetRefs", index))


def _patch(patch: EnvoyConfigObjectPatch, path: Path) -> Iterator[Finding]:
    if patch.apply_to is ApplyTo.INVALID:
        yield Finding((*path, "applyTo"), "is missing", f"use one of {_names(OPERATIONS)}")
        return
    match = patch.match or EnvoyConfigObjectMatch()
    yield from _operation(patch, match, path)
    yield from _proxy(match.proxy, (*path, "match", "proxy"))
    yield from _object(patch.apply_to, match, (*path, "match"))


def _operation(patch: EnvoyConfigObjectPatch, match: EnvoyConfigObjectMatch, path: Path) -> Iterator[Finding]:
    allowed = OPERATIONS.get(patch.apply_to, frozenset())
    here = (*path, "patch")
    if patch.patch is None:
        yield Finding(here, "is missing", "say what is to be done: operation, value")
        return
    operation, apply_to = patch.patch.operation, patch.apply_to.value
    same_as_add = operation in INSERTS and Operation.ADD in allowed
    if operation is Operation.INVALID:
        yield Finding((*here, "operation"), "is missing", f"use one of {_names(allowed)}")
        return
    if operation not in allowed and same_as_add:
        message = f"{operation.value} is the same as ADD for {apply_to}, among which there is no order"
        yield Finding((*here, "operation"), message, "use ADD", warning=True)
    elif operation not in allowed:
        message = f"{operation.value} can't be done to a {apply_to}"
        yield Finding((*here, "operation"), message, f"use one of {_names(allowed)}")
        return
    if operation is not Operation.REMOVE and patch.patch.value is None:
        yield Finding((*here, "value"), "is missing, and only REMOVE can do without", "write what Envoy is to be told")
    if operation is Operation.REMOVE and patch.patch.value is not None:
        yield Finding((*here, "value"), "has no effect with REMOVE", "remove it", warning=True)
    yield from _needs_name(patch, match, operation, path)


def _needs_name(
    patch: EnvoyConfigObjectPatch, match: EnvoyConfigObjectMatch, operation: Operation, path: Path
) -> Iterator[Finding]:
    """What takes a filter away or its place must say which; Istio lets it do nothing instead."""
    if operation not in (Operation.REMOVE, Operation.REPLACE):
        return
    listener = match.listener
    chain = listener.filter_chain if listener else None
    filter_ = chain.filter if chain else None
    wanted, said = {
        ApplyTo.LISTENER_FILTER: ("listenerFilter", listener and listener.listener_filter),
        ApplyTo.NETWORK_FILTER: ("filterChain.filter", filter_),
        ApplyTo.HTTP_FILTER: ("filterChain.filter.subFilter", filter_ and filter_.sub_filter),
    }.get(patch.apply_to, ("", True))
    if not said:
        message = f"names no filter for {operation.value}"
        yield Finding((*path, "match"), message, f"name it in match.listener.{wanted}")


def _proxy(proxy: ProxyMatch | None, path: Path) -> Iterator[Finding]:
    if proxy is None:
        return
    if proxy.proxy_version:
        judgement = judge(proxy.proxy_version)
        if judgement.fault:
            yield Finding((*path, "proxyVersion"), judgement.fault, judgement.mend)
    for key, _ in proxy.metadata:
        if key in _NOT_COMPARED:
            message = "is each proxy's own, and is not compared"
            yield Finding((*path, "metadata", key), message, "select proxies by workloadSelector")


def _object(apply_to: ApplyTo, match: EnvoyConfigObjectMatch, path: Path) -> Iterator[Finding]:
    given = {"listener": match.listener, "routeConfiguration": match.route_configuration, "cluster": match.cluster}
    for name, said in given.items():
        if said is not None and apply_to not in _BY_OBJECT[name]:
            right = next((each for each, applies in _BY_OBJECT.items() if apply_to in applies), "")
            mend = f"match it by {right}" if right else "remove it"
            yield Finding((*path, name), f"can't be matched on with applyTo {apply_to.value}", mend)
    chain = match.listener.filter_chain if match.listener else None
    if chain is not None and chain.filter is not None and apply_to in _BY_OBJECT["listener"]:
        yield from _filter(apply_to, chain.filter, (*path, "listener", "filterChain", "filter"))


def _filter(apply_to: ApplyTo, filter_: FilterMatch, path: Path) -> Iterator[Finding]:
    inner = filter_.sub_filter
    if apply_to in (ApplyTo.LISTENER, ApplyTo.FILTER_CHAIN, ApplyTo.LISTENER_FILTER):
        message = f"has no effect with applyTo {apply_to.value}"
        yield Finding(path, message, "remove it", warning=True)
    if not filter_.name:
        yield Finding((*path, "name"), "is missing, and there is nothing else to match on", "name the network filter")
    elif new_name(filter_.name, http=False) != filter_.name:
        yield from _old_name(filter_.name, new_name(filter_.name, http=False), (*path, "name"))
    if inner is None:
        return
    here = (*path, "subFilter")
    if apply_to is not ApplyTo.HTTP_FILTER:
        yield Finding(here, "can be matched on with applyTo HTTP_FILTER only", "remove it")
    elif filter_.name and new_name(filter_.name, http=False) != HTTP_MANAGER:
        yield Finding(here, f"is only found inside {HTTP_MANAGER}", "name that as the filter")
    elif not inner.name:
        yield Finding((*here, "name"), "is missing, and there is nothing else to match on", "name the HTTP filter")
    elif new_name(inner.name, http=True) != inner.name:
        yield from _old_name(inner.name, new_name(inner.name, http=True), (*here, "name"))


def _old_name(name: str, now: str, path: Path) -> Iterator[Finding]:
    yield Finding(path, f"{name!r} is the deprecated name of a filter", f"use {now}", warning=True)


def _old_filter(old: OldFilter, path: Path) -> Iterator[Finding]:
    """Istio 1.1's rules."""
    if not old.filter_name:
        yield Finding((*path, "filterName"), "is missing", "name the filter")
    if old.filter_type is OldFilterType.INVALID:
        yield Finding((*path, "filterType"), "is missing", "use HTTP or NETWORK")
        return
    http = old.filter_type is OldFilterType.HTTP
    if http and old.listener_match and old.listener_match.listener_protocol is OldProtocol.TCP:
        here = (*path, "listenerMatch", "listenerProtocol")
        yield Finding(here, "is TCP, where no HTTP filter can be", "use HTTP or ALL, or filterType NETWORK")
    position = old.insert_position
    if position and not position.relative_to and position.index in (OldIndex.BEFORE, OldIndex.AFTER):
        here = (*path, "insertPosition", "relativeTo")
        yield Finding(here, f"is missing with {position.index.value}", "name a filter, or use FIRST or LAST")
    if old.filter_config is None:
        yield Finding((*path, "filterConfig"), "is missing", "write the filter's configuration, {} for none")
    elif old.filter_name and not old_type(old.filter_name, http) and "@type" not in old.filter_config.plain():
        message = f"has no @type, and {old.filter_name!r} is not a filter whose type is known by its name"
        yield Finding((*path, "filterConfig"), message, "add @type, or write it as configPatches with typed_config")


def _names(members: Iterable[ApplyTo | Operation]) -> str:
    return ", ".join(sorted(each.value for each in members))
