"""The thread that listens to Nomad's event stream, and opens it again whenever it ends.

Started by `adapters.nomad.site`; reports to the loop and decides nothing. It reads as fast as Nomad writes, since Nomad
cuts those who don't. A stream that says nothing for longer than its heartbeats take is dead, whatever TCP thinks.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator, Mapping

from adapters.api import ApiError, DeniedError, UnreachableError
from adapters.nomad import read
from adapters.nomad.client import Client
from adapters.nomad.library import Library
from adapters.nomad.read import UnreadableError
from adapters.nomad.reports import Heard, Opened, Report, SiteKey, StreamFailed
from adapters.pace import pause_after_failure

TOPICS = ("Service", "Allocation", "Job")
WITH_NODES = (*TOPICS, "Node")


class Stream(threading.Thread):
    """One stream, until `close`."""

    def __init__(
        self, site: SiteKey, client: Client, params: Mapping[str, str], report: Report, silence: float
    ) -> None:
        super().__init__(name=f"nomad-events {site[0]} {site[1]}", daemon=True)
        self._site, self._client, self._params, self._report = site, client, params, report
        self._silence = silence
        self._closed = threading.Event()
        self._nodes = True

    def close(self) -> None:
        """End soon; the client has to be closed to end a read that waits."""
        self._closed.set()

    def run(self) -> None:
        failures = 0
        while not self._closed.is_set():
            error, spoke = self._listen()
            failures = 1 if spoke else failures + 1
            self._report(StreamFailed(self._site, error))
            self._closed.wait(pause_after_failure(failures, random.random(), error.retry_after))

    def _listen(self) -> tuple[ApiError, bool]:
        """One life of the stream: why it ended, and whether it ever said anything."""
        spoke = False
        try:
            for line in self._lines():
                events = read.events(line)
                if not spoke:
                    spoke = True
                    self._report(Opened(self._site))
                if events:
                    self._report(Heard(self._site, events))
        except DeniedError as error:
            # A token without node:read may listen to the rest.
            self._nodes = not self._nodes
            return error, spoke
        except (ApiError, UnreadableError) as error:
            return error if isinstance(error, ApiError) else ApiError(f"the event stream is unreadable: {error}"), spoke
        return (UnreachableError("the event stream ended") if spoke else self._why_it_said_nothing()), spoke

    def _lines(self) -> Iterator[bytes]:
        return self._client.events(WITH_NODES if self._nodes else TOPICS, self._params, self._silence)

    def _why_it_said_nothing(self) -> ApiError:
        """Since 1.11.2 Nomad answers 200 before it looks at the token: a denial is an end without a heartbeat."""
        try:
            Library(self._client, self._params.get("region", "")).own_token()
        except DeniedError as error:
            return error
        except ApiError:
            # Without access control, or away: what the stream itself did is all there is to tell.
            return UnreachableError("the event stream ended before its first heartbeat")
        self._nodes = not self._nodes
        return DeniedError("the event stream ended before its first heartbeat")
