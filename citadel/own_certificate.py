"""The control plane's own certificate: issued to itself, and renewed long before it ends.

Who listens (`secure_port`) is told of each new one. While the authority is away the present one stays, and the next
attempt waits longer each time, up to a minute, a random while.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from datetime import UTC, datetime

from cryptography import x509

from citadel import profile, rotation
from citadel.authority import AuthorityError
from citadel.identity import SpiffeId
from citadel.issuing import Issuing
from citadel.profile import PrivateKey

log = logging.getLogger(__name__)

Present = Callable[[tuple[x509.Certificate, ...], PrivateKey], None]
LONGEST_WAIT = 60.0


class OwnCertificate:
    """`spiffe` and `names` are what others call it by. `issued` is set once there is a certificate."""

    def __init__(
        self,
        issuing: Issuing,
        spiffe: SpiffeId,
        names: tuple[str, ...],
        present: Present,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._issuing = issuing
        self._spiffe = spiffe
        self._names = names
        self._present = present
        self._clock = clock
        self.issued = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Gets the first one. AuthorityError if that will not succeed by itself."""
        try:
            wait = await self._renew()
        except AuthorityError as error:
            if not error.retry:
                raise
            log.warning("no certificate for the secure port yet: %s", error)
            wait = 1.0
        self._task = asyncio.get_running_loop().create_task(self._keep(wait))

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _keep(self, wait: float) -> None:
        failures = 0
        while True:
            await asyncio.sleep(wait)
            try:
                wait, failures = await self._renew(), 0
            except AuthorityError as error:
                failures += 1
                wait = random.uniform(0.5, 1.0) * min(LONGEST_WAIT, 2.0**failures)
                log.warning("the secure port's certificate was not renewed: %s; again in %.0f s", error, wait)

    async def _renew(self) -> float:
        """Seconds until the next renewal."""
        key = profile.new_key()
        issued = await self._issuing.issue(self._spiffe, profile.request(key), names=self._names)
        self._present(issued.chain, key)
        self.issued.set()
        now = self._clock()
        return max(1.0, (rotation.renewal(now, issued.not_after, random.random()) - now).total_seconds())
