"""What faults made on purpose must hold."""

from __future__ import annotations

from collections.abc import Iterator

from galley.checks.values import MILLISECOND, check_duration, check_percent
from galley.document import Path
from galley.finding import Finding
from galley.kinds.virtual_service import GRPC_STATUSES, Abort, Delay, HTTPFaultInjection, Percent


def check_fault(fault: HTTPFaultInjection | None, path: Path) -> Iterator[Finding]:
    """All findings of a fault injection; one that touches no request is only warned about, as Istio allows it."""
    if fault is None:
        return
    if fault.delay is None and fault.abort is None:
        yield Finding(path, "must have an abort, a delay or both", "add one, or remove the fault")
    if fault.delay is not None:
        yield from _delay(fault.delay, (*path, "delay"))
    if fault.abort is not None:
        yield from _abort(fault.abort, (*path, "abort"))


def _delay(delay: Delay, path: Path) -> Iterator[Finding]:
    if delay.exponential_delay is not None:
        yield Finding(
            (*path, "exponentialDelay"), "exponentialDelay is not supported: Envoy has none", "use fixedDelay"
        )
    elif delay.fixed_delay is None:
        yield Finding(path, "has no fixedDelay", "say how long requests are held back")
    else:
        yield from check_duration(delay.fixed_delay, (*path, "fixedDelay"), least=MILLISECOND)
    yield from check_percent(delay.percent, (*path, "percent"))
    yield from _percentage(delay.percentage, path, delayed=True, old=delay.percent)


def _abort(abort: Abort, path: Path) -> Iterator[Finding]:
    if abort.http2_error is not None:
        message = "HTTP/2 abort fault injection is not supported: Envoy has none"
        yield Finding((*path, "http2Error"), message, "use httpStatus or grpcStatus")
    elif abort.http_status is None and abort.grpc_status is None:
        yield Finding(path, "has neither httpStatus nor grpcStatus", "say what requests are answered with")
    if abort.http_status is not None and not 200 <= abort.http_status <= 599:
        yield Finding((*path, "httpStatus"), f"HTTP status {abort.http_status} must be in the range 200..599")
    if abort.grpc_status is not None and abort.grpc_status not in GRPC_STATUSES:
        known = ", ".join(GRPC_STATUSES)
        yield Finding(
            (*path, "grpcStatus"), f"gRPC status {abort.grpc_status!r} is not supported", f"use one of {known}"
        )
    yield from _percentage(abort.percentage, path, delayed=False, old=0)


def _percentage(percentage: Percent | None, path: Path, *, delayed: bool, old: int) -> Iterator[Finding]:
    if percentage is not None:
        yield from check_percent(percentage.value, (*path, "percentage", "value"))
    elif not old:
        verb = "delayed" if delayed else "aborted"
        mend = "add percentage: {value: 100} to mean all of them"
        yield Finding(path, f"has no percentage, so no request is {verb}", mend, warning=True)
