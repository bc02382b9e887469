"""What people see of the numbers: the table of traffic, and a step's verdict. Pure; plain text, no colours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mesh_adapter.demo.tally import Row
from mesh_adapter.demo.topology import SPLIT
from mesh_adapter.demo.verdict import Step

HEADINGS = ("SERVICE", "VERSION", "REQUESTS", "SHARE", "CONFIGURED", "ERRORS", "P50 MS", "P99 MS", "INSTANCES")
_TO_THE_RIGHT = frozenset(range(2, 8))


def table(rows: Sequence[Row], configured: Mapping[str, float]) -> list[str]:
    """Lines without a newline. `configured` are the percentages of the versions of the service that is split."""
    cells = [HEADINGS, *(_cells(row, configured) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEADINGS))]
    return [_line(line, widths) for line in cells]


def _cells(row: Row, configured: Mapping[str, float]) -> tuple[str, ...]:
    split = row.service == SPLIT and row.version in configured
    return (
        row.service,
        row.version,
        str(row.requests),
        f"{100 * row.share:.1f} %",
        f"{configured[row.version]:g} %" if split else "",
        str(row.errors),
        f"{row.p50:.1f}",
        f"{row.p99:.1f}",
        "  ".join(f"{name} {count}" for name, count in row.instances.items()) if len(row.instances) > 1 else "",
    )


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    aligned = (
        cell.rjust(width) if column in _TO_THE_RIGHT else cell.ljust(width)
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return "  ".join(aligned).rstrip()


def verdict(step: Step) -> list[str]:
    """One line, and one more for every problem."""
    seen = ", ".join(f"{name} {share:g} %" for name, share in step.seen.items())
    errors = sum(step.measured.errors.values())
    word = "as configured" if step.ok else "NOT AS CONFIGURED"
    line = f"    {word}: {seen} of {step.measured.requests} requests, {errors} errors"
    return [line, *(f"      {problem}" for problem in step.problems)]
