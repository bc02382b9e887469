"""`noop`: takes everything and does nothing; for trying rules out."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from mixer.handler import HandlerType, Instance, Surroundings
from mixer.result import PASSED, CheckResult, QuotaArgs, QuotaResult


@attrs.frozen
class Params:
    """None."""


class NoopHandler:
    """Passes checks, grants quotas in full, drops reports."""

    def check(self, instance: Instance) -> CheckResult:
        return PASSED

    def report(self, instances: Sequence[Instance]) -> None:
        return None

    def quota(self, instance: Instance, args: QuotaArgs) -> QuotaResult:
        return QuotaResult(args.amount)

    async def close(self) -> None:
        return None


def _open(params: Params, surroundings: Surroundings) -> NoopHandler:
    return NoopHandler()


_TEMPLATES = ("authorization", "checknothing", "listentry", "logentry", "metric", "quota", "reportnothing", "tracespan")
NOOP = HandlerType("noop", frozenset(_TEMPLATES), Params, _open)
