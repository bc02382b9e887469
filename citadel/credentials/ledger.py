"""The last good version of every secret, and what is wrong with the newest: a fold over what one source tells. Pure."""

from __future__ import annotations

from datetime import datetime

import attrs

from citadel.credentials import Broken, Event, Found, Fresh, Gone, Stale, Synced
from citadel.credentials.material import Material, MaterialError, read

Key = tuple[str, str]
"""Namespace and name."""


@attrs.frozen
class Entry:
    """One secret: what is served of it, None if nothing ever was usable; and why that is not the newest."""

    material: Material | None
    where: str
    problem: str = ""

    def trouble(self, now: datetime) -> str:
        """What an operator should know; empty if all is well."""
        ends = self.material.not_after if self.material else None
        return self.problem or (f"its certificate expired at {ends.isoformat()}" if ends and ends <= now else "")


@attrs.define
class Ledger:
    """What one source told so far."""

    entries: dict[Key, Entry] = attrs.field(factory=dict)
    synced: bool = False
    stale: str = ""

    def fold(self, event: Event, now: datetime) -> bool:
        """Takes an event in; whether something else is to be served from now on."""
        match event:
            case Found(namespace, name, data, where):
                try:
                    return self._put((namespace, name), Entry(read(data, now), where))
                except MaterialError as error:
                    return self._keep((namespace, name), str(error), where)
            case Broken(namespace, name, where, reason):
                return self._keep((namespace, name), reason, where)
            case Gone(namespace, name):
                return self._gone((namespace, name))
            case Synced():
                self.synced = True
            case Stale(reason):
                self.stale = reason
            case Fresh():
                self.stale = ""
        return False

    def _put(self, key: Key, entry: Entry) -> bool:
        before = self.entries.get(key)
        self.entries[key] = entry
        return before is None or before.material != entry.material

    def _keep(self, key: Key, problem: str, where: str) -> bool:
        before = self.entries.get(key)
        self.entries[key] = Entry(before.material if before else None, where, problem)
        return False

    def _gone(self, key: Key) -> bool:
        before = self.entries.get(key)
        if before is not None and before.material is None:
            del self.entries[key]
        elif before is not None:
            self.entries[key] = attrs.evolve(before, problem="it was removed; its last good version is served on")
        return False
