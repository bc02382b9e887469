"""What selectors of workloads and references to objects must hold beyond their types, wherever they stand."""

from __future__ import annotations

from collections.abc import Iterator

from galley.document import Path
from galley.finding import Finding
from galley.kinds.selector import TargetReference, WorkloadSelector

GATEWAY_GROUPS = ("gateway.networking.k8s.io", "networking.istio.io")
_OF_WAYPOINTS = ("Service", "ServiceEntry", "GatewayClass")


def check_selector(selector: WorkloadSelector | None, path: Path) -> Iterator[Finding]:
    """Labels are compared as they are: Istio has no wildcards in them."""
    for key, value in selector.match_labels if selector else ():
        here = (*path, "matchLabels", key)
        if not key:
            yield Finding(here, "has an empty label name", "name the label")
        if "*" in key or "*" in value:
            yield Finding(here, "has a wildcard, which labels are not compared by", "write the whole label")


def check_selection(
    selector: WorkloadSelector | None,
    target_ref: TargetReference | None,
    target_refs: tuple[TargetReference, ...],
    path: Path,
) -> Iterator[Finding]:
    """Which proxies an object is for, said in one way at most."""
    said = {"selector": selector, "targetRef": target_ref, "targetRefs": target_refs}
    ways = [name for name, value in said.items() if value]
    if len(ways) > 1:
        yield Finding(path, f"sets {' and '.join(ways)}, of which only one may be set", f"keep {ways[0]}")
    yield from check_selector(selector, (*path, "selector"))
    if target_ref is not None:
        yield from check_target(target_ref, (*path, "targetRef"))
    for index, reference in enumerate(target_refs):
        yield from check_target(reference, (*path, "targetRefs", index))


def check_target(reference: TargetReference, path: Path) -> Iterator[Finding]:
    """A reference to a Gateway, whose routers are meant."""
    if reference.group not in GATEWAY_GROUPS or reference.kind != "Gateway":
        named = f"{reference.group or 'core'}/{reference.kind or '?'}"
        waypoint = (
            ", and others are for Istio's waypoints, which are not here" if reference.kind in _OF_WAYPOINTS else ""
        )
        message = f"refers to {named}: only proxies of Gateways can be found by a reference{waypoint}"
        mend = f"name a Gateway of group {' or '.join(GATEWAY_GROUPS)}, or select workloads by their labels"
        yield Finding(path, message, mend)
    if not reference.name:
        yield Finding((*path, "name"), "is missing", "name the Gateway")
    if reference.namespace:
        yield Finding((*path, "namespace"), "is not read: a reference stays in its namespace", "remove it")
