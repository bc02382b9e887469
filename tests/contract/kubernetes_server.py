"""A Kubernetes API server in this process: lists, watches and discovery, with faults on order.

The contract suites use it for what a real API server does not do when asked: history that is gone, a token
that ends, a listing that expires underway, nonsense. What Kubernetes itself does is tested against itself, in
tests/integration.
"""

from __future__ import annotations

import copy
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import attrs

Json = dict[str, Any]
CORE = "/api/v1"
TICK = 0.05


@attrs.frozen
class Happened:
    """A change in the server's history."""

    version: int
    collection: str
    kind: str
    object: Json


class KubernetesServer:
    """State and server. Collections go by their path, `/api/v1/services`; objects by namespace and name within them."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.tokens: set[str] | None = None
        """Those that are accepted; None accepts any, and none."""
        self.forbidden: set[str] = set()
        self.gone_in_stream = True
        """Whether history that is gone is told by an event in an answer of 200, or by a status of 410."""
        self.refused_continues = 0
        """So many requests for a further page are answered by 410."""
        self.overloaded = 0
        self.bookmarks = False
        self._objects: dict[str, dict[tuple[str, str], Json]] = {}
        self._history: list[Happened] = []
        self._version = 100
        self._oldest = 0
        self._changed = threading.Condition(threading.RLock())
        self._ended = False
        self._cuts = 0
        self._server: _Server | None = None
        self._port = 0

    # Running it

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Listen, on the same port as before if there was one."""
        server = _Server(("127.0.0.1", self._port), self)
        self._port = server.server_port
        self._server = server
        self._ended = False
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        """Cut all connections and stop listening; objects stay."""
        server, self._server = self._server, None
        if server is not None:
            with self._changed:
                self._ended = True
                self._changed.notify_all()
            server.shutdown()
            server.server_close()
            server.cut_all()

    @property
    def running(self) -> bool:
        return self._server is not None

    def kubeconfig(self, folder: Path, token: str = "", token_file: Path | None = None) -> str:
        """A file that leads here."""
        user = {"tokenFile": str(token_file)} if token_file else {"token": token} if token else {}
        path = folder / "kubeconfig"
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "fake", "cluster": {"server": self.url}}],
            "users": [{"name": "someone", "user": user}],
            "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "someone"}}],
            "current-context": "fake",
        }
        path.write_text(json.dumps(config))
        return str(path)

    # Changing it

    def define(self, collection: str) -> None:
        """Have the collection, perhaps empty; one that was never defined is answered by 404."""
        with self._changed:
            self._objects.setdefault(collection, {})

    def undefine(self, collection: str) -> None:
        with self._changed:
            self._objects.pop(collection, None)
            self._cuts += 1
            self._changed.notify_all()

    def put(self, collection: str, item: Json) -> None:
        """Create or replace an object."""
        with self._changed:
            objects = self._objects.setdefault(collection, {})
            item = copy.deepcopy(item)
            key = (item["metadata"].get("namespace", ""), item["metadata"].get("name", ""))
            kind = "MODIFIED" if key in objects else "ADDED"
            self._version += 1
            item["metadata"]["resourceVersion"] = str(self._version)
            objects[key] = item
            self._happen(collection, kind, item)

    def delete(self, collection: str, namespace: str, name: str) -> None:
        with self._changed:
            item = self._objects[collection].pop((namespace, name))
            self._version += 1
            item["metadata"]["resourceVersion"] = str(self._version)
            self._happen(collection, "DELETED", item)

    def get(self, collection: str, namespace: str, name: str) -> Json:
        return copy.deepcopy(self._objects[collection][namespace, name])

    def all(self, collection: str) -> list[Json]:
        with self._changed:
            return list(self._objects[collection].values())

    def forget(self) -> None:
        """Lose all objects without a word: as if it were restored from nothing."""
        with self._changed:
            for objects in self._objects.values():
                objects.clear()
            self.compact()

    def compact(self) -> None:
        """Lose the history, and end all watches, which then ask for what is gone."""
        with self._changed:
            self._version += 1
            self._oldest = self._version
            self._history.clear()
            self._cuts += 1
            self._changed.notify_all()

    def cut(self) -> None:
        """End all watches in an orderly manner."""
        with self._changed:
            self._cuts += 1
            self._changed.notify_all()

    def say(self, collection: str, event: Json) -> None:
        """Have the watches of a collection say this, whatever it is."""
        with self._changed:
            self._version += 1
            self._history.append(Happened(self._version, collection, "", event))
            self._changed.notify_all()

    def _happen(self, collection: str, kind: str, item: Json) -> None:
        self._history.append(Happened(self._version, collection, kind, copy.deepcopy(item)))
        self._changed.notify_all()

    # Answering

    def counted(self, text: str) -> int:
        """Requests so far whose path and query contain this."""
        return sum(text in request for request in self.requests)

    def find(self, path: str) -> tuple[str, str] | None:
        """The collection of a path, and the namespace it is narrowed to."""
        if path in self._objects:
            return path, ""
        head, separator, tail = path.partition("/namespaces/")
        namespace, _, plural = tail.partition("/")
        if separator and f"{head}/{plural}" in self._objects:
            return f"{head}/{plural}", namespace
        return None

    def listing(self, collection: str, namespace: str, query: Mapping[str, str]) -> tuple[int, Json]:
        with self._changed:
            if "continue" in query and self.refused_continues > 0:
                self.refused_continues -= 1
                return 410, status(410, "The provided continue parameter is too old")
            pairs = sorted(self._objects[collection].items())
            items = [item for (of, _), item in pairs if namespace in ("", of)]
            begin = int(query.get("continue", "0"))
            end = begin + int(query["limit"]) if "limit" in query else len(items)
            metadata = {"resourceVersion": str(self._version)}
            if end < len(items):
                metadata |= {"continue": str(end)}
            return 200, {"kind": "List", "metadata": metadata, "items": copy.deepcopy(items[begin:end])}

    def events(self, collection: str, namespace: str, since: int, bookmarks: bool) -> Iterator[Json]:
        """What a watch says, until it is ended."""
        cuts = self._cuts
        if since < self._oldest:
            yield {"type": "ERROR", "object": status(410, "too old resource version")}
            return
        while True:
            with self._changed:
                if not self._news(since):
                    self._changed.wait(TICK)
                news = self._news(since)
                if self._ended or self._cuts != cuts:
                    return
                version = self._version
            for each in news:
                since = each.version
                if each.collection == collection:
                    of = str(each.object.get("metadata", {}).get("namespace", ""))
                    if not each.kind:
                        yield each.object
                    elif namespace in ("", of):
                        yield {"type": each.kind, "object": each.object}
            if bookmarks and self.bookmarks:
                since = max(since, version) if not news else since
                yield {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": str(since)}}}

    def _news(self, since: int) -> list[Happened]:
        return [each for each in self._history if each.version > since]

    def discovery(self, path: str) -> Json | None:
        """The groups and resources that are defined, as /apis/GROUP and /apis/GROUP/VERSION say them."""
        with self._changed:
            defined = [each.split("/")[2:] for each in self._objects if each.startswith("/apis/")]
        words = path.split("/")[2:]
        if path.startswith("/apis/") and len(words) == 1:
            versions = sorted({version for group, version, _ in defined if group == words[0]})
            found = [{"groupVersion": f"{words[0]}/{version}", "version": version} for version in versions]
            return {"kind": "APIGroup", "name": words[0], "versions": found} if found else None
        if path.startswith("/apis/") and len(words) == 2:
            plurals = sorted(plural for group, version, plural in defined if [group, version] == words)
            resources = [{"name": each, "kind": KINDS.get(each, each), "namespaced": True} for each in plurals]
            return {"kind": "APIResourceList", "resources": resources} if resources else None
        return None


KINDS: dict[str, str] = {}
"""The kind behind a plural, for discovery."""


def status(code: int, message: str) -> Json:
    reasons = {401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 410: "Expired"}
    return {"kind": "Status", "code": code, "reason": reasons.get(code, ""), "message": message}


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], state: KubernetesServer) -> None:
        self.state = state
        self.open: set[socket.socket] = set()
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.open.discard(request)
        super().shutdown_request(request)

    def cut_all(self) -> None:
        for each in list(self.open):
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - named so by its parent
        """Says nothing."""

    def do_GET(self) -> None:
        state = self.server.state
        parts = urlsplit(self.path)
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        state.requests.append(self.path)
        refusal = self._refusal(state, parts.path)
        if refusal is not None:
            return self._answer(*refusal)
        found = state.find(parts.path)
        if found is None:
            described = state.discovery(parts.path)
            return self._answer(200, described) if described else self._answer(404, status(404, "not found"))
        if query.get("watch") != "true":
            return self._answer(*state.listing(*found, query))
        since = int(query["resourceVersion"])
        if since < state._oldest and not state.gone_in_stream:
            return self._answer(410, status(410, "too old resource version"))
        self._stream(state.events(*found, since, query.get("allowWatchBookmarks") == "true"))
        return None

    def _refusal(self, state: KubernetesServer, path: str) -> tuple[int, Json] | None:
        token = self.headers.get("Authorization", "").partition(" ")[2]
        if state.tokens is not None and token not in state.tokens:
            return 401, status(401, "Unauthorized")
        if any(path.endswith(f"/{plural}") for plural in state.forbidden):
            return 403, status(403, f"user cannot list {path}")
        if state.overloaded > 0:
            state.overloaded -= 1
            return 429, status(429, "too many requests")
        return None

    def _answer(self, code: int, body: Json) -> None:
        data = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _stream(self, events: Iterator[Json]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for event in events:
            line = json.dumps(event).encode() + b"\n"
            self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
        self.wfile.write(b"0\r\n\r\n")
