"""The Nomad platform: services of jobs that Nomad itself registers, in one region or many, one namespace or all.

Used by `mesh_adapter` through `adapters.platform`. Only options are dealt with here; the watching itself is
`adapters.nomad.loop`'s. What Nomad says becomes what in the mesh, and all rules: docs/reference/nomad.md.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator

from adapters.nomad.client import access_of
from adapters.nomad.loop import Loop
from adapters.nomad.options import NomadOptions
from adapters.nomad.site import Settings
from adapters.platform import Event


class NomadPlatform:
    """Watches a Nomad agent. Nothing is read from the environment; ValueError or OSError for an unusable option."""

    judges_losses = True
    """By events, which are evidence, and by lists that repeat themselves: `adapters.nomad.feed`."""

    def __init__(self, options: NomadOptions, name: str = "nomad") -> None:
        if not options.namespaces:
            raise ValueError("namespaces is empty: name some, or write * for all")
        if "*" in options.namespaces and len(set(options.namespaces)) > 1:
            raise ValueError("namespaces holds * and more: write * alone for all")
        for field in ("check_interval", "check_rate", "silence"):
            if getattr(options, field) <= 0:
                raise ValueError(f"{field} is {getattr(options, field):g}: it has to be above 0")
        if options.empty_hold < 0:
            raise ValueError(f"empty_hold is {options.empty_hold:g} s: write 0 to switch it off")
        self.name = name
        self._settings = Settings(
            platform=name,
            access=access_of(options),
            regions=options.regions or None,
            namespaces=tuple(dict.fromkeys(options.namespaces)),
            check_interval=options.check_interval,
            check_rate=options.check_rate,
            patience=options.empty_hold,
            silence=options.silence,
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
