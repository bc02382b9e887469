"""The embedded authority's folder: generations of its CA, and which of them are trusted and sign.

    state.json        the rotation's state; replaced at once, so a crash leaves the old or the new one
    1/ 2/ …           one CA each, as four files under Istio's names (`ca_files`)
    1/last-leaf       no leaf that this CA signed lives longer than that

Used by the running control plane and by `mesh-adapter cert` at once: whoever writes holds the folder's lock. A state
that can't be read is set aside and everything is refused, since a root made anew in silence would cut off the mesh.
"""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

from citadel import ca_files, durable, profile, rotation
from citadel.authority import AuthorityError
from citadel.ca_files import CaFiles
from citadel.rotation import State, Step

STATE, LAST_LEAF = "state.json", "last-leaf"
ROOT_LIFE = timedelta(days=3650)
"""Istio's own for a root that signs itself."""


class CaStore:
    """One folder. Every method reads or writes disk; `now` is the time at which certificates are judged."""

    def __init__(
        self, folder: Path, trust_domain: str, passphrase: bytes = b"", root_life: timedelta = ROOT_LIFE
    ) -> None:
        self.folder = folder
        self._trust_domain = trust_domain
        self._passphrase = passphrase
        self._root_life = root_life

    def open(self, now: datetime) -> State:
        """The state; of an empty folder, after making a first CA in it."""
        durable.make_folder(self.folder)
        with durable.locked(self.folder):
            if (self.folder / STATE).exists():
                return self._load()
            if any(self._generations()):
                raise AuthorityError(
                    f"{self.folder} holds CAs but no {STATE}: restore it from a backup (or from what was set aside as "
                    f"{STATE}.corrupt…); no new root is made in its place"
                )
            state = State(active=self._make("1", now), since=now)
            self._save(state)
            return state

    def load(self) -> State:
        """The state of a folder that `open` has seen."""
        return self._load()

    def read(self, state: State, now: datetime) -> dict[str, CaFiles]:
        """The CAs that `state` speaks of, by name. One that can't sign any more is refused only if it is to sign."""
        found = {state.active: ca_files.read(self.folder / state.active, self._passphrase, now)}
        if state.other:
            found[state.other] = ca_files.read(self.folder / state.other, self._passphrase, now)
        return found

    def begin(self, now: datetime) -> State:
        """Makes the next root beside the present one, trusted from now on. AuthorityError while one is under way."""
        with durable.locked(self.folder):
            state = self._load()
            if state.step is Step.STABLE:
                self._tidy(state)
                self._make(new := self._next(), now)
                state = rotation.begin(state, new, now)
                self._save(state)
            return state

    def due(self, state: State, spread: timedelta) -> datetime | None:
        """When the rotation's next step may be taken."""
        return rotation.due(state, spread, self.last_leaf(state.other) if state.other else state.since)

    def last_leaf(self, name: str) -> datetime:
        """When the last leaf of a generation ends, or somewhat later."""
        path = self.folder / name / LAST_LEAF
        try:
            return datetime.fromisoformat(path.read_text())
        except FileNotFoundError:
            return datetime.min.replace(tzinfo=UTC)
        except ValueError:
            raise AuthorityError(
                f"{path} is damaged: write into it when the last leaf ends, as in 2030-12-31T00:00:00+00:00"
            ) from None

    def note_leaf(self, name: str, until: datetime) -> None:
        """No leaf of the generation lives longer than `until`, or than what was noted before."""
        with durable.locked(self.folder):
            if until > self.last_leaf(name):
                durable.write(self.folder / name / LAST_LEAF, until.isoformat().encode())

    def advance(self, spread: timedelta, now: datetime) -> State:
        """Takes the step that is due, if any. A root that is no longer trusted is deleted with its key."""
        with durable.locked(self.folder):
            state = self._load()
            found = rotation.advance(state, self.due(state, spread), now)
            if found != state:
                self._save(found)
            self._tidy(found)
            return found

    def version(self) -> tuple[int, int]:
        """Differs after each change of the state."""
        found = (self.folder / STATE).stat()
        return found.st_ino, found.st_mtime_ns

    def _make(self, name: str, now: datetime) -> str:
        """A generation is whole or absent: made under another name first."""
        half = self.folder / f".{name}.new"
        shutil.rmtree(half, ignore_errors=True)
        durable.make_folder(half)
        key = profile.new_key()
        until = now + self._root_life
        certificate = profile.root(key, self._trust_domain, f"mesh root {name}", now - profile.BACKDATE, until)
        ca_files.write(half, profile.Signer(certificate, key), self._passphrase)
        half.rename(self.folder / name)
        durable.sync_folder(self.folder)
        return name

    def _next(self) -> str:
        return str(max((int(each) for each in self._generations()), default=0) + 1)

    def _generations(self) -> list[str]:
        return [each.name for each in self.folder.iterdir() if each.name.isdigit() and each.is_dir()]

    def _tidy(self, state: State) -> None:
        """Generations that nobody trusts: withdrawn ones, and those of a rotation that died before it began."""
        for name in self._generations():
            if name not in state.trusted:
                shutil.rmtree(self.folder / name)

    def _save(self, state: State) -> None:
        plain = {
            "version": 1,
            "trustDomain": self._trust_domain,
            "active": state.active,
            "step": state.step.value,
            "other": state.other,
            "since": state.since.isoformat(),
        }
        durable.write(self.folder / STATE, (json.dumps(plain, indent=2) + "\n").encode())

    def _load(self) -> State:
        path = self.folder / STATE
        try:
            plain = json.loads(path.read_text())
            state = State(
                active=str(plain["active"]),
                since=datetime.fromisoformat(plain["since"]),
                step=Step(plain["step"]),
                other=str(plain["other"]),
            )
            trust_domain = plain["trustDomain"]
            if bool(state.other) == (state.step is Step.STABLE) or state.since.tzinfo is None:
                raise ValueError("its parts contradict each other")
        except FileNotFoundError:
            raise AuthorityError(f"{path} is missing: restore it from a backup") from None
        except (ValueError, KeyError, TypeError, OSError) as error:
            aside = self._set_aside(path)
            raise AuthorityError(
                f"{path} is damaged ({error}) and was set aside as {aside.name}: restore it from a backup; no new "
                "root is made in its place"
            ) from None
        if trust_domain != self._trust_domain:
            raise AuthorityError(
                f"{self.folder} is the CA of trust domain {trust_domain!r}, not of {self._trust_domain!r}: give "
                f"--trust-domain {trust_domain}, or another --ca-dir"
            )
        return state

    def _set_aside(self, path: Path) -> Path:
        number = 1
        while (aside := path.with_name(f"{path.name}.corrupt-{number}")).exists():
            number += 1
        path.rename(aside)
        durable.sync_folder(self.folder)
        return aside
