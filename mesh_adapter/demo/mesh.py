"""The demo's mesh as processes: control plane, services, Envoys, client. Brings them up, kills one, ends them all."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import attrs

from mesh_adapter.demo import documents
from mesh_adapter.demo.children import ChildDiedError, Children, Command
from mesh_adapter.demo.folder import Folder, write
from mesh_adapter.demo.probe import Probe, until
from mesh_adapter.demo.topology import CALLS, ENTRY, LOOPBACK, Instance, Topology, client_sidecar, host, sidecar
from mesh_adapter.demo.traffic import Traffic
from pilot.sidecar.bootstrap import bootstrap
from pilot.sidecar.settings import SidecarSettings

CONTROL_PLANE = "control-plane"
CLIENT = "client"
CLIENT_ENVOY = "client-envoy"
START_TAKES_AT_MOST = 40.0
FIRST_ANSWERS = 20
_MAIN = "from mesh_adapter.cli import main; main()"

T = TypeVar("T")


@attrs.frozen
class Mesh:
    """What is running, and where."""

    topology: Topology
    folder: Folder
    envoy: Path
    children: Children
    probe: Probe
    traffic: Traffic

    async def start(self, weights: dict[str, int], say: Callable[[str], None]) -> None:
        """Returns when requests are answered. Raises NotInTimeError or OSError."""
        write(self.folder.services, documents.services(self.topology))
        write(self.folder.rules, documents.rules(weights))
        say("starting the control plane and seven services")
        await self.children.start(self._control_plane())
        for instance in self.topology.instances:
            await self.children.start(_service(instance))
        await until(self.probe.control_plane_ready, "control plane ready", START_TAKES_AT_MOST)
        say("starting eight Envoys: one beside each service, one beside the client")
        for instance in self.topology.instances:
            await self.children.start(self._envoy(instance.envoy, sidecar(self.topology, instance)))
        await self.children.start(self._envoy(CLIENT_ENVOY, client_sidecar(self.topology)))
        await until(self._envoys_live, "Envoys live", START_TAKES_AT_MOST)
        await self._start_client()
        await until(self._answered, "requests answered without an error", START_TAKES_AT_MOST)

    async def stop(self) -> None:
        """The client first, so that no request fails on the way; Envoys before the control plane they hold on to."""
        envoys = (each.envoy for each in self.topology.instances)
        await self.children.stop((CLIENT, CLIENT_ENVOY, *envoys))

    def kill(self, instance: Instance) -> None:
        """As the crash of its machine: the service and the Envoy beside it."""
        self.children.kill(instance.name)
        self.children.kill(instance.envoy)

    async def unless_one_dies(self, work: Coroutine[Any, Any, T]) -> T:
        """The work's result. Raises ChildDiedError as soon as a child ends unasked."""
        doing = asyncio.ensure_future(work)
        dying = asyncio.ensure_future(self.children.deaths.get())
        try:
            await asyncio.wait((doing, dying), return_when=asyncio.FIRST_COMPLETED)
            if dying.done():
                raise ChildDiedError(str(dying.result()))
            return doing.result()
        finally:
            for task in (doing, dying):
                task.cancel()
            await asyncio.wait((doing, dying))

    async def _envoys_live(self) -> bool:
        ports = (each.admin_port for each in self.topology.instances)
        return await self.probe.envoys_live((*ports, self.topology.client_admin_port))

    async def _start_client(self) -> None:
        client = await self.children.start(_client(self.topology, self.traffic.rate))
        if client.process.stdout is not None:
            client.reader = asyncio.create_task(self.traffic.read(client.process.stdout))

    async def _answered(self) -> bool:
        recent = self.traffic.recent(1.0)
        return len(recent) >= FIRST_ANSWERS and not any(each.error for each in recent)

    def _control_plane(self) -> Command:
        addresses = {
            "--xds-addr": f"{LOOPBACK}:{self.topology.xds_port}",
            "--http-addr": f"{LOOPBACK}:{self.topology.http_port}",
            "--components": "pilot",
        }
        inputs = {"--static-file": self.folder.services.parent, "--config": self.folder.rules.parent}
        options = (str(each) for pair in (addresses | inputs).items() for each in pair)
        return Command(CONTROL_PLANE, (sys.executable, "-c", _MAIN, "start", "--platform", "static", *options))

    def _envoy(self, name: str, settings: SidecarSettings) -> Command:
        """Without a hot restart Envoys share no memory: any number of them run on one host."""
        path = self.folder.proxies / f"{name}.json"
        write(path, json.dumps(bootstrap(settings), indent=2) + "\n")
        fixed = ("--disable-hot-restart", "--concurrency", "1", "--log-level", "warning")
        return Command(name, (str(self.envoy), "--config-path", str(path), *fixed))


def _service(instance: Instance) -> Command:
    called = CALLS[instance.service]
    options = {
        "--service": instance.service,
        "--version": instance.version,
        "--instance": instance.name,
        "--port": str(instance.port),
        **({"--calls": host(called), "--via": str(instance.outbound_port)} if called else {}),
    }
    flat = (each for pair in options.items() for each in pair)
    return Command(instance.name, (sys.executable, "-m", "mesh_adapter.demo.service", *flat))


def _client(topology: Topology, rate: float) -> Command:
    options = ("--host", host(ENTRY), "--via", str(topology.client_outbound_port), "--rate", str(rate))
    return Command(CLIENT, (sys.executable, "-m", "mesh_adapter.demo.client", *options), piped=True)
