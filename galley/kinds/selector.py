"""Selectors that several kinds share (istio.type.v1beta1)."""

from __future__ import annotations

import attrs


@attrs.frozen
class WorkloadSelector:
    """The workloads that carry all of these labels."""

    match_labels: tuple[tuple[str, str], ...] = ()
