"""One figure with its target: printed as a line of JSON, and kept with the others of a run in bench/results/."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import attrs

RESULTS = Path(__file__).parent / "results"


@attrs.frozen
class Figure:
    """`limit` is the most that `value` may be; None where nothing was promised. `note` says what was measured."""

    figure: str
    value: float
    unit: str
    limit: float | None = None
    note: str = ""

    @property
    def ok(self) -> bool:
        return self.limit is None or self.value <= self.limit

    def plain(self) -> dict[str, object]:
        return {**attrs.asdict(self), "value": round(self.value, 3), "ok": self.ok}


def report(name: str, figures: Sequence[Figure]) -> int:
    """Prints and keeps the figures; the number of missed targets."""
    for each in figures:
        print(json.dumps(each.plain()), flush=True)
    RESULTS.mkdir(exist_ok=True)
    kept = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
        "figures": [each.plain() for each in figures],
    }
    (RESULTS / f"{name}.json").write_text(json.dumps(kept, indent=2) + "\n")
    return sum(not each.ok for each in figures)
