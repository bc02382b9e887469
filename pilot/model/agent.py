"""What program is at the other end of a stream: what it calls itself, and whether its version may be served.

Read once a stream by `pilot.model.proxy`. What an older Envoy does not understand is held back from it: a line in
`SINCE`, and a look at `OutboundView.withheld` where it is planned. Nearly all is understood by all that are served, so
that proxies of different versions mostly have equal views.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from types import MappingProxyType

import attrs

Minor = tuple[int, int]
"""Major and minor number of a version."""

OLDEST_ENVOY: Minor = (1, 38)
"""Two minor versions before the one that is tested against."""


class Feature(enum.Enum):
    """Fields that not every Envoy of those served knows."""

    RETRY_BUDGET_INTERVAL = "retry budget interval"


SINCE: Mapping[Feature, Minor] = MappingProxyType({Feature.RETRY_BUDGET_INTERVAL: (1, 39)})
"""The first Envoy that knows each."""
_ENVOY = "envoy"
_GRPC = "grpc"


@attrs.frozen
class Agent:
    """xDS's `user_agent_name` and version; both empty for a client that says nothing."""

    name: str = ""
    version: str = ""

    @property
    def is_grpc(self) -> bool:
        """gRPC's own clients call themselves `gRPC C-core linux`, `gRPC Go`, `grpc-java`."""
        return self.name.lower().startswith(_GRPC)

    @property
    def too_old(self) -> str:
        """Why it is not served, with the way out; empty where it is. A version that can't be read is let in."""
        found = self._envoy
        if found is None or found >= OLDEST_ENVOY:
            return ""
        oldest = ".".join(map(str, OLDEST_ENVOY))
        return f"Envoy {self.version} is too old: the oldest that is served is {oldest}; upgrade this proxy"

    @property
    def withheld(self) -> frozenset[Feature]:
        """What it would not understand; nothing of a program whose version is not known."""
        found = self._envoy
        return frozenset(feature for feature, since in SINCE.items() if found is not None and found < since)

    @property
    def _envoy(self) -> Minor | None:
        """The version, if it is Envoy's."""
        return _minor(self.version) if self.name == _ENVOY else None


NOBODY = Agent()


def _minor(version: str) -> Minor | None:
    """Of `1.40.0`."""
    parts = version.split(".")
    if len(parts) < 2 or not (parts[0].isdecimal() and parts[1].isdecimal()):
        return None
    return int(parts[0]), int(parts[1])
