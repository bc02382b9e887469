"""Envoy's admin interface, asked over HTTP on loopback. Blocking: `pilot.sidecar.launch` calls it from a thread."""

from __future__ import annotations

import contextlib
import http.client
from urllib.parse import quote

import attrs

from pilot.sidecar import drain

TIMEOUT = 2.0


class AdminError(Exception):
    """Envoy's admin interface did not answer as it should; the message says what was asked."""


@attrs.frozen
class Admin:
    host: str
    port: int

    def drain(self) -> None:
        """Raises AdminError at the first step that is not taken. May be repeated."""
        for path in drain.STEPS:
            self._ask("POST", path)

    def active(self) -> int:
        """How many requests and connections are open. Raises AdminError."""
        return drain.active(self._ask("GET", drain.ACTIVE_STATS))

    def _ask(self, method: str, path: str) -> str:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=TIMEOUT)
        with contextlib.closing(connection):
            try:
                connection.request(method, quote(path, safe="/?&="))
                answer = connection.getresponse()
                text = answer.read().decode(errors="replace")
            except (OSError, http.client.HTTPException) as error:
                raise AdminError(
                    f"{method} {path} at {self.host}:{self.port}: {error or type(error).__name__}"
                ) from error
        if answer.status != http.client.OK:
            raise AdminError(f"{method} {path} at {self.host}:{self.port}: {answer.status} {text.strip()}")
        return text
