"""A Nomad in this process: its API as far as the platform uses it, with the event stream, and faults on order.

The contract suite, unit tests and the benchmark use it for what a real Nomad does not do when asked: events that are
lost, an index that goes back, a stream that says nothing, a denial after 200. What Nomad itself does is tested against
Nomad itself, in tests/integration.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import attrs

from tests.contract.cutting_server import CuttableHandler, CuttingServer

BUFFERED = 100
"""Events that Nomad keeps by default (event_buffer_size)."""
ALLOCATIONS, NODES, SERVICES = "allocations", "nodes", "services"

Fault = Callable[[str, Mapping[str, str]], "Reply | None"]
Json = dict[str, Any]


@attrs.frozen
class Reply:
    """An answer that a fault puts in the place of the right one. A stream with status 200 ends behind the body."""

    status: int
    body: str = ""
    headers: Mapping[str, str] = attrs.field(factory=dict)


class NomadServer:
    """State and server. Every change moves the index as Nomad's would, and is told to the streams."""

    def __init__(self, region: str = "global") -> None:
        self.region = region
        self.remotes: dict[str, NomadServer] = {}
        """Regions that are reached through this one."""
        self.fault: Fault | None = None
        self.requests: list[str] = []
        self.index = 10
        self.heartbeat = 30.0
        self.mute = False
        """Events get lost: changes happen, and streams hear nothing of them."""
        self.events: list[Json] = []
        self.published = 0
        """Events that were told since it was made."""
        self._tables = {ALLOCATIONS: 10, NODES: 10, SERVICES: 10}
        self.nodes: dict[str, Json] = {}
        self.jobs: dict[tuple[str, str], list[Json]] = {}
        self.allocations: dict[str, Json] = {}
        self.registrations: dict[str, Json] = {}
        self.checks: dict[str, dict[str, Json]] = {}
        self._changed = threading.Condition(threading.RLock())
        self._generation = 0
        self._server: CuttingServer[NomadServer] | None = None
        self._port = 0
        self.add_node("n1")

    # Running it

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def running(self) -> bool:
        return self._server is not None

    def start(self) -> None:
        """Listen, on the same port as before if there was one."""
        server = CuttingServer(self._port, _Handler, self)
        self._port = server.server_port
        self._server = server
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        """Cut all connections and stop listening; data stay, and the buffer of events does not."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()
            server.cut_all()
            self.events.clear()
            self.end_streams()

    def end_streams(self) -> None:
        """Close all streams, as after the change of a token."""
        with self._changed:
            self._generation += 1
            self._changed.notify_all()

    def connections(self) -> int:
        """Connections that are open now."""
        return len(self._server.open) if self._server else 0

    # Changing it

    def add_node(self, identity: str, *, status: str = "ready", node_class: str = "", **more: object) -> None:
        with self._changed:
            self.nodes[identity] = {
                "ID": identity,
                "Name": f"node-{identity}",
                "Datacenter": "dc1",
                "Status": status,
                "NodeClass": node_class,
            } | more
            self._move("Node", "NodeRegistration", identity, "", {"Node": self.nodes[identity]}, NODES)

    def submit(
        self,
        job: str,
        service: str,
        *,
        namespace: str = "default",
        meta: Mapping[str, str] | None = None,
        canary_meta: Mapping[str, str] | None = None,
        checks: int = 0,
        **more: object,
    ) -> None:
        """A new version of a job with one service."""
        with self._changed:
            versions = self.jobs.setdefault((namespace, job), [])
            declared = {
                "Name": service,
                "Provider": "nomad",
                "Meta": dict(meta or {}),
                "CanaryMeta": dict(canary_meta or {}),
                "Checks": [{"Name": f"c{number}"} for number in range(checks)],
            }
            made = {
                "ID": job,
                "Namespace": namespace,
                "Version": len(versions),
                "JobModifyIndex": self.index + 1,
                "Region": self.region,
                "TaskGroups": [{"Name": "g", "Services": [declared], "Tasks": []}],
            } | more
            versions.append(made)
            self._move("Job", "JobRegistered", job, namespace, {"Job": made})

    def register(
        self,
        name: str,
        alloc: str,
        address: str,
        *,
        port: int = 8080,
        namespace: str = "default",
        tags: Sequence[str] = (),
        job: str = "",
        node: str = "n1",
        status: str | None = "success",
        **more: object,
    ) -> None:
        """An instance that runs, with one check or none if `status` is None. `more` are fields of the allocation."""
        job = job or name
        with self._changed:
            if (namespace, job) not in self.jobs:
                self.submit(job, name, namespace=namespace, checks=0 if status is None else 1)
            self.allocate(alloc, job, namespace=namespace, node=node, **more)
            if status is not None:
                self.checks[alloc] = {"c": {"ID": "c", "Service": name, "Status": status, "Check": "c"}}
            identity = registration_id(name, alloc)
            made = {
                "ID": identity,
                "ServiceName": name,
                "Namespace": namespace,
                "AllocID": alloc,
                "JobID": job,
                "NodeID": node,
                "Datacenter": "dc1",
                "Address": address,
                "Port": port,
                "Tags": list(tags),
            }
            self.registrations[identity] = made
            self._move("Service", "ServiceRegistration", identity, namespace, {"Service": made}, SERVICES)

    def allocate(self, alloc: str, job: str, *, namespace: str = "default", node: str = "n1", **more: object) -> None:
        """An allocation is made, or is another."""
        with self._changed:
            before = self.allocations.get(alloc) or {
                "ID": alloc,
                "Namespace": namespace,
                "JobID": job,
                "JobVersion": len(self.jobs.get((namespace, job), [0])) - 1,
                "TaskGroup": "g",
                "NodeID": node,
                "ClientStatus": "running",
                "DesiredStatus": "run",
                "AllocModifyIndex": self.index + 1,
            }
            self.allocations[alloc] = before | more
            told = {key: value for key, value in self.allocations[alloc].items() if key != "JobVersion"}
            self._move("Allocation", "AllocationUpdated", alloc, namespace, {"Allocation": told}, ALLOCATIONS)

    def deregister(self, name: str, alloc: str, ends: bool = True) -> None:
        """The registration is taken away; its allocation ends with it, or lives on."""
        with self._changed:
            there = self.allocations[alloc]
            if ends:
                self.allocate(alloc, there["JobID"], namespace=there["Namespace"], DesiredStatus="stop")
            identity = registration_id(name, alloc)
            gone = self.registrations.pop(identity)
            self._move("Service", "ServiceDeregistration", identity, gone["Namespace"], {"Service": gone}, SERVICES)
            if ends:
                self.allocate(alloc, there["JobID"], namespace=there["Namespace"], ClientStatus="complete")

    def check(self, alloc: str, status: str) -> None:
        """The result of the allocation's check; no event tells of it."""
        self.checks[alloc]["c"]["Status"] = status

    def forget(self, restarted: bool = False) -> None:
        """Lose all that runs; if it restarted, the index begins anew as well, and streams end."""
        with self._changed:
            self.registrations.clear()
            self.allocations.clear()
            self.jobs.clear()
            if restarted:
                self.index = 2
                self._tables = dict.fromkeys(self._tables, 2)
                self.events.clear()
            self.end_streams()

    def tell(self, event: Mapping[str, Any]) -> None:
        """Put an event of the test's own into the streams."""
        with self._changed:
            self._publish(dict(event))

    # Answering

    def answer(self, path: str, namespace: str) -> tuple[object, int] | None:
        """The body for a path and its index; None for what there is not."""
        with self._changed:
            self.requests.append(path)
            match path.split("/")[2:]:
                case ["services"]:
                    return self._services(namespace), self._tables[SERVICES]
                case ["service", name]:
                    listed = [r for r in self._in(self.registrations, namespace) if r.get("ServiceName") == name]
                    return ([] if namespace == "*" else listed), self._tables[SERVICES]
                case ["allocations"]:
                    return self._in(self.allocations, namespace), self._tables[ALLOCATIONS]
                case ["nodes"]:
                    return list(self.nodes.values()), self._tables[NODES]
                case ["job", *job, "versions"]:
                    versions = self.jobs.get((namespace, "/".join(job)))
                    return None if versions is None else ({"Versions": versions[::-1]}, self.index)
                case ["client", "allocation", alloc, "checks"]:
                    return self.checks.get(alloc, {}), 0
                case ["regions"]:
                    return sorted({self.region, *self.remotes}), 0
                case ["agent", "self"]:
                    return {"config": {"Region": self.region}}, 0
        return None

    def wait_events(self, published: int, generation: int) -> tuple[list[Json], int, bool]:
        """Events behind that many, how many there were by now, and whether the stream goes on; [] for a heartbeat."""
        with self._changed:
            self._changed.wait_for(lambda: self.published > published or self._generation != generation, self.heartbeat)
            count = min(self.published - published, len(self.events))
            return self.events[len(self.events) - count :], self.published, self._generation == generation

    @property
    def generation(self) -> int:
        return self._generation

    def _services(self, namespace: str) -> list[Json]:
        found: dict[str, dict[str, set[str]]] = {}
        for registration in self._in(self.registrations, namespace):
            names = found.setdefault(registration["Namespace"], {})
            names.setdefault(registration["ServiceName"], set()).update(registration.get("Tags", ()))
        return [
            {"Namespace": space, "Services": [{"ServiceName": n, "Tags": sorted(t)} for n, t in sorted(names.items())]}
            for space, names in sorted(found.items())
        ]

    @staticmethod
    def _in(table: Mapping[str, Json], namespace: str) -> list[Json]:
        return [each for each in table.values() if namespace in ("*", each.get("Namespace"))]

    def _move(
        self, topic: str, kind: str, key: str, namespace: str, payload: Mapping[str, Any], table: str = ""
    ) -> None:
        self.index += 1
        if table:
            self._tables[table] = self.index
        event = {"Topic": topic, "Type": kind, "Key": key, "Namespace": namespace, "Index": self.index}
        self._publish(event | {"Payload": json.loads(json.dumps(payload))})

    def _publish(self, event: Json) -> None:
        if self.mute:
            return
        self.events.append(event)
        del self.events[:-BUFFERED]
        self.published += 1
        self._changed.notify_all()


def registration_id(name: str, alloc: str) -> str:
    """As Nomad's clients make it for a service of a group."""
    return f"_nomad-task-{alloc}-group-g-{name}-http"


class _Handler(CuttableHandler):
    server: CuttingServer[NomadServer]

    def do_GET(self) -> None:  # noqa: N802 - http.server's own name
        parts = urlsplit(self.path)
        path, values = unquote(parts.path), parse_qs(parts.query)
        query = {key: found[0] for key, found in values.items()}
        nomad = self.server.owner
        if query.get("region", nomad.region) != nomad.region:
            found_remote = nomad.remotes.get(query["region"])
            if found_remote is None:
                self._send(500, "No path to region", {})
                return
            nomad = found_remote
        seen = query | {"token": self.headers.get("X-Nomad-Token", ""), "topics": ",".join(values.get("topic", ()))}
        fault = nomad.fault(path, seen) if nomad.fault else None
        if fault is not None:
            self.close_connection = path == "/v1/event/stream"
            self._send(fault.status, fault.body, fault.headers)
        elif path == "/v1/event/stream":
            nomad.requests.append(path)
            self._stream(nomad, query, set(values.get("topic", ())))
        else:
            self._answer(nomad, path, query.get("namespace", "default"))

    def _answer(self, nomad: NomadServer, path: str, namespace: str) -> None:
        found = nomad.answer(path, namespace)
        if found is None:
            self._send(404, "not found", {})
            return
        body, index = found
        headers = {"X-Nomad-Index": str(index), "X-Nomad-KnownLeader": "true"} if index else {}
        self._send(200, json.dumps(body, separators=(",", ":")), headers)

    def _stream(self, nomad: NomadServer, query: Mapping[str, str], topics: set[str]) -> None:
        """A heartbeat at once, then what is buffered, then what happens: an array of events a line, as Nomad does."""
        self.close_connection = True
        generation, namespace = nomad.generation, query.get("namespace", "default")
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
        self._line({})
        published, goes_on = 0, True
        while goes_on:
            found, published, goes_on = nomad.wait_events(published, generation)
            wanted = [e for e in found if e["Topic"] in topics and namespace in ("*", e["Namespace"] or namespace)]
            if wanted:
                self._line({"Index": wanted[-1]["Index"], "Events": wanted})
            elif not found and goes_on:
                self._line({})
        self.wfile.write(b"0\r\n\r\n")

    def _line(self, line: object) -> None:
        data = json.dumps(line).encode() + b"\n"
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def _send(self, status: int, text: str, headers: Mapping[str, str]) -> None:
        body = text.encode()
        lines = [f"HTTP/1.1 {status} -", f"Content-Length: {len(body)}", *(f"{k}: {v}" for k, v in headers.items())]
        self.wfile.write("\r\n".join([*lines, "", ""]).encode() + body)


def wait_for(condition: Callable[[], bool], what: str, seconds: float = 10.0) -> None:
    """Until it holds; AssertionError with what was waited for."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not {what} after {seconds:g} s"
        time.sleep(0.005)
