"""Which hosts two lists have in common, wildcards meant. Pure; read by planning and by `galley.gateway_api`."""

from __future__ import annotations

from collections.abc import Iterable

ANY_HOST = "*"


def shared_hosts(ours: Iterable[str], theirs: Iterable[str]) -> tuple[str, ...]:
    """The hosts that two lists have in common; of two that meet, the narrower."""
    theirs = [each.lower() for each in theirs]
    meeting = (_narrower(one, other) for one in ours for other in theirs)
    return tuple(dict.fromkeys(filter(None, meeting)))


def covers(pattern: str, host: str) -> bool:
    """Whether `*`, `*.suffix` or a name takes in a host or a narrower pattern."""
    return pattern in (ANY_HOST, host) or (pattern.startswith("*.") and host.endswith(pattern[1:]))


def _narrower(one: str, other: str) -> str:
    if covers(other, one):
        return one
    return other if covers(one, other) else ""
