"""What handlers answer, and what Mixer answers to its callers: frozen values, no behaviour."""

from __future__ import annotations

import datetime
from collections.abc import Mapping

import attrs

from galley.kinds.mixer import HeaderOperation
from mixer.attributes import Condition, Reference, Value
from mixer.status import OK, Status

VALID_DURATION = datetime.timedelta(seconds=60)
VALID_USES = 10_000
"""How long and how often a caller may use a verdict that no handler bounds."""
UNLIMITED = -1
"""As a use count: as often as the caller likes within the duration."""


@attrs.frozen
class DirectResponse:
    """What the proxy answers in place of the service (policy.v1beta1.DirectHttpResponse)."""

    code: int
    body: str = ""
    headers: tuple[tuple[str, str], ...] = ()


@attrs.frozen
class CheckResult:
    """A handler's answer to one instance. `output` is what header operations read as `ACTION.output.FIELD`."""

    status: Status = OK
    valid_duration: datetime.timedelta = VALID_DURATION
    valid_use_count: int = VALID_USES
    direct: DirectResponse | None = None
    output: Mapping[str, Value] | None = None


PASSED = CheckResult()


@attrs.frozen
class QuotaArgs:
    """What is asked of a quota: `amount` is from 1 to 2^63-1. A repeated `deduplication_id` (not empty) takes nothing.

    With `best_effort` less than `amount` may be granted.
    """

    amount: int
    best_effort: bool = False
    deduplication_id: str = ""


@attrs.frozen
class QuotaResult:
    """What was granted, and until when it may be used; 0 means exhausted."""

    granted: int
    valid_duration: datetime.timedelta = VALID_DURATION
    references: Mapping[Reference, Condition] = attrs.field(factory=dict)
    """Set by dispatch: what of a TrackedBag the answer rests on."""


@attrs.frozen
class HeaderEdit:
    """One header operation with its value (mixer.v1.HeaderOperation); the value is empty for REMOVE."""

    name: str
    value: str
    operation: HeaderOperation


@attrs.frozen
class RouteDirective:
    """What the proxy does with the request beyond letting it pass or not (mixer.v1.RouteDirective)."""

    request_headers: tuple[HeaderEdit, ...] = ()
    response_headers: tuple[HeaderEdit, ...] = ()
    direct_response_code: int = 0
    direct_response_body: str = ""


NO_DIRECTIVE = RouteDirective()


@attrs.frozen
class Verdict:
    """Mixer's answer to a Check. `references` is filled if the bag was a TrackedBag.

    `quotas` holds an answer for each quota asked for, and is empty if the check did not pass. A `valid_duration` of
    nothing means: use it for this request only.
    """

    status: Status = OK
    valid_duration: datetime.timedelta = VALID_DURATION
    valid_use_count: int = VALID_USES
    directive: RouteDirective = NO_DIRECTIVE
    quotas: Mapping[str, QuotaResult] = attrs.field(factory=dict)
    references: Mapping[Reference, Condition] = attrs.field(factory=dict)
