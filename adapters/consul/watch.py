"""The Consul platform: services that agents registered, in one datacenter or many.

Used by `mesh_adapter` through `adapters.platform`. Only options are dealt with here; the watching itself is
`adapters.consul.loop`'s. What Consul says becomes what in the mesh, and all rules: docs/reference/consul.md.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Literal

from adapters.api import Access
from adapters.consul.client import parse_address
from adapters.consul.loop import Loop
from adapters.consul.site import Settings
from adapters.platform import Event

LONGEST_WAIT = 600.0


class ConsulPlatform:
    """Watches a Consul agent. Nothing is read from the environment; ValueError or OSError for an unusable option.

    `addr`: `host:port`, `[::1]:port` or a URL. `token_file` is read again when it changes, and wins over `token`.
    `ca_file`, `cert_file`, `key_file`: PEM, for https. `datacenters`: None for the agent's own, `("*",)` for all that
    Consul knows, else their names. `warning`: whether an instance with a check in warning takes traffic (Consul's own
    DNS and mesh include it). `wait`: seconds of a long poll. `empty_hold`: seconds for which a sudden loss of
    everything must last before it is believed; 0 believes at once.
    """

    def __init__(
        self,
        *,
        addr: str = "http://127.0.0.1:8500",
        token: str = "",
        token_file: str = "",
        ca_file: str = "",
        cert_file: str = "",
        key_file: str = "",
        datacenters: Sequence[str] | None = None,
        warning: Literal["include", "exclude"] = "exclude",
        wait: float = 60.0,
        empty_hold: float = 300.0,
        name: str = "consul",
    ) -> None:
        if warning not in ("include", "exclude"):
            raise ValueError(f"warning is {warning!r}: write include or exclude")
        if not 0 < wait <= LONGEST_WAIT:
            raise ValueError(f"wait is {wait} s: Consul waits from above 0 to {LONGEST_WAIT:g} s")
        if empty_hold < 0:
            raise ValueError(f"empty_hold is {empty_hold} s: write 0 to switch it off")
        self.name = name
        self._settings = Settings(
            platform=name,
            access=Access(parse_address(addr), token, token_file, ca_file, cert_file, key_file),
            datacenters=None if datacenters is None else tuple(datacenters),
            warning=warning == "include",
            wait=wait,
            patience=empty_hold,
        )
        self._settings.access.tls()
        self._lock = threading.Lock()
        self._loop: Loop | None = None
        self._closed = False

    def watch(self) -> Iterator[Event]:
        """The events of `adapters.platform.Platform.watch`."""
        with self._lock:
            if self._closed:
                return
            self._loop = Loop(self._settings)
        yield from self._loop.run()

    def close(self) -> None:
        """End the watch; from any thread, more than once."""
        with self._lock:
            self._closed = True
            if self._loop is not None:
                self._loop.close()
