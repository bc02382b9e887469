"""JWT-SVIDs that the control plane made lately, given again while more than half of their life is left.

And until they end while the control plane can't be asked.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import attrs

from citadel.agent.control_plane import ControlPlaneError
from citadel.agent.holdings import Svid
from citadel.agent.keeper import Keeper
from citadel.attest import EvidenceError, jws

MOST = 256


@attrs.frozen
class _Kept:
    token: str = attrs.field(repr=False)
    renew_at: datetime
    ends: datetime


class JwtCache:
    def __init__(self, keeper: Keeper, clock: Callable[[], datetime]) -> None:
        self._keeper = keeper
        self._clock = clock
        self._kept: dict[tuple[str, tuple[str, ...]], _Kept] = {}

    async def get(self, audience: tuple[str, ...], held: Svid) -> str:
        """ControlPlaneError if there is none to give."""
        key = (str(held.spiffe), tuple(sorted(set(audience))))
        kept, now = self._kept.get(key), self._clock()
        if kept is not None and now < kept.renew_at:
            return kept.token
        try:
            token = await self._keeper.control_plane.jwt_svid(key[1], self._keeper.roots(), held)
        except ControlPlaneError as error:
            if kept is not None and now < kept.ends and not error.refused:
                return kept.token
            raise
        self._keep(key, token, now)
        return token

    def _keep(self, key: tuple[str, tuple[str, ...]], token: str, now: datetime) -> None:
        try:
            ends = datetime.fromtimestamp(float(jws.take_apart(token).claims["exp"]), UTC)
        except (EvidenceError, KeyError, TypeError, ValueError) as error:
            raise ControlPlaneError(f"the control plane made what is no JWT-SVID: {error}", refused=False) from None
        if len(self._kept) >= MOST:
            self._kept.clear()
        self._kept[key] = _Kept(token, now + (ends - now) / 2, ends)
