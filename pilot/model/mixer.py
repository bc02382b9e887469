"""What planning knows of Mixer: where it is, and what of a proxy's traffic it has to be asked and told.

The answers come from `mixer.compile`, by the composition root; planning sees this and no rule.
"""

from __future__ import annotations

import datetime
import enum
from collections.abc import Mapping
from typing import Protocol

import attrs


class ProbeKind(enum.Enum):
    """How a value is tested; one that is absent passes none of them."""

    EXACT = "exact"
    PREFIX = "prefix"
    NOT = "not"
    """Present, and another."""


@attrs.frozen(cache_hash=True)
class Probe:
    """A test of a header (pseudo-headers among them), or of the path without its query where `header` is empty."""

    header: str
    kind: ProbeKind
    value: str


@attrs.frozen(cache_hash=True)
class Denial:
    """A request that passes all of the tests is refused; `origin` is the rule."""

    status: int
    body: str
    tests: tuple[Probe, ...]
    origin: str


@attrs.frozen(cache_hash=True)
class MixerNeeds:
    """What Mixer has to do with one listener's traffic.

    `check`: every request or connection is asked for first; `fail_open` says what it comes to where no answer comes
    within `deadline`. `report`: what has passed is told, with these headers. `changes_requests`: a check may change
    headers, by which routes may be chosen; `strips_responses`: it may take some off the service's answer. `retries`:
    how often a Mixer that can't be reached is tried again. Where `denials` are given, HTTP needs no check: these are
    all it comes to.
    """

    check: bool = False
    fail_open: bool = False
    deadline: datetime.timedelta = datetime.timedelta(0)
    changes_requests: bool = False
    strips_responses: bool = False
    retries: int = 0
    report: bool = False
    request_headers: tuple[str, ...] = ()
    response_headers: tuple[str, ...] = ()
    denials: tuple[Denial, ...] | None = None

    def __bool__(self) -> bool:
        return self.check or self.report


class MixerPolicy(Protocol):
    """The rules in force, as far as proxies are concerned; compared by identity."""

    @property
    def addresses(self) -> tuple[tuple[str, int], ...]:
        """Where proxies reach Mixer: host or IP address, and port."""

    def needs(self, known: Mapping[str, str]) -> MixerNeeds:
        """What traffic needs of which these attributes are known beforehand. Pure; asked for each listener."""
