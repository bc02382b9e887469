"""What an operator may say of any platform, whatever its kind, and how platforms are put together.

Read by `adapters.options` beside the kind's own options, used by `adapters.merge`. Pure. The meaning:
docs/reference/platforms.md.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from adapters.options import OptionError, option
from adapters.screen import Limits
from pilot.model.service import NetworkGateway

LOWEST_PRIORITY = 31


@attrs.frozen
class PlatformSettings:
    """Options that every kind has."""

    network: str = option("", help="Network that its endpoints are reached in; clients of others use its gateways.")
    priority: int = option(0, help="Its endpoints are called when those of lower numbers fail.")

    hold: float = option(300.0, help="Seconds that endpoints are kept when too many vanish at once; 0 for none.")
    hold_share: float = option(0.5, help="Share of its endpoints that may vanish at once and be believed.")
    hold_count: int = option(20, help="So many endpoints may vanish at once and be believed, unless none is left.")

    @property
    def limits(self) -> Limits:
        return Limits(self.hold, self.hold_share, self.hold_count)

    def __attrs_post_init__(self) -> None:
        if self.hold < 0:
            raise OptionError(f"hold is {self.hold:g}: write seconds, 0 to switch it off", "hold")
        if not 0 <= self.hold_share <= 1:
            raise OptionError(f"holdShare is {self.hold_share:g}: write 0 to 1", "holdShare")
        if self.hold_count < 1:
            raise OptionError(f"holdCount is {self.hold_count}: write 1 or more", "holdCount")
        if not 0 <= self.priority <= LOWEST_PRIORITY:
            raise OptionError(f"priority is {self.priority}: write 0 to {LOWEST_PRIORITY}", "priority")


@attrs.frozen
class Network:
    """A network that others can't reach into but through its gateways."""

    name: str
    gateways: tuple[NetworkGateway, ...]


@attrs.frozen
class Arrangement:
    """How platforms are put together. `by_name`: services of one namespace and name are one, whatever their hosts."""

    settings: Mapping[str, PlatformSettings] = attrs.field(factory=dict)
    networks: tuple[Network, ...] = ()
    by_name: bool = True

    def of(self, platform: str) -> PlatformSettings:
        return self.settings.get(platform) or PlatformSettings()

    def gateways(self) -> Mapping[str, tuple[NetworkGateway, ...]]:
        return {network.name: network.gateways for network in self.networks}
