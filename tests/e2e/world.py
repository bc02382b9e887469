"""A whole mesh on loopback: a real Consul, the real control plane, real Envoys, workloads; all children of the test.

`Mesh` starts what it is asked for on free ports and ends it at last. Tests wait for conditions with `eventually`, never
for time to pass; what they expect of traffic they count at the workloads.
"""

from __future__ import annotations

import collections
import contextlib
import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import yaml

from tests.e2e.traffic import Connection, Load, Reply, batch
from tests.servers.binaries import require
from tests.servers.consul import Consul
from tests.servers.http import call
from tests.servers.ports import free_port, free_ports
from tests.servers.process import Process

LOOPBACK = "127.0.0.1"
COMMAND = str(Path(sys.executable).with_name("mesh-adapter"))
SERVICE = str(Path(__file__).with_name("service.py"))
DEADLINE = 30.0
POLL_EVERY = 0.02


def eventually(condition: Callable[[], bool], what: str, *, seconds: float = DEADLINE) -> None:
    """Poll until it holds; AssertionError after `seconds`. One that raises OSError does not hold yet."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            if condition():
                return
        time.sleep(POLL_EVERY)
    raise AssertionError(f"not {what} after {seconds:g} s")


def mesh_adapter(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs the command to its end."""
    return subprocess.run([COMMAND, *arguments], check=False, capture_output=True, text=True, timeout=DEADLINE)


def host(service: str) -> str:
    """The name that a service of Consul goes by in the mesh."""
    return f"{service}.service.consul"


@dataclass
class Instance:
    """A workload, and how Consul knows it. `port` is its own; with a sidecar peers use the sidecar's instead."""

    service: str
    name: str
    port: int
    process: Process
    kind: str = "http"
    meta: dict[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    weight: int = 1
    sidecar: Sidecar | None = None

    @property
    def check(self) -> str:
        return f"check-{self.name}"

    def counts(self) -> collections.Counter[str]:
        """Requests that arrived, by path."""
        return collections.Counter(self._own("GET", "counts"))

    def count(self) -> int:
        """Requests that arrived."""
        return self.counts().total()

    def seen(self, path: str) -> list[dict[str, str]]:
        """The headers of the requests that arrived for `path`, in order."""
        found: list[dict[str, str]] = self._own("GET", f"seen?path={path}")
        return found

    def behave(self, **behaviour: object) -> None:
        """How to answer from now on: see `service.Behaviour`; nothing said is well and at once."""
        self._own("POST", "behave", behaviour)

    def _own(self, method: str, path: str, body: object = None) -> Any:
        return call(method, f"http://{LOOPBACK}:{self.port}/_service/{path}", body).json


class ControlPlane:
    """`mesh-adapter start` on ports that stay the same over restarts."""

    def __init__(self, folder: Path, consul_addr: str, config: Path, *options: str) -> None:
        self.xds_port, self.http_port = free_ports(2)
        arguments = ("--platform", "consul", "--consul-addr", f"http://{consul_addr}", "--config", str(config))
        addresses = ("--xds-addr", self.xds_addr, "--http-addr", self.http_addr)
        self.process = Process("control-plane", [COMMAND, "start", *arguments, *addresses, *options], folder=folder)

    @property
    def xds_addr(self) -> str:
        return f"{LOOPBACK}:{self.xds_port}"

    @property
    def http_addr(self) -> str:
        return f"{LOOPBACK}:{self.http_port}"

    @property
    def log(self) -> str:
        return self.process.log.read_text(encoding="utf-8")

    def start(self) -> None:
        """Returns when it is ready."""
        self.process.start()
        self.wait_ready()

    def wait_ready(self) -> None:
        self.process.wait_until(lambda: self.get("/readyz").strip() == "ready", "ready", seconds=DEADLINE)

    def get(self, path: str) -> str:
        """A page; RefusedError for one with an error's status."""
        return call("GET", f"http://{self.http_addr}{path}").text

    def debug(self, page: str) -> Any:
        """The JSON of /debug/`page`."""
        return json.loads(self.get(f"/debug/{page}"))

    def platform(self) -> Any:
        """How Consul is, as the control plane sees it."""
        (found,) = self.debug("platforms")
        return found

    def endpoints(self, service: str) -> set[str]:
        """`address:port` of a service's instances, all of them."""
        services = [each for each in self.debug("registryz") if each["host"] == host(service)]
        return {f"{e['address']}:{port}" for s in services for e in s["endpoints"] for port in e["ports"].values()}


class Proxy:
    """An Envoy of the mesh: as its workload uses it, by HTTP on its outbound port, and as its admin interface shows it.

    Subclasses say which process runs it.
    """

    process: Process

    def __init__(self, name: str) -> None:
        self.name = name
        self.admin_port, self.outbound_port = free_ports(2)

    def start(self) -> None:
        """Returns when Envoy has the configuration that it waits for."""
        self.process.start()
        self.process.wait_until(lambda: self.admin("/ready").strip() == "LIVE", "LIVE", seconds=DEADLINE)

    @property
    def admin_addr(self) -> str:
        return f"{LOOPBACK}:{self.admin_port}"

    def admin(self, path: str) -> str:
        """What Envoy's admin interface answers."""
        return call("GET", f"http://{self.admin_addr}{path}").text

    def stats(self) -> dict[str, int]:
        """Envoy's counters and gauges by name."""
        found = json.loads(self.admin("/stats?format=json"))["stats"]
        return {each["name"]: each["value"] for each in found if isinstance(each.get("value"), int)}

    def stat(self, name: str) -> int:
        """One of them; 0 for one that Envoy has not made yet."""
        return self.stats().get(name, 0)

    def get(
        self, service: str, path: str = "/", *, method: str = "GET", headers: Mapping[str, str] | None = None
    ) -> Reply:
        """One request through the mesh to a service, or to a host if the name has a dot."""
        name = service if "." in service else host(service)
        with contextlib.closing(Connection(self.outbound_port, name)) as connection:
            return connection.send(path, method, headers)

    def batch(self, service: str, count: int, *, connections: int = 4, path: str = "/") -> list[Reply]:
        """`count` requests through the mesh."""
        return batch(self.outbound_port, host(service), count, connections=connections, path=path)

    def shares(self, service: str, count: int, *, connections: int = 4) -> collections.Counter[str]:
        """Who answered `count` requests; AssertionError if one was not answered by 200."""
        replies = self.batch(service, count, connections=connections)
        bad = [reply for reply in replies if reply.status != 200]
        assert not bad, f"{len(bad)} of {count} requests failed, the first: {bad[0]}"
        return collections.Counter(reply.instance for reply in replies)

    def load(self, service: str) -> Load:
        """A load to start with `with`."""
        return Load(self.outbound_port, host(service))

    def wait_served_by(self, service: str, *instances: Instance) -> None:
        """Until exactly these take a service's requests, of 40 in a row."""
        wanted = {each.name for each in instances}

        def served() -> bool:
            return {reply.instance for reply in self.batch(service, 40, connections=1)} == wanted

        eventually(served, f"{service} served by {', '.join(sorted(wanted))} at {self.name}")


class Sidecar(Proxy):
    """`mesh-adapter sidecar`. `arguments` are its further options."""

    def __init__(self, folder: Path, name: str, xds_addr: str, *arguments: str) -> None:
        super().__init__(name)
        self.inbound_port, health_port = free_ports(2)
        ports = {"--inbound-port": self.inbound_port, "--health-port": health_port, "--metrics-port": 0}
        options = [word for option, port in ports.items() for word in (option, str(port))]
        fixed = ("--concurrency", "1", "--envoy", str(require("envoy")))
        command = [COMMAND, "sidecar", *common_options(self, xds_addr), *fixed, *options, *arguments]
        self.process = Process(f"sidecar-{name}", command, folder=folder)

    @property
    def log(self) -> str:
        return self.process.log.read_text(encoding="utf-8")


class OwnEnvoy(Proxy):
    """An Envoy that the operator runs, with what `mesh-adapter bootstrap` printed."""

    def __init__(self, folder: Path, name: str, xds_addr: str, *arguments: str) -> None:
        super().__init__(name)
        ports = ("--health-port", "0", "--metrics-port", "0")
        printed = mesh_adapter("bootstrap", *common_options(self, xds_addr), "--service", name, *ports, *arguments)
        config = folder / f"{name}.json"
        config.write_text(printed.stdout, encoding="utf-8")
        command = [str(require("envoy")), "--config-path", str(config), "--disable-hot-restart", "--concurrency", "1"]
        self.process = Process(f"envoy-{name}", command, folder=folder)


def common_options(proxy: Proxy, xds_addr: str) -> tuple[str, ...]:
    """What `sidecar` and `bootstrap` are told of a proxy."""
    ports = ("--admin-port", str(proxy.admin_port), "--outbound-port", str(proxy.outbound_port))
    return ("--xds-addr", xds_addr, "--address", LOOPBACK, *ports)


class Mesh:
    """What a test builds its mesh with. Use as a context manager; all that was started ends with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "config"
        self.config.mkdir(parents=True)
        self.consul = Consul(folder / "consul")
        self._control: ControlPlane | None = None
        self._children: list[Process] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Children first, by SIGKILL: how they end in peace is a test's own concern."""
        for child in reversed(self._children):
            child.kill()
        self.consul.kill()

    @property
    def control(self) -> ControlPlane:
        assert self._control is not None, "the control plane was not made yet"
        return self._control

    def start(self, *options: str) -> ControlPlane:
        """Consul and the control plane, both ready."""
        self.consul.start()
        self.make_control(*options).start()
        return self.control

    def make_control(self, *options: str) -> ControlPlane:
        """The control plane, to be started by the test."""
        self._control = ControlPlane(self.folder, self.consul.http_addr, self.config, *options)
        self._children.append(self._control.process)
        return self._control

    def second_process(self, name: str, *options: str) -> Process:
        """`mesh-adapter start` on the same Consul and configuration, with other options; the test starts it."""
        told = ("--platform", "consul", "--consul-addr", f"http://{self.consul.http_addr}")
        command = [COMMAND, "start", *told, "--config", str(self.config), *options]
        process = Process(name, command, folder=self.folder)
        self._children.append(process)
        return process

    def write(self, name: str, text: str) -> Path:
        """A configuration document; replaces what the file held."""
        path = self.config / name
        path.write_text(text, encoding="utf-8")
        return path

    def apply(self, name: str, text: str) -> Path:
        """The same, returning when all of its objects are in force."""
        wanted = {(each["kind"], each["metadata"]["name"]) for each in yaml.safe_load_all(text)}
        path = self.write(name, text)

        def in_force() -> bool:
            there = [each for each in self.control.debug("configz") if each["origin"].startswith(f"{path}:")]
            return {(each["kind"], each["name"]) for each in there} == wanted

        eventually(in_force, f"{name} in force")
        return path

    def client(self, *arguments: str, name: str = "client") -> Sidecar:
        """A sidecar of a workload that only calls, LIVE."""
        return self._sidecar(name, "--service", name, *arguments)

    def own_envoy(self, name: str, *arguments: str) -> OwnEnvoy:
        """An Envoy that nothing of ours starts, LIVE."""
        found = OwnEnvoy(self.folder, name, self.control.xds_addr, *arguments)
        self._children.append(found.process)
        found.start()
        return found

    def instance(
        self,
        service: str,
        name: str = "",
        *,
        kind: str = "http",
        sidecar: bool = False,
        meta: Mapping[str, str] | None = None,
        tags: Iterable[str] = (),
        weight: int = 1,
        protocol: str | None = None,
        arguments: Iterable[str] = (),
    ) -> Instance:
        """A workload that runs and is registered; with a sidecar if asked for, which is given further `arguments`.

        An empty `protocol` leaves it to the bytes what the workload speaks.
        """
        found = self.workload(service, name, kind=kind)
        spoken = kind if protocol is None else protocol
        found.meta, found.tags, found.weight = {"protocol": spoken, **(meta or {})}, tuple(tags), weight
        if sidecar:
            port = ("--port", str(found.port), *(("--protocol", spoken) if spoken else ()), *arguments)
            found.sidecar = self._sidecar(found.name, "--service", service, "--instance", found.name, *port)
            found.meta["sidecar-port"] = str(found.sidecar.inbound_port)
        self.register(found)
        return found

    def workload(self, service: str, name: str = "", *, kind: str = "http", address: str = LOOPBACK) -> Instance:
        """A workload that runs and that nobody knows of yet, listening on loopback or (0.0.0.0) there as well."""
        port = free_port()
        command = [sys.executable, SERVICE, name or service, str(port), kind, address]
        process = Process(f"service-{name or service}", command, folder=self.folder)
        self._children.append(process)
        process.start()
        found = Instance(service, name or service, port, process, kind=kind)
        process.wait_until(lambda: _accepts(port), "listening", seconds=DEADLINE)
        return found

    def register(self, instance: Instance) -> None:
        """Tell Consul of it, or tell Consul of it anew; its check passes."""
        self.consul.put(
            "/v1/agent/service/register",
            {
                "ID": instance.name,
                "Name": instance.service,
                "Address": LOOPBACK,
                "Port": instance.port,
                "Meta": instance.meta,
                "Tags": list(instance.tags),
                "Weights": {"Passing": instance.weight, "Warning": 1},
                "Check": {"CheckID": instance.check, "TTL": "24h", "Status": "passing"},
            },
        )

    def deregister(self, instance: Instance) -> None:
        self.consul.put(f"/v1/agent/service/deregister/{instance.name}")

    def fail_check(self, instance: Instance) -> None:
        self.consul.put(f"/v1/agent/check/fail/{instance.check}")

    def pass_check(self, instance: Instance) -> None:
        self.consul.put(f"/v1/agent/check/pass/{instance.check}")

    def _sidecar(self, name: str, *arguments: str) -> Sidecar:
        found = Sidecar(self.folder, name, self.control.xds_addr, *arguments)
        self._children.append(found.process)
        found.start()
        return found


def _accepts(port: int) -> bool:
    with socket.create_connection((LOOPBACK, port), timeout=1):
        return True
