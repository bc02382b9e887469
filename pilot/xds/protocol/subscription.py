"""Which names of one type a stream wants, and the wildcard rules.

See "How the client specifies what resources to return" in xds_protocol.rst. One object per type and stream; a SotW
request replaces the names, a delta request adds and takes away.
"""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from pilot.xds.resource import CDS, LDS

WILDCARD = "*"

FULL_STATE = frozenset({CDS, LDS})
"""Types whose SotW response says all there is, and for which naming nothing at all means everything."""


@attrs.define(eq=False)
class Names:
    """The wanted names. `legacy`: nothing was ever named on this stream, so an empty list still means everything."""

    type_url: str
    explicit: frozenset[str] = frozenset()
    wildcard: bool = False
    legacy: bool = True
    _last: tuple[str, ...] | None = None

    def covers(self, name: str) -> bool:
        return self.wildcard or name in self.explicit

    def within(self, names: Iterable[str]) -> list[str]:
        """Those of `names` that are wanted, in their order."""
        if self.wildcard:
            return list(names)
        explicit = self.explicit
        return [name for name in names if name in explicit]

    @property
    def nothing(self) -> bool:
        return not self.wildcard and not self.explicit

    def replace(self, names: tuple[str, ...]) -> bool:
        """SotW: these are all the names now. True if something is wanted that was not (named anew counts as such)."""
        if names == self._last:
            return False
        self._last = names
        before, was_wildcard = self.explicit, self.wildcard
        if names:
            self.legacy = False
        self.explicit = frozenset(names) - {WILDCARD}
        self.wildcard = WILDCARD in names or (self.legacy and self.type_url in FULL_STATE)
        return not self.explicit <= before or (self.wildcard and not was_wildcard)

    def subscribe(self, names: Iterable[str]) -> None:
        """Delta: these too. The empty first request of CDS and LDS is a subscription to everything (`start`)."""
        added = frozenset(names)
        if added:
            self.legacy = False
        self.wildcard = self.wildcard or WILDCARD in added
        self.explicit |= added - {WILDCARD}

    def start(self, names: tuple[str, ...]) -> None:
        """Delta: the first request of the type on this stream."""
        self.subscribe(names)
        if not names and self.type_url in FULL_STATE:
            self.wildcard = True

    def unsubscribe(self, names: Iterable[str]) -> frozenset[str]:
        """Delta: not these; names never subscribed are ignored. Returns those that the wildcard goes on covering."""
        dropped = frozenset(names)
        known = dropped & self.explicit
        self.explicit -= dropped
        if WILDCARD in dropped:
            self.wildcard = False
        return known if self.wildcard else frozenset()
