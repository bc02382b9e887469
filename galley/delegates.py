"""Virtual services that leave routes to others, made whole by Istio's rules of merging. Pure.

A root's route with `delegate` is replaced by the delegate's routes: matches of both must hold, what the delegate leaves
out it has from the root. A delegate's route whose matches lie outside the root's is dropped, as one is whose delegate
is missing or not exported to the root. Planning reads the result, `galley.analyze` reports what was dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import attrs

from galley.config import ConfigObject
from galley.document import Path
from galley.finding import Finding
from galley.kinds.virtual_service import (
    Destination,
    HTTPMatchRequest,
    HTTPRoute,
    StringMatch,
    VirtualService,
)
from galley.visibility import exported

Rule = ConfigObject[VirtualService]
FullName = Callable[[str, str], str]
"""The host that a name means in a namespace."""

V = TypeVar("V")
_Pairs = tuple[tuple[str, V], ...]
_MATCH_STRINGS = ("uri", "scheme", "method", "authority")
_MATCH_MAPS = ("headers", "without_headers", "query_params")
_INHERITED = ("rewrite", "timeout", "retries", "fault", "cors_policy", "headers")


def merge_delegates(rules: Iterable[Rule], full_name: FullName) -> tuple[Rule, ...]:
    """Those that have hosts, in order; routes that delegate are replaced. Others are the same objects."""
    rules = tuple(rules)
    delegates = _delegates(rules)
    return tuple(_whole(rule, delegates, full_name) for rule in rules if rule.spec.hosts)


def delegate_findings(rules: Iterable[Rule]) -> Iterator[tuple[Rule, Finding]]:
    """What merging drops, each with the rule to blame, and delegates that nobody refers to."""
    rules = tuple(rules)
    delegates = _delegates(rules)
    used: set[tuple[str, str]] = set()
    for rule in rules:
        for index, route in enumerate(rule.spec.http if rule.spec.hosts else ()):
            if route.delegate is not None:
                used.add(_key(rule, route))
                yield from _dropped(rule, route, ("spec", "http", index), delegates)
    for key, rule in delegates.items():
        if key not in used:
            message = "has no hosts and no virtual service delegates to it, so it routes nothing"
            yield rule, Finding(("spec",), message, "list its hosts, or refer to it by http[].delegate")


def _delegates(rules: Iterable[Rule]) -> dict[tuple[str, str], Rule]:
    return {(rule.namespace, rule.name): rule for rule in rules if not rule.spec.hosts}


def _key(root: Rule, route: HTTPRoute) -> tuple[str, str]:
    """A delegate without namespace is beside the root."""
    assert route.delegate is not None
    return route.delegate.namespace or root.namespace, route.delegate.name


def _whole(root: Rule, delegates: dict[tuple[str, str], Rule], full_name: FullName) -> Rule:
    if not any(route.delegate for route in root.spec.http):
        return root
    routes: list[HTTPRoute] = []
    for route in root.spec.http:
        if route.delegate is None:
            routes.append(route)
            continue
        delegate = delegates.get(_key(root, route))
        if delegate is not None and exported(delegate, root.namespace):
            merged = (_merged(route, each) for each in delegate.spec.http)
            routes += (_at_home(each, root, delegate, full_name) for each in merged if each is not None)
    return attrs.evolve(root, spec=attrs.evolve(root.spec, http=tuple(routes)))


def _dropped(
    root: Rule, route: HTTPRoute, path: Path, delegates: dict[tuple[str, str], Rule]
) -> Iterator[tuple[Rule, Finding]]:
    key = _key(root, route)
    name, delegate = "/".join(key), delegates.get(key)
    if delegate is None:
        mend = "correct the name, or add the virtual service (without hosts); until then the route is left out"
        yield root, Finding((*path, "delegate"), f"refers to delegate virtual service {name!r}, not found", mend)
    elif not exported(delegate, root.namespace):
        message = f"refers to {name!r}, which is not exported to namespace {root.namespace!r}"
        yield root, Finding((*path, "delegate"), message, "add the namespace to the delegate's exportTo")
    else:
        for index, each in enumerate(delegate.spec.http):
            if _merged(route, each) is None:
                message = f"is left out: no match of it lies within those of {path[1]}[{path[2]}] of {root}"
                yield delegate, Finding(("spec", "http", index), message, "make its matches narrower than the root's")


def _merged(root: HTTPRoute, leaf: HTTPRoute) -> HTTPRoute | None:
    """The delegate's route with what the root adds; None if they contradict."""
    matches = _merged_matches(root.match, leaf.match)
    if matches is None:
        return None
    inherited = {name: getattr(leaf, name) if _given(leaf, name) else getattr(root, name) for name in _INHERITED}
    if leaf.mirror is None and not leaf.mirrors:
        inherited |= {"mirror": root.mirror, "mirrors": root.mirrors}
    if leaf.mirror_percentage is None and leaf.mirror_percent is None:
        inherited |= {"mirror_percentage": root.mirror_percentage, "mirror_percent": root.mirror_percent}
    return attrs.evolve(leaf, name=_joined(root.name, leaf.name), match=matches, **inherited)


def _given(route: HTTPRoute, name: str) -> bool:
    return getattr(route, name) is not None


def _joined(root: str, leaf: str) -> str:
    return "-".join(filter(None, (root, leaf)))


def _merged_matches(
    root: tuple[HTTPMatchRequest, ...], leaf: tuple[HTTPMatchRequest, ...]
) -> tuple[HTTPMatchRequest, ...] | None:
    """Each of the leaf's with each of the root's that it lies within; None if one of the leaf's lies within none."""
    if not root or not leaf:
        return root or leaf
    found: list[HTTPMatchRequest] = []
    for narrow in leaf:
        merged = [_merged_match(wide, narrow) for wide in root if _lies_within(narrow, wide)]
        if not merged:
            return None
        found += merged
    return tuple(found)


def _merged_match(root: HTTPMatchRequest, leaf: HTTPMatchRequest) -> HTTPMatchRequest:
    changes: dict[str, Any] = {name: getattr(leaf, name) or getattr(root, name) for name in _MATCH_STRINGS}
    for name in (*_MATCH_MAPS, "source_labels"):
        changes[name] = tuple(sorted({**dict(getattr(root, name)), **dict(getattr(leaf, name))}.items()))
    both = root.gateways and leaf.gateways
    changes["gateways"] = (
        tuple(each for each in leaf.gateways if each in root.gateways) if both else root.gateways or leaf.gateways
    )
    return attrs.evolve(
        leaf,
        name=_joined(root.name, leaf.name),
        port=leaf.port or root.port,
        source_namespace=leaf.source_namespace or root.source_namespace,
        stat_prefix=leaf.stat_prefix or root.stat_prefix,
        **changes,
    )


def _lies_within(leaf: HTTPMatchRequest, root: HTTPMatchRequest) -> bool:
    """Whether the two may hold together and the leaf asks for no less than the root."""
    strings = ((getattr(root, name), getattr(leaf, name)) for name in _MATCH_STRINGS)
    return (
        all(_narrows(wide, narrow) for wide, narrow in strings)
        and all(_narrows_each(getattr(root, name), getattr(leaf, name)) for name in ("headers", "query_params"))
        and _agree(root.without_headers, leaf.without_headers)
        and _agree(root.source_labels, leaf.source_labels)
        and root.ignore_uri_case == leaf.ignore_uri_case
        and _same_if_said(root.port, leaf.port)
        and _same_if_said(root.source_namespace, leaf.source_namespace)
        and (not (root.gateways and leaf.gateways) or any(each in root.gateways for each in leaf.gateways))
    )


def _same_if_said(root: object, leaf: object) -> bool:
    return not root or not leaf or root == leaf


def _agree(root: _Pairs[V], leaf: _Pairs[V]) -> bool:
    said = dict(root)
    return all(said.get(key, value) == value for key, value in leaf)


def _narrows_each(root: _Pairs[StringMatch], leaf: _Pairs[StringMatch]) -> bool:
    said = dict(root)
    return all(_narrows(said.get(key), value) for key, value in leaf)


def _narrows(root: StringMatch | None, leaf: StringMatch | None) -> bool:
    """Whether all that `leaf` matches `root` matches too; of regexes that can't be told, and is denied."""
    if root is None or leaf is None:
        return True
    if root.regex is not None or leaf.regex is not None:
        return False
    if root.exact is not None:
        return leaf.exact == root.exact
    if root.prefix is not None:
        wanted = leaf.exact if leaf.exact is not None else leaf.prefix
        return wanted is not None and wanted.startswith(root.prefix)
    return True


def _at_home(route: HTTPRoute, root: Rule, delegate: Rule, full_name: FullName) -> HTTPRoute:
    """A delegate's short names mean what they mean in its own namespace."""
    if root.namespace == delegate.namespace:
        return route

    def moved(destination: Destination | None) -> Destination | None:
        return destination and attrs.evolve(destination, host=full_name(destination.host, delegate.namespace))

    return attrs.evolve(
        route,
        route=tuple(attrs.evolve(each, destination=moved(each.destination)) for each in route.route),
        mirror=moved(route.mirror),
        mirrors=tuple(attrs.evolve(each, destination=moved(each.destination)) for each in route.mirrors),
    )
