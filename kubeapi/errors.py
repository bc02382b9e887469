"""What can go wrong between us and an API server, one class a reaction. Pure.

Raised by `kubeapi.access` and `kubeapi.reading`; `kubeapi.reflector` decides by the class what to do next.
"""

from __future__ import annotations

from collections.abc import Callable


class KubernetesError(Exception):
    """No usable answer. `retry_after` are seconds to wait by the server's word, None if it said nothing."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class UnreachableError(KubernetesError):
    """Nobody answers, or the connection was cut."""


class DeniedError(KubernetesError):
    """401, or there are no usable credentials: whoever we are, the server does not believe it."""


class ForbiddenError(KubernetesError):
    """403: known, and not allowed."""


class AbsentError(KubernetesError):
    """404: the cluster has no such resource."""


class GoneError(KubernetesError):
    """410: the history that was asked for is gone; list again."""


class OverloadedError(KubernetesError):
    """429 or 503: later."""


class AnswerError(KubernetesError):
    """Any other status, or an answer that is not what was asked for."""


_BY_STATUS: dict[int, Callable[[str, float | None], KubernetesError]] = {
    401: DeniedError,
    403: ForbiddenError,
    404: AbsentError,
    410: GoneError,
    429: OverloadedError,
    503: OverloadedError,
}


def error_of(status: int, message: str, retry_after: float | None = None) -> KubernetesError:
    """The error that a status stands for, be it an answer's or that of an ERROR event within one."""
    return _BY_STATUS.get(status, AnswerError)(f"{status} {message}".strip(), retry_after)
