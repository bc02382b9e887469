"""The Consul platform: services that agents registered, in one datacenter or many.

Used by `mesh_adapter` through `adapters.platform`. Only options are dealt with here; the watching itself is
`adapters.consul.loop`'s. What Consul says becomes what in the mesh, and all rules: docs/reference/consul.md.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator

from adapters.consul.client import access_of
from adapters.consul.convert import Selection
from adapters.consul.loop import Loop
from adapters.consul.options import ConsulOptions
from adapters.consul.register import Registration
from adapters.consul.site import Settings
from adapters.platform import Announcement, Event

LONGEST_WAIT = 600.0


class ConsulPlatform:
    """Watches a Consul agent. Nothing is read from the environment; ValueError or OSError for an unusable option."""

    judges_losses = True
    """By answers that repeat themselves: `adapters.hold`."""

    def __init__(self, options: ConsulOptions, name: str = "consul") -> None:
        if options.warning not in ("include", "exclude"):
            raise ValueError(f"warning is {options.warning!r}: write include or exclude")
        if not 0 < options.wait <= LONGEST_WAIT:
            raise ValueError(f"wait is {options.wait:g} s: Consul waits from above 0 to {LONGEST_WAIT:g} s")
        if options.empty_hold < 0:
            raise ValueError(f"empty_hold is {options.empty_hold:g} s: write 0 to switch it off")
        self.name = name
        self._settings = Settings(
            platform=name,
            access=access_of(options),
            datacenters=options.datacenters or None,
            warning=options.warning == "include",
            wait=options.wait,
            patience=options.empty_hold,
            failover=options.failover,
            peers=options.peers,
            selection=Selection.checked(
                options.namespace, options.connect_native == "include", options.sidecar_proxies == "include"
            ),
        )
        self._settings.access.tls()
        self._lock = threading.Lock()
        self._register = options.register
        self._registration: Registration | None = None
        self._loop: Loop | None = None
        self._closed = False

    def watch(self) -> Iterator[Event]:
        """The events of `adapters.platform.Platform.watch`."""
        with self._lock:
            if self._closed:
                return
            self._loop = Loop(self._settings)
        yield from self._loop.run()

    def announce(self, announcement: Announcement) -> None:
        """Register this control plane with the agent, if that was asked for; `close` takes it back."""
        with self._lock:
            if self._register and not self._closed and self._registration is None:
                self._registration = Registration(self._settings.access, self._register, announcement)
                self._registration.start()

    def close(self) -> None:
        """End the watch; from any thread, more than once."""
        with self._lock:
            registration, self._registration = self._registration, None
        if registration is not None:
            registration.close()
        with self._lock:
            self._closed = True
            if self._loop is not None:
                self._loop.close()
