"""Decides when a request is tried again. Pure.

Istio's default holds where nothing is said: two retries of what certainly was not processed, each at another host.
"""

from __future__ import annotations

from galley.kinds import virtual_service as kind
from pilot import ir

DEFAULT_RETRY_ON = "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes"
DEFAULT_RETRY = ir.RetryPolicy(attempts=2, retry_on=DEFAULT_RETRY_ON, retriable_status_codes=(503,))


def retry_policy(retries: kind.HTTPRetry | None) -> ir.RetryPolicy | None:
    """Absent is the default policy, `attempts: 0` none. Numbers in `retryOn` are status codes, as in Istio."""
    if retries is None:
        return DEFAULT_RETRY
    if retries.attempts <= 0:
        return None
    conditions = [part.strip() for part in (retries.retry_on or DEFAULT_RETRY_ON).split(",") if part.strip()]
    codes = tuple(int(part) for part in conditions if part.isdigit())
    words = [part for part in conditions if not part.isdigit()]
    if codes and "retriable-status-codes" not in words:
        words.append("retriable-status-codes")
    if not codes and not retries.retry_on:
        codes = DEFAULT_RETRY.retriable_status_codes
    return ir.RetryPolicy(
        attempts=retries.attempts,
        retry_on=",".join(words),
        retriable_status_codes=codes,
        per_try_timeout=retries.per_try_timeout,
        previous_hosts=retries.retry_ignore_previous_hosts is not False,
        backoff=retries.backoff,
        remote_localities=bool(retries.retry_remote_localities),
    )
