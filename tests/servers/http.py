"""A small HTTP client for talking to the servers themselves: standard library only, so that tests of the product's
own clients have an independent view of what a server holds."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

TIMEOUT = 10.0


class RefusedError(OSError):
    """An answer with a status of 400 or more; its body says why. An OSError, as urllib's own error is."""

    def __init__(self, method: str, url: str, status: int, body: str) -> None:
        super().__init__(f"{method} {url}: {status}: {body.strip()}")
        self.status = status
        self.body = body


@dataclass(frozen=True)
class Answer:
    """A server's answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()

    @property
    def json(self) -> Any:
        """The body's JSON; None when it is empty."""
        return json.loads(self.body) if self.body.strip() else None


def call(
    method: str,
    url: str,
    body: object = None,
    *,
    headers: Mapping[str, str] | None = None,
    tls: ssl.SSLContext | None = None,
    timeout: float = TIMEOUT,
) -> Answer:
    """One request; a body that is not bytes is sent as JSON. Raises RefusedError, or OSError when nobody answers."""
    sent = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=sent, method=method, headers=dict(headers or {}))
    if sent is not None and not request.has_header("Content-type"):
        request.add_header("Content-Type", "application/json")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=tls))
    try:
        with opener.open(request, timeout=timeout) as response:
            return Answer(response.status, dict(response.headers), response.read())
    except urllib.error.HTTPError as error:
        with error:
            raise RefusedError(method, url, error.code, error.read().decode(errors="replace")) from None
