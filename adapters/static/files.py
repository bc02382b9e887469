"""What all static files together say, and what is kept when one of them is broken or gone. Pure.

Called by `adapters.static.watch` after every look at the files. The rules, as docs/reference/static.md states them:

- A file that can't be read or used keeps what it last told; a service that can't be used keeps its last good version.
- A file deleted from a directory takes its services along while another file of the directory can be read.
- The only file, the last file, or the directory itself gone: everything is kept and the platform is stale.
- Of two files that define one service, the first by name counts.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

import attrs

from adapters.platform import Delete, Event, Fresh, Problem, Resolved, Stale, Synced, Upsert
from adapters.static.convert import Parsed, parse
from pilot.model.service import Service, ServiceKey


@attrs.frozen
class Unchanged:
    """The file is as it was at the last look."""


@attrs.frozen
class Unreadable:
    """The file is there and can't be read."""

    reason: str


@attrs.frozen
class Gone:
    """The file is not there (any more)."""


Answer = bytes | Unchanged | Unreadable | Gone


@attrs.define
class _File:
    """What one file last told: its services as they count, and what is wrong with it now."""

    services: dict[ServiceKey, Service] = attrs.field(factory=dict)
    problems: tuple[Problem, ...] = ()

    def take(self, parsed: Parsed) -> None:
        self.problems = parsed.problems
        if parsed.broken:
            return
        good = {service.key: service for service in parsed.services}
        kept = self.services.keys() if parsed.nameless else parsed.bad
        self.services = {key: old for key, old in self.services.items() if key in kept} | good


class Files:
    """All files of one static platform and what was told of them."""

    def __init__(self, platform: str) -> None:
        self._platform = platform
        self._files: dict[str, _File] = {}
        self._told: dict[ServiceKey, Service] = {}
        self._problems: dict[str, Problem] = {}
        self._stale = ""
        self._synced = False

    def told(self, answers: Mapping[str, Answer], may_lose: bool) -> Iterator[Event]:
        """Differences after a look. `answers` has every file there is; `may_lose` says whether a directory has them."""
        present = {path: answer for path, answer in answers.items() if not isinstance(answer, Gone)}
        missing = self._files.keys() - present.keys()
        for path, answer in present.items():
            self._take(path, answer)
        readable = any(not isinstance(answer, Unreadable) for answer in present.values())
        if missing and not (may_lose and readable):
            yield from self.gone(f"{', '.join(sorted(missing))}: gone, and no other file can be read")
            return
        for path in missing:
            del self._files[path]
        yield from self._differences()
        if self._stale:
            self._stale = ""
            yield Fresh()
        if not self._synced:
            self._synced = True
            yield Synced()

    def gone(self, reason: str) -> Iterator[Event]:
        """The file or directory is away, or all that was in it: what was told stays."""
        yield from self._differences()
        if reason != self._stale:
            self._stale = reason
            yield Stale(f"{reason}; its services are kept as last told")

    def _take(self, path: str, answer: Answer) -> None:
        file = self._files.setdefault(path, _File())
        if isinstance(answer, bytes):
            file.take(parse(answer, os.path.basename(path), self._platform))
        elif isinstance(answer, Unreadable):
            mend = "allow this process to read it; what the file last told stays in force"
            file.problems = (Problem(os.path.basename(path), answer.reason, mend),)

    def _differences(self) -> Iterator[Event]:
        services, problems = self._all()
        for key, service in services.items():
            before = self._told.get(key)
            if before is service:
                continue
            if before is not None and attrs.evolve(service, origin=before.origin) == before:
                # Lines above it came or went: not worth a new plan, its coordinates stay those that were told.
                services[key] = before
            else:
                yield Upsert(service)
        for key in self._told.keys() - services.keys():
            yield Delete(key)
        for where, problem in problems.items():
            if self._problems.get(where) != problem:
                yield problem
        for where in self._problems.keys() - problems.keys():
            yield Resolved(where)
        self._told, self._problems = services, problems

    def _all(self) -> tuple[dict[ServiceKey, Service], dict[str, Problem]]:
        services: dict[ServiceKey, Service] = {}
        problems: dict[str, Problem] = {}
        for path in sorted(self._files):
            file = self._files[path]
            problems.update((problem.where, problem) for problem in file.problems)
            for key, service in file.services.items():
                first = services.setdefault(key, service)
                if first is not service:
                    message = f"{key} is already at {first.origin}, which counts"
                    problems[service.origin] = Problem(service.origin, message, "keep one of the two")
        return services, problems
