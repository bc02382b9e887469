"""What copies of requests must hold."""

from __future__ import annotations

from collections.abc import Iterator

from galley.checks.destination import check_destination
from galley.checks.values import check_percent
from galley.document import Path
from galley.finding import Finding
from galley.kinds.virtual_service import HTTPRoute


def check_mirrors(route: HTTPRoute, path: Path) -> Iterator[Finding]:
    """All findings of `mirror`, its two percentages, and `mirrors`."""
    if route.mirror is not None:
        yield from check_destination(route.mirror, (*path, "mirror"))
        if route.mirrors:
            yield Finding(path, "cannot contain both mirror and mirrors", "move mirror into mirrors")
    for name, value in (("mirrorPercent", route.mirror_percent), ("mirrorPercentage", route.mirror_percentage)):
        if value is not None and route.mirror is None and route.delegate is None:
            mend = "name the service that gets the copies: mirror.host; mirrors have a percentage each"
            yield Finding((*path, name), "has no effect without mirror", mend, warning=True)
    if route.mirror_percent is not None:
        yield from check_percent(route.mirror_percent, (*path, "mirrorPercent"))
    if route.mirror_percentage is not None:
        yield from check_percent(route.mirror_percentage.value, (*path, "mirrorPercentage", "value"))
    for index, each in enumerate(route.mirrors):
        here = (*path, "mirrors", index)
        if each.destination is None:
            yield Finding(here, "has no destination", "name the service that gets the copies: destination.host")
        else:
            yield from check_destination(each.destination, (*here, "destination"))
        if each.percentage is not None:
            yield from check_percent(each.percentage.value, (*here, "percentage", "value"))
