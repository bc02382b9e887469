"""The thread that lists and watches one resource, for ever, and reports what it reads.

Made by `kubeapi.mirror`. A watch that ends is taken up where it was; after anything that went wrong everything is
listed anew, because only a listing can tell what was missed. It never decides what is believed.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping
from typing import Generic

import attrs

from kubeapi.access import Api, Stream
from kubeapi.errors import AnswerError, GoneError, KubernetesError, UnreachableError
from kubeapi.reading import Bookmark, read_event, read_page
from kubeapi.resource import Broken, Key, Resource, T

PAGE = 500
SHORTEST_WATCH, LONGEST_WATCH = 300, 600
"""Seconds after which the server ends a watch: by chance, so that not all clients of a server come back at once."""
SILENCE = 150.0
"""Seconds without a byte after which a watch is taken up anew: bookmarks come about every minute."""
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 10.0
LONGEST_ASKED = 100.0
SHORT = 1.0
"""A watch that lasted for less, or a listing that is needed again so soon, is no success."""


@attrs.frozen(eq=False)
class Listed(Generic[T]):
    """Everything that there is of a resource."""

    resource: Resource[T]
    objects: Mapping[Key, T | Broken]


@attrs.frozen(eq=False)
class Changed(Generic[T]):
    """One object, None if it is gone."""

    resource: Resource[T]
    key: Key
    value: T | Broken | None


@attrs.frozen(eq=False)
class Failed(Generic[T]):
    """The resource can't be read now; a Listed follows when it can."""

    resource: Resource[T]
    error: KubernetesError


Report = Callable[[object], None]


class Reflector(Generic[T]):
    """`report` is called in this thread."""

    def __init__(self, api: Api, resource: Resource[T], report: Report) -> None:
        self._api = api
        self._resource = resource
        self._report = report
        self._closed = threading.Event()
        self._again = threading.Event()
        self._stream: Stream | None = None
        self._failures = 0
        self._thread = threading.Thread(target=self._run, name=f"kubernetes-{resource.plural}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def list_again(self) -> None:
        """List everything once more, soon; from any thread."""
        self._again.set()
        self._cut()

    def close(self) -> None:
        """End it soon, from any thread. (What waits for a first answer is ended with the Api.)"""
        self._closed.set()
        self._cut()

    def join(self, timeout: float) -> None:
        self._thread.join(timeout)

    def _cut(self) -> None:
        stream = self._stream
        if stream is not None:
            stream.close()

    def _run(self) -> None:
        while not self._closed.is_set():
            began = time.monotonic()
            try:
                self._again.clear()
                self._follow(self._list())
                self._rest(began)
            except KubernetesError as error:
                self._failed(error)
            except Exception as fault:  # noqa: BLE001 - a bug here must not end the watch without a word
                self._failed(AnswerError(f"{self._resource}: {fault!r}"))

    def _failed(self, error: KubernetesError) -> None:
        if self._closed.is_set():
            return
        self._failures += 1
        self._report(Failed(self._resource, error))
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(self._failures - 1, 8)) * random.uniform(0.5, 1.0)
        self._closed.wait(max(pause, min(error.retry_after or 0.0, LONGEST_ASKED)))

    def _rest(self, began: float) -> None:
        """A listing that was of use for a moment only is not followed by the next at once."""
        if time.monotonic() - began < SHORT and not self._again.is_set():
            self._closed.wait(random.uniform(0.5, 1.0) * SHORT)

    def _list(self) -> str:
        """List and report; the version to watch from. Pages that expired underway are followed by one large answer."""
        try:
            return self._list_pages(PAGE)
        except GoneError:
            return self._list_pages(0)

    def _list_pages(self, limit: int) -> str:
        found: dict[Key, T | Broken] = {}
        params = {"limit": str(limit)} if limit else {}
        while True:
            page = read_page(self._resource, self._api.get(self._resource.path, params))
            found.update(page.objects)
            if not page.more:
                self._failures = 0
                self._report(Listed(self._resource, found))
                return page.version
            params["continue"] = page.more

    def _follow(self, version: str) -> None:
        """Watch from a version on; returns when a new listing is needed."""
        short = 0
        while not self._closed.is_set() and not self._again.is_set():
            began, before = time.monotonic(), version
            try:
                version = self._watch(version)
            except GoneError:
                return
            short = short + 1 if version == before and time.monotonic() - began < SHORT else 0
            if short:
                self._closed.wait(min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(short, 6)))

    def _watch(self, version: str) -> str:
        """One watch, to its end; the version up to which all was told."""
        params = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(random.randint(SHORTEST_WATCH, LONGEST_WATCH)),
        }
        self._stream = self._api.watch(self._resource.path, params, SILENCE)
        try:
            if self._closed.is_set() or self._again.is_set():
                self._stream.close()
            for line in self._stream.lines():
                event = read_event(self._resource, line)
                version = event.version
                if not isinstance(event, Bookmark):
                    self._report(Changed(self._resource, event.key, event.value))
        except UnreachableError:
            # Cut, or silent: the next watch begins behind what was told, or fails and is a failure then.
            pass
        finally:
            self._stream = None
        return version
