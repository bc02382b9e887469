"""What became of objects of the Gateway API: its conditions, with its types and reasons.

Where there is no Kubernetes to write them to they are shown at /debug/gateway-api, and those that do not hold among the
problems of the configuration.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import attrs

from galley.config import ConfigObject, Problem

ACCEPTED = "Accepted"
PROGRAMMED = "Programmed"
RESOLVED_REFS = "ResolvedRefs"


@attrs.frozen
class Condition:
    """A condition that holds, or does not for a `reason` in one word and a `message` in some more."""

    type: str
    holds: bool
    reason: str
    message: str = ""
    mend: str = ""


@attrs.frozen(eq=False)
class Status:
    """The conditions of an object; of a part of it where `place` says which."""

    object: ConfigObject[Any]
    place: str
    conditions: tuple[Condition, ...]


def accepted(message: str = "") -> Condition:
    """What is as it should be."""
    return Condition(ACCEPTED, True, "Accepted", message)


def problems(statuses: Iterable[Status]) -> Iterator[Problem]:
    """What operators have to know: each condition that does not hold."""
    for status in statuses:
        for each in status.conditions:
            if not each.holds and each.message:
                place = f"{status.place}: " if status.place else ""
                message = f"{place}{each.type} is False ({each.reason}): {each.message}"
                yield Problem(status.object.origin, str(status.object), message, each.mend, warning=True)
