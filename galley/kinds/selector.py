"""Selectors that several kinds share (istio.type.v1beta1)."""

from __future__ import annotations

from typing import Annotated

import attrs

from galley.schema import Becomes


@attrs.frozen
class WorkloadSelector:
    """The workloads that carry all of these labels."""

    match_labels: Annotated[tuple[tuple[str, str], ...], Becomes("of which proxies")] = ()
