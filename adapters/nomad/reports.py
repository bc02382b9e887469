"""What the threads around the loop report to it. Values only.

Made by `adapters.nomad.stream`, `site` and `regions`; taken in by `adapters.nomad.loop`. `site` says of which feed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import attrs

from adapters.api import ApiError
from adapters.nomad.facts import JobName, Listing, NomadEvent, ServiceName, Spec

SiteKey = tuple[str, str]
"""Region and namespace as they are asked for."""
Report = Callable[[object], None]


@attrs.frozen
class Opened:
    """The stream is there."""

    site: SiteKey


@attrs.frozen
class Heard:
    """The stream told something, or only that it lives."""

    site: SiteKey
    events: tuple[NomadEvent, ...]


@attrs.frozen
class StreamFailed:
    """The stream could not be opened, or ended; it is opened again after a pause."""

    site: SiteKey
    error: ApiError


@attrs.frozen
class Listed:
    """Everything was read, or that failed."""

    site: SiteKey
    result: Listing | ApiError


@attrs.frozen
class JobRead:
    """The versions of a job were read, or that failed."""

    site: SiteKey
    job: JobName
    result: tuple[Spec, ...] | ApiError


@attrs.frozen
class ChecksRead:
    """The checks of an allocation were read, or its node did not answer."""

    site: SiteKey
    alloc: str
    result: Mapping[str, tuple[str, ...]] | ApiError


@attrs.frozen
class Probed:
    """The names of services were read by themselves, or that failed."""

    site: SiteKey
    result: tuple[ServiceName, ...] | ApiError


@attrs.frozen
class Regions:
    """The agent's own region, and all that it knows."""

    local: str
    names: tuple[str, ...]


@attrs.frozen
class NoRegions:
    """The regions could not be read."""

    error: ApiError
