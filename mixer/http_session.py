"""The HTTP client of handlers: one aiohttp session each, TLS by the system's authorities or the operator's."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

import aiohttp

from galley.finding import Finding

CONNECTIONS = 32
MOST_BYTES = 1024 * 1024
"""The longest answer that is read."""


def session(ca_file: str = "", headers: Mapping[str, str] | None = None) -> aiohttp.ClientSession:
    """A session of at most CONNECTIONS connections. OSError for a file that cannot be read."""
    context: ssl.SSLContext | bool = ssl.create_default_context(cafile=ca_file) if ca_file else True
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CONNECTIONS, ssl=context), headers=headers)


async def body(answer: aiohttp.ClientResponse, most: int = MOST_BYTES) -> bytes:
    """The whole answer; ValueError if it is longer than `most`."""
    data = bytearray()
    async for chunk in answer.content.iter_chunked(65536):
        data += chunk
        if len(data) > most:
            raise ValueError(f"the answer is longer than {most} bytes")
    return bytes(data)


def check_url(url: str, name: str, example: str) -> Iterator[Finding]:
    """A finding at `name` unless it is an absolute http or https URL."""
    parts = urlsplit(url)
    if not url:
        yield Finding((name,), "is missing", f"write {example}")
    elif parts.scheme not in ("http", "https") or not parts.hostname:
        yield Finding((name,), f"{url!r} is no URL of http or https", f"write {example}")
