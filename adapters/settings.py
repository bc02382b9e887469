"""What an operator may say of any platform, whatever its kind, and how platforms are put together.

Read by `adapters.options` beside the kind's own options, used by `adapters.merge`. Pure. The meaning:
docs/reference/platforms.md.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from adapters.options import OptionError, option
from pilot.model.service import NetworkGateway

LOWEST_PRIORITY = 31


@attrs.frozen
class PlatformSettings:
    """Options that every kind has."""

    network: str = option("", help="Network that its endpoints are reached in; clients of others use its gateways.")
    priority: int = option(0, help="Its endpoints are called when those of lower numbers fail.")

    def __attrs_post_init__(self) -> None:
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
