"""The authority that needs no other server: a CA whose key lies on this machine's disk.

`folder` is either a CA that the operator put there (Istio's four files, `ca_files`), then only read and read again when
they change; or this authority's own (`ca_store`), made at the first start and rotated. An operator who keeps the root
offline gives the former: an intermediate, its key, and the root's certificate without its key.

Signing runs in one thread of its own: the library holds the interpreter while it signs, so more would not sign faster,
and a burst of requests delays each other but not the streams.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import attrs
from cryptography import x509

from citadel import ca_files, profile
from citadel.authority import AuthorityError, Issued, Signing
from citadel.ca_files import CaFiles
from citadel.ca_store import STATE, CaStore
from citadel.csr import read_csr
from citadel.identity import SpiffeId
from citadel.profile import ProfileError
from citadel.rotation import State, Step

T = TypeVar("T")


SPREAD = timedelta(hours=1)


def utc() -> datetime:
    return datetime.now(UTC)


@attrs.frozen
class _Loaded:
    """What is in force: who signs, who is trusted, and what it was read from."""

    signer: CaFiles
    roots: tuple[x509.Certificate, ...]
    version: object
    state: State | None = None


class EmbeddedAuthority:
    """`spread` is how long a new root gets to reach every workload before anything is signed by it."""

    def __init__(
        self,
        folder: Path,
        trust_domain: str,
        *,
        spread: timedelta = SPREAD,
        passphrase: bytes = b"",
        clock: Callable[[], datetime] = utc,
    ) -> None:
        self._folder = folder
        self._passphrase = passphrase
        self._spread = spread
        self._clock = clock
        self.store = CaStore(folder, trust_domain, passphrase)
        self._loaded: _Loaded | None = None
        self._noted = datetime.min.replace(tzinfo=UTC)
        self._spread_by_us: tuple[str, datetime] = ("", self._noted)
        self._thread = ThreadPoolExecutor(1, "citadel-sign")

    @property
    def plugged_in(self) -> bool:
        """Whether the operator put the CA there."""
        return (self._folder / ca_files.CA_CERT).exists() and not (self._folder / STATE).exists()

    async def start(self) -> None:
        self._loaded = await self._run(self._open)

    async def refresh(self) -> None:
        self._loaded = await self._run(self._again)

    async def sign(self, csr: str | bytes, spiffe: SpiffeId, ttl: timedelta, names: tuple[str, ...] = ()) -> Issued:
        return await self._run(lambda: self.sign_now(csr, spiffe, ttl, names))

    def sign_now(self, csr: str | bytes, spiffe: SpiffeId, ttl: timedelta, names: tuple[str, ...] = ()) -> Issued:
        """The same, in the caller's thread."""
        if self._loaded is None:
            raise AuthorityError("the authority was not started")
        now, ca = self._clock(), self._loaded.signer
        try:
            profile.check_signing(ca.signer.certificate, now)
            profile.check_signing(ca.root, now)
        except ProfileError as error:
            raise AuthorityError(
                f"the CA in {self._folder} can't sign: {error}; rotate it, or correct the clock"
            ) from None
        key = read_csr(csr).key
        until = min(now + ttl, ca.expires)
        self._note(until, ttl)
        leaf = profile.leaf(ca.signer, key, spiffe, now - profile.BACKDATE, until, names)
        return Issued((leaf, *ca.intermediates))

    def _note(self, until: datetime, ttl: timedelta) -> None:
        """Keeps on disk how long this CA must stay trusted; ahead of need, so that few leaves wait for the disk."""
        if self._loaded and self._loaded.state and until > self._noted:
            self.store.note_leaf(self._loaded.state.active, until + ttl / 4)
            self._noted = until + ttl / 4

    def roots(self) -> tuple[x509.Certificate, ...]:
        return self._loaded.roots if self._loaded else ()

    def signing(self) -> Signing | None:
        return Signing((*self._loaded.signer.intermediates, self._loaded.signer.root)) if self._loaded else None

    def state(self) -> State | None:
        """Of the root rotation; None for a CA that the operator put there."""
        return self._loaded.state if self._loaded else None

    async def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _open(self) -> _Loaded:
        now = self._clock()
        if self.plugged_in:
            return self._plugged(now)
        return self._load(self.store.open(now), now)

    def _again(self) -> _Loaded:
        """Takes the rotation's step that is due, and reads what changed since."""
        now, last = self._clock(), self._loaded
        if last is None:
            return self._open()
        if last.state is None:
            return last if last.version == self._plugged_version() else self._plugged(now)
        at = self._due(last.state)
        if at is not None and now >= at:
            return self._load(self.store.advance(self._spread, now), now)
        return last if last.version == self.store.version() else self._load(self.store.load(), now)

    def _due(self, state: State) -> datetime | None:
        """A root that was made while no control plane ran, or shortly before it died, has reached nobody, and who
        trusts only the old one could not even ask for it. So it spreads from when this process tells of it."""
        at = self.store.due(state, self._spread)
        told = self._spread_by_us[1] + self._spread
        return max(at, told) if at is not None and state.step is Step.SPREADING else at

    def _load(self, state: State, now: datetime) -> _Loaded:
        if state.step is Step.SPREADING and self._spread_by_us[0] != state.other:
            self._spread_by_us = (state.other, now)
        version = self.store.version()
        found = self.store.read(state, now)
        roots = tuple(root for name in state.trusted for root in found[name].roots)
        self._noted = self.store.last_leaf(state.active)
        return _Loaded(found[state.active], roots, version, state)

    def _plugged(self, now: datetime) -> _Loaded:
        version = self._plugged_version()
        found = ca_files.read(self._folder, self._passphrase, now)
        return _Loaded(found, found.roots, version)

    def _plugged_version(self) -> object:
        names = (ca_files.CA_CERT, ca_files.CA_KEY, ca_files.ROOT_CERT, ca_files.CERT_CHAIN)
        stats = ((self._folder / name).stat() if (self._folder / name).exists() else None for name in names)
        return tuple((each.st_ino, each.st_mtime_ns, each.st_size) if each else None for each in stats)
