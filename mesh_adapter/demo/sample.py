"""One request of the client, and what became of it on its way through the services: the client's lines, read. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import attrs

UNKNOWN = "?"
"""Version and instance of an answer that came from no instance."""


@attrs.frozen
class Hop:
    """One service's part in a request, as its caller saw it; `ms` is from the caller's Envoy and back."""

    service: str
    version: str
    instance: str
    ms: float
    ok: bool


@attrs.frozen
class Sample:
    """`sent` is a moment of the machine's monotonic clock, in seconds, the same for all processes."""

    sent: float
    hops: tuple[Hop, ...]
    error: str = ""

    def instance_of(self, service: str) -> str:
        """Which instance of the service took part; "" if none did."""
        return next((hop.instance for hop in self.hops if hop.service == service), "")


def parse(line: bytes) -> Sample | None:
    """None for a line that is none, such as the last one of a client that was killed while writing."""
    try:
        said = json.loads(line)
        answer = _answer(said["answer"])
        hops = tuple(_hops({**said, "answer": answer}))
        return Sample(float(said["sent"]), hops, _error(said, hops))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _answer(text: str) -> Any:
    """What the service said; None where an Envoy answered in its place."""
    try:
        return json.loads(text)
    except ValueError:
        return None


def _hops(call: Any) -> Iterator[Hop]:
    """The call itself, then what its answer tells of further calls."""
    answer = call.get("answer") or {}
    yield Hop(
        service=answer.get("service") or call["host"].partition(".")[0],
        version=answer.get("version", UNKNOWN),
        instance=answer.get("instance", UNKNOWN),
        ms=float(call["ms"]),
        ok=call["status"] == 200,
    )
    for each in answer.get("calls", ()):
        yield from _hops(each)


def _error(said: Any, hops: tuple[Hop, ...]) -> str:
    """Names the innermost service that failed: the others only passed it on."""
    failed = [hop.service for hop in hops if not hop.ok]
    if not failed:
        return ""
    return f"{failed[-1]} failed: " + (said["error"] or f"{said['host']} answered {said['status']}")
