"""What part of the mesh a proxy knows of, and by which further listeners: what a Sidecar object makes of a view.

Made by `pilot.plan.scope` when a view is reduced, read by the rest of planning. Proxies with equal scopes share what
they are told, so nothing here names the object that it came from.
"""

from __future__ import annotations

import attrs

from pilot.model.service import Protocol, Service

EVERY = "*"


@attrs.frozen(cache_hash=True, order=True)
class HostPattern:
    """Hosts of a namespace or of every one (`*`): one by its name, all below `*.suffix`, or all (`*`)."""

    namespace: str
    host: str

    @property
    def is_exact(self) -> bool:
        return not self.host.startswith("*")

    def takes(self, namespace: str, host: str) -> bool:
        if self.namespace not in (EVERY, namespace):
            return False
        return host == self.host if self.is_exact else host.endswith(self.host[1:])

    def takes_service(self, service: Service) -> bool:
        return any(self.takes(service.namespace, host) for host in service.hosts)


@attrs.frozen(cache_hash=True)
class EgressListener:
    """A listener of its own for some hosts, those with this port only: HTTP by host, else one service's bytes."""

    address: str
    port: int
    protocol: Protocol
    hosts: tuple[HostPattern, ...]


@attrs.frozen(cache_hash=True)
class Scope:
    """`hosts` are those of the listener for all hosts; None is everything there is.

    `forward_unknown` sends on requests for unknown hosts: to the cluster `egress_proxy`, else where DNS says.
    """

    hosts: tuple[HostPattern, ...] | None = None
    listeners: tuple[EgressListener, ...] = ()
    forward_unknown: bool = False
    egress_proxy: str = ""

    @property
    def patterns(self) -> tuple[HostPattern, ...] | None:
        """Of all listeners together; None is everything."""
        if self.hosts is None:
            return None
        return tuple(sorted({*self.hosts, *(each for listener in self.listeners for each in listener.hosts)}))


EVERYTHING = Scope()
