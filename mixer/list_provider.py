"""Lists that stand in a file or at a URL: read when a handler is opened, and again at each interval.

`listchecker` uses it. A list that cannot be read leaves the last one in force until its time to live is up; then there
is no list, and asking for it fails. Belongs to one event loop.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Generic, TypeVar
from urllib.parse import unquote, urlsplit

import aiohttp
import yaml

from mixer.http_session import body, session

T = TypeVar("T")
log = logging.getLogger(__name__)

MOST_BYTES = 16 * 1024 * 1024
_TIMEOUT = 10.0


class ListProvider(Generic[T]):
    """`build` makes what is asked of the entries, and raises ValueError where one is none.

    `interval` and `ttl` are in seconds.
    """

    def __init__(
        self,
        url: str,
        build: Callable[[tuple[str, ...]], T],
        interval: float,
        ttl: float,
        monotonic: Callable[[], float],
        name: str,
    ) -> None:
        self._url = url
        self._build = build
        self._interval = interval
        self._ttl = ttl
        self._monotonic = monotonic
        self._name = name
        self._text: bytes | None = None
        self._built: T | None = None
        self._read_at = float("-inf")
        self._trouble = ""
        self._first = asyncio.Event()
        self._http: aiohttp.ClientSession | None = None
        self._task = asyncio.get_running_loop().create_task(self._follow())

    async def get(self) -> T:
        """The list; waits while it is read for the first time. LookupError if there is none, or it is too old."""
        await self._first.wait()
        return self._usable()

    def current(self) -> T | None:
        """The same without waiting, None while it is read for the first time."""
        return self._usable() if self._first.is_set() else None

    def _usable(self) -> T:
        if self._built is None or self._monotonic() - self._read_at > self._ttl:
            raise LookupError(f"the list at {self._url} cannot be read: {self._trouble}")
        return self._built

    async def _follow(self) -> None:
        while True:
            try:
                async with asyncio.timeout(_TIMEOUT):
                    self._take(await self._read())
            except (aiohttp.ClientError, OSError, ValueError) as error:
                said = str(error) or type(error).__name__
                if said != self._trouble:
                    log.warning("handler %s: the list at %s cannot be read: %s", self._name, self._url, said)
                self._trouble = said
            self._first.set()
            await asyncio.sleep(self._interval)

    def _take(self, text: bytes) -> None:
        if text != self._text:
            self._built = self._build(tuple(entries_of(text.decode())))
            self._text = text
        self._read_at = self._monotonic()
        self._trouble = ""

    async def _read(self) -> bytes:
        parts = urlsplit(self._url)
        if parts.scheme == "file":
            return await asyncio.to_thread(_read_file, Path(unquote(parts.path)))
        if self._http is None:
            self._http = session()
        async with self._http.get(self._url) as answer:
            if answer.status != 200:
                raise ValueError(f"the server answered {answer.status}")
            return await body(answer, MOST_BYTES)

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        if self._http is not None:
            await self._http.close()


def _read_file(path: Path) -> bytes:
    with path.open("rb") as file:
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise ValueError(f"is longer than {MOST_BYTES} bytes")
    return data


def entries_of(text: str) -> Iterator[str]:
    """One entry a line, without what stands behind a # at its beginning or after a space.

    Or Istio's YAML, a list with or without `whitelist:` before it; ValueError for YAML that holds no list.
    """
    if text.lstrip().startswith(("whitelist:", "blacklist:", "[", "- ")):
        try:
            data = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ValueError(f"it is no YAML: {error}") from error
        listed = data.get("whitelist", data.get("blacklist")) if isinstance(data, dict) else data
        if not isinstance(listed, list):
            raise ValueError("its YAML holds no list")
        yield from (str(each) for each in listed)
        return
    for line in text.splitlines():
        entry = line.partition(" #")[0].strip()
        if entry and not entry.startswith("#"):
            yield entry
