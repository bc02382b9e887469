"""Keeps the workload's identity: makes the key, has it certified, renews it in time, and follows whom to trust.

Run by the `sidecar` command for as long as it lives. Whoever serves the workload (`sds`, `workload_api`) reads
`holdings` and is told of each change. While the control plane is away, what is held stays and is served; tries grow
rarer, but several always fit into what is left of the certificate's life. Needs one event loop; never blocks it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import attrs
from cryptography import x509

from citadel import profile, rotation
from citadel.agent import holdings, kept, renewal
from citadel.agent.control_plane import Bundles, ControlPlane, ControlPlaneError
from citadel.agent.evidence import Evidence, NoEvidenceError
from citadel.agent.holdings import Holdings, Svid
from citadel.identity import SpiffeId
from citadel.profile import ProfileError

log = logging.getLogger(__name__)

FOLLOW_AGAIN = 5.0
"""Seconds at most until roots are followed again: a control plane that is back may have new ones to spread."""
LOOK_EVERY = 30.0
"""Seconds at most between two looks at the wall clock: a host that slept finds its certificate old at once."""


@attrs.frozen
class KeeperSettings:
    """`root_file` has the roots by which the control plane is known at first, as PEM; `folder` keeps the identity over
    restarts, if given; `ttl` of zero is the control plane's default."""

    control_plane: str
    root_file: Path
    evidence: Evidence | None = None
    folder: Path | None = None
    ttl: timedelta = timedelta()


class Keeper:
    """`start`, then `holdings` at any time. `tried` is set once the first try succeeded or failed, `problem` tells how
    the latest one failed and `refused` whether it was a refusal; both are empty while all is well. `heard` counts how
    often the control plane told whom to trust."""

    def __init__(self, settings: KeeperSettings, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._settings = settings
        self._clock = clock
        self.control_plane = ControlPlane(settings.control_plane)
        self.holdings = Holdings()
        self.tried = asyncio.Event()
        self.problem = ""
        self.refused = False
        self.heard = 0
        self._listeners: set[Callable[[], None]] = set()
        self._certified = asyncio.Event()
        self._tasks: tuple[asyncio.Task[None], ...] = ()
        self._alarm = 0

    async def start(self) -> None:
        """Begins with what was kept, and returns at once: the rest happens beside."""
        found = kept.read(self._settings.folder, self._clock()) if self._settings.folder else None
        if found is not None:
            self._hold(*found)
            self.tried.set()
        loop = asyncio.get_running_loop()
        self._tasks = (loop.create_task(self._keep()), loop.create_task(self._follow()))

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """`listener` is called in the event loop after each change of `holdings`; what is returned ends that."""
        self._listeners.add(listener)
        return lambda: self._listeners.discard(listener)

    def roots(self) -> tuple[x509.Certificate, ...]:
        """By which the control plane is known: those told by it, and those of the file, which an operator may renew.

        OSError or ValueError if the file has none and nothing was told yet.
        """
        told = holdings.certificates(self.holdings.own_roots)
        try:
            given = tuple(x509.load_pem_x509_certificates(self._settings.root_file.read_bytes()))
        except (OSError, ValueError):
            if not told:
                raise
            given = ()
        return tuple(dict.fromkeys((*told, *given)))

    async def _keep(self) -> None:
        failures = 0
        held = self.holdings.svid
        wait = self._until_renewal(held) if held else 0.0
        while True:
            await self._sleep(wait)
            try:
                wait, failures = await self._renew(), 0
            except Exception as error:  # noqa: BLE001 whatever it is, what is held is kept and it is tried again
                failures += 1
                wait = self._failed(error, failures)
            self.tried.set()

    def _failed(self, error: Exception, failures: int) -> float:
        """Seconds until the next try."""
        expected = isinstance(error, ControlPlaneError | NoEvidenceError | ProfileError | OSError | ValueError)
        self.problem, self.refused = str(error), getattr(error, "refused", True)
        held = self.holdings.svid
        left = (held.not_after - self._clock()).total_seconds() if held else None
        wait = renewal.pause(failures, left, renewal.draw())
        log.log(
            logging.WARNING if expected else logging.ERROR,
            "no %s: %s; again in %.1f s%s",
            "renewal" if held else "certificate yet",
            error,
            wait,
            f", {held.spiffe} lives until {held.not_after:%Y-%m-%d %H:%M:%S} UTC" if held else "",
            exc_info=not expected,
        )
        self._warn(held)
        return wait

    def _warn(self, held: Svid | None) -> None:
        """An error once for each mark of its life that a certificate passed without being replaced."""
        if held is None:
            return
        leaf = held.chain[0]
        level = rotation.alarm(leaf.not_valid_before_utc, leaf.not_valid_after_utc, self._clock())
        if level > self._alarm and level >= 70:
            log.error("the certificate of %s has passed %d %% of its life and was not replaced", held.spiffe, level)
        self._alarm = level

    async def _renew(self) -> float:
        """Seconds until the next renewal. By the present certificate while it lives, else by evidence."""
        key = await asyncio.to_thread(profile.new_key)
        by = self._proof()
        chain, roots = await self.control_plane.sign(profile.request(key), self._settings.ttl, self.roots(), by)
        found = holdings.svid(chain, key)
        if not roots:
            raise ProfileError("the answer holds no roots to trust")
        if self._settings.folder is not None:
            await asyncio.to_thread(kept.write, self._settings.folder, found, roots)
        self.problem, self.refused, self._alarm = "", False, 0
        self._hold(found, roots)
        log.info("certificate of %s until %s", found.spiffe, found.not_after)
        return self._until_renewal(found)

    def _proof(self) -> Svid | Evidence:
        held = self.holdings.svid
        if held is not None and self._clock() < held.not_after and not (self.refused and self._settings.evidence):
            return held
        if self._settings.evidence is None:
            raise NoEvidenceError("there is no evidence to show: give --evidence KIND=FILE")
        return self._settings.evidence

    def _hold(self, found: Svid, roots: tuple[x509.Certificate, ...]) -> None:
        own = str(SpiffeId(found.spiffe.trust_domain))
        told = {**self.holdings.x509, own: holdings.roots_der(roots)}
        self._change(attrs.evolve(self.holdings, svid=found, x509=told))
        self._certified.set()

    def _change(self, new: Holdings) -> None:
        self.holdings = new
        for listener in tuple(self._listeners):
            listener()

    def _until_renewal(self, found: Svid) -> float:
        now = self._clock()
        return max(0.1, (rotation.renewal(now, found.not_after, renewal.draw()) - now).total_seconds())

    async def _sleep(self, seconds: float) -> None:
        """Until so much time passed by the clock that nobody sets, or by the one on the wall."""
        loop = asyncio.get_running_loop()
        end, due = loop.time() + seconds, self._clock() + timedelta(seconds=seconds)
        while (left := min(end - loop.time(), (due - self._clock()).total_seconds())) > 0:
            await asyncio.sleep(min(left, LOOK_EVERY))

    async def _follow(self) -> None:
        """Keeps the watches open, over a new connection with the present certificate whenever the former ended."""
        await self._certified.wait()
        failures = 0
        while True:
            held, heard = self.holdings.svid, self.heard
            assert held is not None, "certified, and never given up"
            try:
                async with (
                    self.control_plane.watches(self.roots(), held) as (roots, keys),
                    asyncio.TaskGroup() as group,
                ):
                    group.create_task(self._follow_roots(roots))
                    group.create_task(self._follow_keys(keys))
            except* (ControlPlaneError, OSError, ValueError) as errors:
                log.info("what to trust is not followed at the moment: %s; what is known stays", errors.exceptions[0])
            except* Exception:
                log.exception("following what to trust failed; going on")
            failures = 1 if self.heard > heard else failures + 1
            await asyncio.sleep(min(FOLLOW_AGAIN, renewal.pause(failures, None, renewal.draw())))

    async def _follow_roots(self, states: Bundles) -> None:
        """Only whole bundles are taken over, and never one that leaves the own domain without a root."""
        async for bundles in states:
            for each in bundles.values():
                holdings.certificates(each)
            if not bundles.get(self.holdings.own_domain):
                raise ValueError(f"the control plane names no root of {self.holdings.own_domain}")
            self.heard += 1
            if bundles != self.holdings.x509:
                self._change(attrs.evolve(self.holdings, x509=bundles))

    async def _follow_keys(self, states: Bundles) -> None:
        async for bundles in states:
            if bundles != self.holdings.jwt:
                self._change(attrs.evolve(self.holdings, jwt=bundles))
