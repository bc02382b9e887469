"""What the mesh was told of a registry, and which events tell it of a difference. Pure.

Called by the loops of `adapters.consul`, `adapters.nomad` and `adapters.kubernetes` with whatever is true now; yields
nothing for what was told before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs

from adapters.platform import Delete, Event, Fresh, Problem, Resolved, Stale, Upsert
from pilot.model.service import Service, ServiceKey


@attrs.define
class Told:
    """The services, problems and staleness that were told."""

    _services: dict[str, dict[ServiceKey, Service]] = attrs.field(factory=dict)
    _problems: dict[str, tuple[Problem, ...]] = attrs.field(factory=dict)
    _stale: str = ""

    def service(self, name: str, made: Sequence[Service], problems: Sequence[Problem]) -> Iterator[Event]:
        """The services that the instances of a name make up now, and what is wrong with them together."""
        before, now = self._services.get(name, {}), {service.key: service for service in made}
        for key, service in now.items():
            if before.get(key) != service:
                yield Upsert(service)
        for key in before.keys() - now.keys():
            yield Delete(key)
        if now:
            self._services[name] = now
        else:
            self._services.pop(name, None)
        yield from self.problems(f"service {name}", problems)

    def problems(self, source: str, found: Sequence[Problem]) -> Iterator[Event]:
        """All problems that one source has now; those that it had before and has no more are resolved."""
        before = self._problems.get(source, ())
        if not before and not found:
            return
        yield from (problem for problem in found if problem not in before)
        there = {problem.where for problem in found}
        yield from (Resolved(problem.where) for problem in before if problem.where not in there)
        if found:
            self._problems[source] = tuple(found)
        else:
            del self._problems[source]

    def stale(self, reasons: Sequence[str]) -> Iterator[Event]:
        """Why what was told is not current; no reason means that it is."""
        text = "; ".join(reasons)
        if text == self._stale:
            return
        self._stale = text
        yield Stale(text) if text else Fresh()
