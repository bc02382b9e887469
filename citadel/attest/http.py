"""Asks a platform's HTTP API about evidence: pooled, with deadlines, following no redirect with a secret."""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
import attrs

from citadel.attest import AttestorAwayError

SECONDS = 5.0
LARGEST = 4 << 20


@attrs.frozen
class Answer:
    """A status below 500 and the JSON that came with it, None if there was none."""

    status: int
    json: Any
    text: str


class PlatformApi:
    """`addr` is the API's URL; `ca_file` verifies its certificate, by default the system's CAs do."""

    def __init__(self, name: str, addr: str, ca_file: str = "") -> None:
        self._name = name
        self._addr = (addr if "://" in addr else f"http://{addr}").rstrip("/")
        self._ca_file = ca_file
        self._session: aiohttp.ClientSession | None = None

    async def ask(self, method: str, path: str, headers: Mapping[str, str], body: object = None) -> Answer:
        """AttestorAwayError if there is no answer, or one with a status of 500 and more, or 429."""
        if self._session is None:
            self._session = self._open()
        try:
            async with self._session.request(
                method, f"{self._addr}{path}", headers=dict(headers), json=body, allow_redirects=False
            ) as response:
                data = await response.content.read(LARGEST)
                status = response.status
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise AttestorAwayError(f"{self._name} can't be reached: {type(error).__name__}") from None
        text = data.decode(errors="replace")
        if status == 429 or status >= 500:
            raise AttestorAwayError(f"{self._name} answers with HTTP {status}")
        try:
            found = json.loads(data) if data else None
        except ValueError:
            found = None
        return Answer(status, found, text[:200])

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        context = ssl.create_default_context(cafile=self._ca_file or None)
        connector = aiohttp.TCPConnector(limit=32, ssl=context)
        return aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=SECONDS))


def secret(value: str, file: str) -> str:
    """A token given as text, or in a file that is read at each use."""
    if not file:
        return value
    try:
        return Path(file).read_text().strip()
    except OSError as error:
        raise AttestorAwayError(f"{file}: {error.strerror}") from None
