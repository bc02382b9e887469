"""What a selector of workloads must hold beyond its types, wherever it stands."""

from __future__ import annotations

from collections.abc import Iterator

from galley.document import Path
from galley.finding import Finding
from galley.kinds.selector import WorkloadSelector


def check_selector(selector: WorkloadSelector | None, path: Path) -> Iterator[Finding]:
    """Labels are compared as they are: Istio has no wildcards in them."""
    for key, value in selector.match_labels if selector else ():
        here = (*path, "matchLabels", key)
        if not key:
            yield Finding(here, "has an empty label name", "name the label")
        if "*" in key or "*" in value:
            yield Finding(here, "has a wildcard, which labels are not compared by", "write the whole label")
