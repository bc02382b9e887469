"""Decides which requests of a route are delayed or answered with an error on purpose. Pure."""

from __future__ import annotations

from galley.kinds import virtual_service as kind
from pilot import ir
from pilot.plan.percent import per_million


def fault(injection: kind.HTTPFaultInjection | None) -> ir.Fault | None:
    """None where no request is touched: a share that is not said is zero, as Istio has it."""
    if injection is None:
        return None
    delay, abort = injection.delay or kind.Delay(), injection.abort or kind.Abort()
    delayed = per_million(delay.percentage, delay.percent) if delay.fixed_delay else 0
    has_error = abort.http_status is not None or abort.grpc_status is not None
    aborted = per_million(abort.percentage) if has_error else 0
    if not delayed and not aborted:
        return None
    return ir.Fault(
        delay=delay.fixed_delay if delayed else None,
        delayed_per_million=delayed,
        http_status=abort.http_status if aborted else None,
        grpc_status=kind.GRPC_STATUSES.index(abort.grpc_status) if aborted and abort.grpc_status else None,
        aborted_per_million=aborted,
    )
