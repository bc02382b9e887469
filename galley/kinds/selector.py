"""Selectors and references that several kinds share (istio.type.v1beta1): which proxies an object is for."""

from __future__ import annotations

from typing import Annotated

import attrs

from galley.schema import Becomes


@attrs.frozen
class WorkloadSelector:
    """The workloads that carry all of these labels."""

    match_labels: Annotated[tuple[tuple[str, str], ...], Becomes("of which proxies")] = ()


@attrs.frozen
class TargetReference:
    """An object whose proxies are meant (istio.type.v1beta1.PolicyTargetReference): a Gateway of the same namespace."""

    group: str = ""
    kind: str = ""
    name: str = ""
    namespace: str = ""


def references(one: TargetReference | None, several: tuple[TargetReference, ...]) -> tuple[TargetReference, ...]:
    """Those of `targetRef` and `targetRefs`, of which a sound object sets one."""
    return several or ((one,) if one else ())
