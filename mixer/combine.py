"""Many handlers' answers → one verdict, by Istio's rules. Pure.

The first refusal gives the code, all of them the message; a refusal counts for more than a handler that failed. A
verdict is valid as all answers allow: for the shortest time and the fewest uses.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence

import attrs

from galley.kinds.mixer import HeaderOperation
from mixer.result import UNLIMITED, VALID_DURATION, VALID_USES, CheckResult, DirectResponse, HeaderEdit, RouteDirective
from mixer.status import OK, Code, Status

_NOTHING = datetime.timedelta()


@attrs.frozen
class Failure:
    """A call without an answer that counts; `open` says that the rule lets the request pass all the same."""

    message: str
    open: bool


@attrs.frozen
class Combined:
    """What the checks of one request come to."""

    status: Status = OK
    valid_duration: datetime.timedelta = VALID_DURATION
    valid_use_count: int = VALID_USES
    direct: DirectResponse | None = None


def combine(names: Sequence[str], answers: Sequence[CheckResult | Failure]) -> Combined:
    """The answers, with their handlers' names, in the order of the rules. None at all passes, for a minute."""
    if not answers:
        return Combined()
    duration, uses = VALID_DURATION, UNLIMITED
    refused: list[tuple[str, CheckResult]] = []
    results: list[CheckResult] = []
    failures: list[Failure] = []
    for name, answer in zip(names, answers, strict=True):
        if isinstance(answer, Failure):
            failures.append(answer)
            continue
        results.append(answer)
        if answer.valid_duration < duration or len(results) == 1:
            duration = answer.valid_duration
        if answer.valid_use_count != UNLIMITED and (uses == UNLIMITED or answer.valid_use_count < uses):
            uses = answer.valid_use_count
        if answer.status is not OK and not answer.status.ok:
            refused.append((name, answer))
    if failures or duration < _NOTHING:
        duration = _NOTHING
    if refused:
        message = ", ".join(f"{name}:{result.status.message}" for name, result in refused)
        return Combined(
            Status(refused[0][1].status.code, message), duration, uses, _direct(each for _, each in refused)
        )
    closed = [failure.message for failure in failures if not failure.open]
    if closed:
        return Combined(Status(Code.UNAVAILABLE, ", ".join(closed)), duration, uses)
    return Combined(OK, duration, uses, _direct(results))


def _direct(results: Iterable[CheckResult]) -> DirectResponse | None:
    for each in results:
        if each.direct is not None:
            return each.direct
    return None


def with_direct(directive: RouteDirective, direct: DirectResponse | None) -> RouteDirective:
    """The directive, with the answer that a handler gives in place of the service."""
    if direct is None:
        return directive
    headers = tuple(HeaderEdit(name, value, HeaderOperation.REPLACE) for name, value in direct.headers)
    return attrs.evolve(
        directive,
        response_headers=(*directive.response_headers, *headers),
        direct_response_code=direct.code,
        direct_response_body=direct.body,
    )
