"""What the xDS server asks of the rest of the control plane: who may connect, and what they are told.

Implemented by the composition root; the server knows nothing of platforms, configuration and planning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from pilot.xds.access import Admitted
from pilot.xds.protocol import Node
from pilot.xds.resource import Resources


class Subscription(Protocol):
    """The state of one proxy, for as long as one stream of it lasts. All calls come from the server's event loop."""

    def resources(self) -> Resources | None:
        """What the proxy is to be told now; None until the control plane is ready. Cheap, called after every change.

        Sets that did not change should be the same objects as before, and streams with the same view should be given
        the same objects: comparisons and bytes are shared by identity.
        """

    def on_change(self, callback: Callable[[], None]) -> None:
        """Registers the one callback, to be called in the event loop whenever `resources` may answer otherwise.

        It only raises a flag, so all streams can be called in one pass; calls are coalesced. Never called after close.
        """

    def withheld(self, names: Iterable[str]) -> Mapping[str, str]:
        """Those of the secrets asked for that are not for this proxy, and why not: news for an audit."""

    def close(self) -> None:
        """The stream ended. Called exactly once."""


class Directory(Protocol):
    """Finds a proxy's state by what it says of itself."""

    def connect(self, node: Node, caller: Admitted) -> Subscription:
        """Called once a stream, in the event loop, with the node of its first request and who sent it.

        Raises ValueError, whose text goes to the proxy, when the node cannot be accepted: name the id and the grammar.
        """
