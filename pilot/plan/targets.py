"""Decides whether an object is for a proxy by what it refers to: the routers of Gateways. Pure.

Used for every kind that has `targetRefs`. A reference stays in the namespace of the object that makes it.
"""

from __future__ import annotations

from collections.abc import Iterable

from galley.kind import NETWORKING
from galley.kinds.selector import TargetReference, WorkloadSelector
from pilot.model.service import Labels, has_labels


def aims_at(
    selector: WorkloadSelector | None,
    targets: tuple[TargetReference, ...],
    namespace: str,
    labels: Labels,
    gateways: Iterable[str],
) -> bool:
    """Whether an object of the namespace takes in a proxy with these labels that these Gateways select.

    One that says neither takes in all; which namespaces it reaches is for its own kind to say.
    """
    if targets:
        return any(is_for(each, namespace, gateways) for each in targets)
    return selector is None or has_labels(labels, selector.match_labels)


def is_for(reference: TargetReference, namespace: str, gateways: Iterable[str]) -> bool:
    """Whether one of the Gateways (NAMESPACE/NAME) is meant; those of the Gateway API are there by listener."""
    named = f"{namespace}/{reference.name}"
    if reference.group == NETWORKING:
        return named in gateways
    return any(each.startswith(f"{named}~") for each in gateways)
