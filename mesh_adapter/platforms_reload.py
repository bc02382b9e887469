"""Follows the platforms file: what it says now is what is watched, without a restart of the control plane.

Started by `mesh-adapter start`. A fault in the file takes nothing away: an entry that can't be used leaves the platform
of its name as it was, a file that can't be read leaves all.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Mapping
from pathlib import Path

import attrs

from adapters import platforms_file
from adapters.platform import Problem
from mesh_adapter import assembly
from mesh_adapter.assembly import Assembled, PlatformSpec, SetupError
from mesh_adapter.control_plane import ControlPlane
from mesh_adapter.platforms import Opened

log = logging.getLogger(__name__)

LOOK_EVERY = 1.0
"""Seconds between two looks at the file: it changes rarely, and notices are no use on network file systems."""


@attrs.frozen
class Reassembled:
    """What the file makes of the platforms: all that count, those to open anew, and what is wrong with the file."""

    assembled: Assembled
    opened: Mapping[str, Opened]
    problems: tuple[Problem, ...] = ()


def reassemble(options: assembly.Options, before: Assembled, content: bytes) -> Reassembled:
    """The platforms after a change of the file; of one that can't be used, the one of its name before."""
    read = platforms_file.parse(content, options.platforms_file)
    problems = list(read.problems)
    named = assembly.named_specs(options)
    known = {spec.name: spec for spec in before.specs}
    specs: dict[str, PlatformSpec] = {spec.name: known.get(spec.name, spec) for spec in named}
    opened: dict[str, Opened] = {}
    taken = set(specs)
    for entry in read.entries:
        try:
            if entry.name in taken:
                raise SetupError(f"{entry.where}: the name {entry.name!r} is that of a --platform: choose another")
            spec = assembly.spec_of(entry)
            old = known.get(entry.name)
            if old is None or (old.kind, old.options) != (spec.kind, spec.options):
                opened[entry.name] = assembly.opened(spec)
            specs[entry.name] = spec
        except SetupError as error:
            mend = "mend it; until then it is as it was" if entry.name in known else "mend it"
            problems.append(Problem(entry.where, str(error), mend))
            if entry.name in known and entry.name not in taken:
                specs[entry.name] = known[entry.name]
    for name, spec in known.items():
        if name not in specs and (read.bad is None or name in read.bad):
            specs[name] = spec
    networks = before.networks if read.bad is None and not read.entries else read.networks
    return Reassembled(Assembled(tuple(specs.values()), networks), opened, tuple(problems))


async def follow(options: assembly.Options, assembled: Assembled, plane: ControlPlane) -> None:
    """Never returns; to be cancelled."""
    path = Path(options.platforms_file)
    seen = None  # it may have changed since it was read at start: the first look counts
    while True:
        await asyncio.sleep(LOOK_EVERY)
        now = _fingerprint(path)
        if now == seen or now is None:
            continue
        seen = now
        try:
            content = path.read_bytes()
        except OSError as error:
            log.warning("the platforms file %s can't be read: %s; all stays as it was", path, error)
            continue
        found = await asyncio.to_thread(reassemble, options, assembled, content)
        for problem in found.problems:
            log.warning("%s", problem)
        _log_difference(assembled, found)
        assembled = found.assembled
        names = [spec.name for spec in assembled.specs]
        plane.arrange(names, found.opened, assembled.arrangement(options.merge_by_name), found.problems)


def _log_difference(before: Assembled, found: Reassembled) -> None:
    old, new = ({spec.name for spec in each.specs} for each in (before, found.assembled))
    for name in sorted(new - old):
        log.info("platform %s is added", name, extra={"platform": name})
    for name in sorted(old - new):
        log.info("platform %s is taken out", name, extra={"platform": name})
    for name in sorted(found.opened.keys() & old):
        log.info("platform %s has other options", name, extra={"platform": name})


def _fingerprint(path: Path) -> tuple[int, int, int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
