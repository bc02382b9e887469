"""A Consul in this process: its API as far as the platform uses it, with blocking queries, and faults on order.

The contract suite and unit tests use it for what a real Consul does not do when asked: early answers, an index that
goes back, 429, a shorter list for a lesser token. What Consul itself does is tested against Consul itself, in
tests/integration.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import attrs

from tests.contract.cutting_server import CuttableHandler, CuttingServer

NODES, SERVICES, CHECKS = "nodes", "services", "checks"
LONGEST_WAIT = 30.0

Fault = Callable[[str, Mapping[str, str]], "Reply | None"]


@attrs.frozen
class Reply:
    """An answer that a fault puts in the place of the right one."""

    status: int
    body: str = ""
    headers: Mapping[str, str] = attrs.field(factory=dict)


@attrs.define
class Registered:
    """One instance: its entry, and its checks by ID."""

    node: str
    service: dict[str, Any]
    checks: dict[str, dict[str, Any]]


class ConsulServer:
    """State and server. Every change moves the index as Consul's would, and wakes the queries that wait for it."""

    def __init__(self, datacenter: str = "dc1") -> None:
        self.datacenter = datacenter
        self.datacenters: Sequence[str] = (datacenter,)
        self.remotes: dict[str, ConsulServer] = {}
        """Datacenters that are reached through this one."""
        self.filtered = False
        self.fault: Fault | None = None
        self.requests: list[str] = []
        self.index = 10
        self._tables = {NODES: 10, SERVICES: 10, CHECKS: 10}
        self._nodes: dict[str, dict[str, Any]] = {}
        self._instances: dict[tuple[str, str], Registered] = {}
        self._changed = threading.Condition(threading.RLock())
        self._early = 0
        self._ended = False
        self._server: CuttingServer[ConsulServer] | None = None
        self._port = 0
        self.add_node("n1", "10.9.9.1")

    # Running it

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Listen, on the same port as before if there was one."""
        server = CuttingServer(self._port, _Handler, self)
        self._port = server.server_port
        self._server = server
        self._ended = False
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        """Cut all connections and stop listening; data stay."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()
            server.cut_all()
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    @property
    def running(self) -> bool:
        return self._server is not None

    def connections(self) -> int:
        """Connections that are open now."""
        return len(self._server.open) if self._server else 0

    # Changing it

    def add_node(self, name: str, address: str, **more: object) -> None:
        with self._changed:
            self._nodes[name] = {"Node": name, "Address": address, "Datacenter": self.datacenter} | more
            self._move(NODES)

    def register(
        self,
        name: str,
        identity: str,
        address: str,
        *,
        port: int = 8080,
        node: str = "n1",
        tags: Sequence[str] = (),
        meta: Mapping[str, str] | None = None,
        status: str | None = "passing",
        **more: object,
    ) -> None:
        """An instance with one check, or none if `status` is None. `more` are fields of the service."""
        with self._changed:
            service = {
                "ID": identity,
                "Service": name,
                "Tags": list(tags),
                "Address": address,
                "Port": port,
                "Meta": dict(meta or {}),
                "Weights": {"Passing": 1, "Warning": 1},
            } | more
            key = (node, identity)
            checks = {} if status is None else {f"check-{identity}": self._check(name, identity, node, status)}
            had_checks = key in self._instances and bool(self._instances[key].checks)
            self._move(SERVICES, *([CHECKS] if checks or had_checks else []))
            service["ModifyIndex"] = self.index
            for check in checks.values():
                check["ModifyIndex"] = self.index
            self._instances[key] = Registered(node, service, checks)

    def deregister(self, identity: str, node: str = "n1") -> None:
        with self._changed:
            gone = self._instances.pop((node, identity))
            self._move(SERVICES, *([CHECKS] if gone.checks else []))

    def check(self, identity: str, status: str, node: str = "n1", check: str = "") -> None:
        """Set a check of the instance; its own unless another ID is given."""
        with self._changed:
            instance = self._instances[node, identity]
            name = check or f"check-{identity}"
            self._move(CHECKS)
            made = self._check(instance.service["Service"], identity, node, status)
            instance.checks[name] = made | {"CheckID": name, "ModifyIndex": self.index}

    def forget(self, restarted: bool = False) -> None:
        """Lose all instances; if it restarted, the index begins anew as well."""
        with self._changed:
            self._instances.clear()
            if restarted:
                self.index = 2
                self._tables = dict.fromkeys(self._tables, 2)
                self._changed.notify_all()
            else:
                self._move(SERVICES, CHECKS)

    def answer_early(self) -> None:
        """Answer all waiting queries although nothing changed."""
        with self._changed:
            self._early += 1
            self._changed.notify_all()

    def write_elsewhere(self, count: int = 1) -> None:
        """Writes that concern no instance: key/value, sessions."""
        with self._changed:
            self.index += count

    # Answering

    def wait(self, table: str, index: int, seconds: float) -> None:
        with self._changed:
            early = self._early
            self._changed.wait_for(lambda: self._tables[table] > index or self._early != early or self._ended, seconds)

    def answer(self, path: str) -> tuple[object, str]:
        """The body for a path, and the table that its index is of."""
        with self._changed:
            self.requests.append(path)
            for prefix, reply in (
                ("/v1/catalog/node-services/", self._node_services),
                ("/v1/health/service/", self._health_service),
            ):
                if path.startswith(prefix):
                    return reply(path.removeprefix(prefix)), SERVICES
            match path:
                case "/v1/catalog/nodes":
                    return list(self._nodes.values()), NODES
                case "/v1/catalog/services":
                    return self._catalog_services(), SERVICES
                case "/v1/health/state/any":
                    return [c for key in sorted(self._instances) for c in self._instances[key].checks.values()], CHECKS
                case "/v1/health/state/critical":
                    every = [c for key in sorted(self._instances) for c in self._instances[key].checks.values()]
                    return [check for check in every if check["Status"] == "critical"], CHECKS
                case "/v1/catalog/datacenters":
                    return list(self.datacenters), NODES
                case "/v1/agent/self":
                    return {"Config": {"Datacenter": self.datacenter}}, NODES
            raise KeyError(path)

    def table_index(self, table: str) -> int:
        return self._tables[table]

    def _catalog_services(self) -> dict[str, list[str]]:
        found: dict[str, set[str]] = {"consul": set()}
        for instance in self._instances.values():
            found.setdefault(instance.service["Service"], set()).update(instance.service["Tags"])
        return {name: sorted(found[name]) for name in sorted(found)}

    def _health_service(self, name: str) -> list[dict[str, Any]]:
        return [
            {"Node": self._nodes[i.node], "Service": i.service, "Checks": list(i.checks.values())}
            for _, i in sorted(self._instances.items())
            if i.service["Service"] == name
        ]

    def _node_services(self, node: str) -> dict[str, Any]:
        listed = [i.service for _, i in sorted(self._instances.items()) if i.node == node]
        return {"Node": self._nodes[node], "Services": listed}

    def _check(self, name: str, identity: str, node: str, status: str) -> dict[str, Any]:
        return {
            "Node": node,
            "CheckID": f"check-{identity}",
            "Status": status,
            "ServiceID": identity,
            "ServiceName": name,
        }

    def _move(self, *tables: str) -> None:
        self.index += 1
        for table in tables:
            self._tables[table] = self.index
        self._changed.notify_all()


class _Handler(CuttableHandler):
    server: CuttingServer[ConsulServer]

    def do_GET(self) -> None:  # noqa: N802 - http.server's own name
        parts = urlsplit(self.path)
        path, query = unquote(parts.path), {key: values[0] for key, values in parse_qs(parts.query).items()}
        consul = self.server.owner
        if query.get("dc", consul.datacenter) != consul.datacenter:
            found_remote = consul.remotes.get(query["dc"])
            if found_remote is None:
                self._send(500, "No path to datacenter", {})
                return
            consul = found_remote
        fault = consul.fault(path, query | {"token": self.headers.get("X-Consul-Token", "")}) if consul.fault else None
        if fault is not None:
            self._send(fault.status, fault.body, fault.headers)
            return
        table = consul.answer(path)[1]
        if int(query.get("index", "0")) > 0:
            consul.wait(table, int(query["index"]), min(LONGEST_WAIT, float(query["wait"].removesuffix("s"))))
        if not self.server.owner.running:
            self.close_connection = True
            return
        found, table = consul.answer(path)
        headers = {"X-Consul-Index": str(consul.table_index(table)), "X-Consul-KnownLeader": "true"}
        if consul.filtered:
            headers["X-Consul-Results-Filtered-By-ACLs"] = "true"
        self._send(200, json.dumps(found, separators=(",", ":")), headers)

    def _send(self, status: int, text: str, headers: Mapping[str, str]) -> None:
        body = text.encode()
        lines = [f"HTTP/1.1 {status} -", f"Content-Length: {len(body)}", *(f"{k}: {v}" for k, v in headers.items())]
        self.wfile.write("\r\n".join([*lines, "", ""]).encode() + body)
