"""The thread that asks for Nomad's regions now and then; nothing tells of them.

Started by `adapters.nomad.loop`, to which it reports.
"""

from __future__ import annotations

import random
import threading

from adapters.api import ApiError, DeniedError
from adapters.nomad.client import Client
from adapters.nomad.library import Library
from adapters.nomad.reports import NoRegions, Regions, Report
from adapters.pace import pause_after_failure

LIST_EVERY = 10.0


class RegionLister(threading.Thread):
    """Lists the regions; once only if `once`."""

    def __init__(self, client: Client, once: bool, report: Report) -> None:
        super().__init__(name="nomad-regions", daemon=True)
        self._client, self._once, self._report = client, once, report
        self._closed = threading.Event()

    def close(self) -> None:
        """End soon."""
        self._closed.set()

    def run(self) -> None:
        failures = 0
        while not self._closed.is_set():
            try:
                library = Library(self._client)
                names = library.regions()
                self._report(Regions(own_region(library, names), names))
                failures = 0
            except ApiError as error:
                failures += 1
                self._report(NoRegions(error))
            if self._once and not failures:
                return
            self._closed.wait(pause_after_failure(failures, random.random()) if failures else LIST_EVERY)


def own_region(library: Library, names: tuple[str, ...]) -> str:
    """The agent's own region; with a token that may not ask the agent (agent:read), the only one that there is."""
    if len(names) == 1:
        return names[0]
    try:
        return library.own_region()
    except DeniedError as error:
        mend = 'allow the token agent { policy = "read" }, or name the regions'
        raise DeniedError(f"which of the regions {', '.join(names)} is the agent's own: {error}; {mend}") from error
