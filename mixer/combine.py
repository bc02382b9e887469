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


def combine(answers: Sequence[tuple[str, CheckResult | Failure]]) -> Combined:
    """The answers with their handlers' names, in the order of the rules. None at all passes, for a minute."""
    if not answers:
        return Combined()
    results = [(name, answer) for name, answer in answers if isinstance(answer, CheckResult)]
    failures = [answer for _, answer in answers if isinstance(answer, Failure)]
    refused = [(name, result) for name, result in results if not result.status.ok]
    closed = [failure for failure in failures if not failure.open]
    duration = _NOTHING if failures else min((each.valid_duration for _, each in results), default=VALID_DURATION)
    uses = _fewest(each.valid_use_count for _, each in results)
    status = OK
    if refused:
        message = ", ".join(f"{name}:{result.status.message}" for name, result in refused)
        status = Status(refused[0][1].status.code, message)
    elif closed:
        status = Status(Code.UNAVAILABLE, ", ".join(failure.message for failure in closed))
    deciding = [result for _, result in refused] if refused else [] if closed else [result for _, result in results]
    direct = next((result.direct for result in deciding if result.direct is not None), None)
    return Combined(status, max(duration, _NOTHING), uses, direct)


def _fewest(counts: Iterable[int]) -> int:
    return min((count for count in counts if count != UNLIMITED), default=UNLIMITED)


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
