"""A mesh of gRPC servers in a static file, and gRPC's own xDS client: no Envoy anywhere.

The servers run in the test's process and answer with their names. `FAIL` in a call's metadata names the instance that
is to answer UNAVAILABLE.
"""

from __future__ import annotations

import collections
import contextlib
import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import yaml

from tests.e2e.world import COMMAND, DEADLINE, LOOPBACK, eventually
from tests.servers.http import call
from tests.servers.ports import free_port, free_ports
from tests.servers.process import Process

HOST = "echo.service.consul"
TARGET = f"xds:///{HOST}:80"
METHOD = "/echo.Echo/Who"
TIMEOUT = 15.0
FAIL = "fail"


class Instance:
    """One server, and how the static file tells of it."""

    def __init__(self, name: str, version: str, weight: int = 1) -> None:
        self.name, self.version, self.weight = name, version, weight
        self.port = free_port()
        self.calls = 0
        methods = {"Who": grpc.unary_unary_rpc_method_handler(self._who)}
        handlers = [grpc.method_handlers_generic_handler("echo.Echo", methods)]
        self.server = grpc.server(ThreadPoolExecutor(4), handlers=handlers)
        assert self.server.add_insecure_port(f"{LOOPBACK}:{self.port}")
        self.server.start()

    def _who(self, _: bytes, context: grpc.ServicerContext) -> bytes:
        self.calls += 1
        if (FAIL, self.name) in context.invocation_metadata():
            context.abort(grpc.StatusCode.UNAVAILABLE, "as asked")
        return self.name.encode()

    def endpoint(self) -> dict[str, Any]:
        labels = {"version": self.version}
        return {"address": LOOPBACK, "port": self.port, "labels": labels, "weight": self.weight}


class GrpcMesh:
    """The control plane with that file and a directory of rules."""

    def __init__(self, folder: Path) -> None:
        self.config, self.services = folder / "config", folder / "services.yaml"
        self.config.mkdir()
        self.instances: list[Instance] = []
        self.xds_port, self.http_port = free_ports(2)
        self.tell()
        sources = ("--static-file", str(self.services), "--config", str(self.config))
        addresses = ("--xds-addr", f"{LOOPBACK}:{self.xds_port}", "--http-addr", f"{LOOPBACK}:{self.http_port}")
        self.process = Process("control-plane", [COMMAND, "start", *sources, *addresses], folder=folder)

    def start(self) -> None:
        self.process.start()
        self.process.wait_until(lambda: self.page("/readyz").strip() == "ready", "ready", seconds=DEADLINE)

    def page(self, path: str) -> str:
        return call("GET", f"http://{LOOPBACK}:{self.http_port}{path}").text

    @property
    def log(self) -> str:
        return self.process.log.read_text(encoding="utf-8")

    def have(self, *instances: Instance) -> None:
        """These are the instances from now on."""
        self.instances = list(instances)
        self.tell()

    def tell(self) -> None:
        ports = [{"name": "grpc", "port": 80}]
        service = {"name": HOST, "ports": ports, "endpoints": [each.endpoint() for each in self.instances]}
        self._write(self.services, yaml.safe_dump({"services": [service]}))

    def rule(self, text: str) -> None:
        """The only configuration from now on; what it does to calls is to be waited for."""
        self._write(self.config / "rule.yaml", text)

    def _write(self, path: Path, text: str) -> None:
        """At once, as the reference tells operators to."""
        beside = path.with_name(f".{path.name}")
        beside.write_text(text, encoding="utf-8")
        beside.rename(path)

    def bootstrap(self, metadata: Mapping[str, Any]) -> str:
        """What gRPC reads of its environment."""
        credentials = [{"type": "insecure"}]
        server = {"server_uri": f"{LOOPBACK}:{self.xds_port}", "channel_creds": credentials}
        node = {"id": "caller", "metadata": dict(metadata)}
        return json.dumps({"xds_servers": [{**server, "server_features": ["xds_v3"]}], "node": node})


class Caller:
    """One channel to the service."""

    def __init__(self, target: str = TARGET) -> None:
        self.channel = grpc.insecure_channel(target)
        self._who = self.channel.unary_unary(METHOD)

    def who(self, metadata: Mapping[str, str] | None = None, timeout: float = TIMEOUT) -> str:
        answer: bytes = self._who(b"", timeout=timeout, metadata=tuple((metadata or {}).items()), wait_for_ready=False)
        return answer.decode()

    def status(self, metadata: Mapping[str, str] | None = None, timeout: float = TIMEOUT) -> grpc.StatusCode:
        """The status of one call."""
        try:
            self.who(metadata, timeout)
        except grpc.RpcError as error:
            found: grpc.StatusCode = error.code()
            return found
        return grpc.StatusCode.OK

    def shares(self, count: int, metadata: Mapping[str, str] | None = None) -> collections.Counter[str]:
        return collections.Counter(self.who(metadata) for _ in range(count))

    def wait_served_by(self, *names: str, metadata: Mapping[str, str] | None = None) -> None:
        """Until exactly these answer, of 40 calls in a row."""

        def served() -> bool:
            with contextlib.suppress(grpc.RpcError):
                return set(self.shares(40, metadata)) == set(names)
            return False

        eventually(served, f"served by {', '.join(names)}")


@contextlib.contextmanager
def calling(target: str = TARGET) -> Iterator[Caller]:
    caller = Caller(target)
    try:
        yield caller
    finally:
        caller.channel.close()
