"""One service with instances on Consul, Nomad, Kubernetes and in a static file at once.

The registries are real; the workloads are processes of the test, so that a registry can die without them and with them.
Nomad registers its workload by a job whose task only holds the port, Kubernetes by an EndpointSlice with this host's
address, since it takes no loopback.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest
import yaml

from pilot.sidecar.address import own_address
from tests.contract.kubernetes_objects import endpoint, endpoint_slice, service
from tests.e2e.traffic import Load
from tests.e2e.world import LOOPBACK, Instance, Mesh, Sidecar, eventually, mesh_adapter
from tests.servers.kube_apiserver import KubeApiserver
from tests.servers.kube_objects import apply
from tests.servers.nomad import Nomad

pytestmark = pytest.mark.e2e

SERVICE = "everywhere"
PLATFORMS = ("consul", "nomad", "kubernetes", "static")
TAKEN_OVER = 1.0
"""Seconds within which the others have taken over."""


@attrs.frozen
class Everywhere:
    """The mesh, its four registries, and a workload that each of them tells of."""

    mesh: Mesh
    nomad: Nomad
    kubernetes: KubeApiserver
    static_file: Path
    instances: Mapping[str, Instance]
    client: Sidecar

    def states(self) -> dict[str, str]:
        return {each["name"]: each["state"] for each in self.mesh.control.debug("platforms")}

    def kill(self, platform: str) -> None:
        """The registry alone, at once."""
        if platform == "static":
            self.static_file.unlink()
        else:
            {"consul": self.mesh.consul, "nomad": self.nomad, "kubernetes": self.kubernetes}[platform].kill()

    def restore(self) -> None:
        """As at the beginning, whatever a test broke."""
        for instance in self.instances.values():
            if not instance.process.running:
                instance.process.start()
        if not self.mesh.consul.running:
            self.mesh.consul.start()
        self.mesh.register(self.instances["consul"])
        if not self.nomad.running:
            self.nomad.clear()
            self.nomad.start()
        self.nomad.run(job(self.instances["nomad"].port))
        if not self.kubernetes.running:
            self.kubernetes.start()
        self.static_file.write_text(static_document(self.instances["static"].port))
        eventually(lambda: set(self.states().values()) == {"SYNCED"}, "all are current", seconds=60)
        self.served_by(*PLATFORMS)

    def served_by(self, *platforms: str) -> None:
        self.client.wait_served_by(SERVICE, *(self.instances[each] for each in platforms))


def job(port: int) -> dict[str, Any]:
    """A job that has the workload's port from Nomad and registers it."""
    group = {
        "Name": "g",
        "Networks": [{"ReservedPorts": [{"Label": "http", "Value": port}]}],
        "Services": [{"Name": SERVICE, "PortLabel": "http", "Provider": "nomad", "Meta": {"protocol": "http"}}],
        "Tasks": [
            {
                "Name": "hold",
                "Driver": "raw_exec",
                "Config": {"command": "/bin/sleep", "args": ["3600"]},
                "Resources": {"CPU": 20, "MemoryMB": 16},
            }
        ],
    }
    return {"ID": SERVICE, "Datacenters": ["dc1"], "TaskGroups": [group]}


def static_document(port: int) -> str:
    told = {"name": "http", "port": 80, "protocol": "HTTP"}
    endpoints = [{"address": LOOPBACK, "port": port}]
    return yaml.safe_dump({"services": [{"name": SERVICE, "ports": [told], "endpoints": endpoints}]})


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Everywhere]:
    folder = tmp_path_factory.mktemp("everywhere")
    nomad, kubernetes = Nomad(folder / "nomad"), KubeApiserver(folder / "kubernetes")
    static_file, file = folder / "services.yaml", folder / "platforms.yaml"
    with Mesh(folder / "mesh") as mesh:
        instances = {
            name: mesh.workload(SERVICE, f"{SERVICE}-{name}", address="0.0.0.0" if name == "kubernetes" else LOOPBACK)
            for name in PLATFORMS
        }
        instances["consul"].meta = {"protocol": "http"}
        try:
            nomad.start()
            kubernetes.start()
            nomad.run(job(instances["nomad"].port))
            slice_ = endpoint_slice("one", SERVICE, [endpoint(own_address())], port=instances["kubernetes"].port)
            apply(kubernetes, service(SERVICE))
            apply(kubernetes, slice_)
            static_file.write_text(static_document(instances["static"].port))
            entries = [
                {"name": "nomad", "addr": nomad.http_addr},
                {"name": "kubernetes", "kubeconfig": str(kubernetes.kubeconfig)},
                {"name": "static", "file": str(static_file)},
            ]
            file.write_text(json.dumps({"platforms": entries}))
            mesh.start("--platforms-file", str(file))
            yield Everywhere(mesh, nomad, kubernetes, static_file, instances, mesh.client())
        finally:
            nomad.kill()
            kubernetes.kill()


@pytest.fixture
def everywhere(made: Everywhere) -> Everywhere:
    made.restore()
    return made


def wait_answered(load: Load, more: int) -> None:
    wanted = load.count + more
    eventually(lambda: load.count >= wanted, f"{more} more requests answered; failures: {load.failures[:3]}")


def test_requests_are_shared_out_over_all_four(everywhere: Everywhere) -> None:
    shares = everywhere.client.shares(SERVICE, 400, connections=1)
    assert {name: round(count / 100) for name, count in shares.items()} == {
        f"{SERVICE}-{name}": 1 for name in PLATFORMS
    }
    (found,) = [each for each in everywhere.mesh.control.debug("registryz") if each["host"].startswith(SERVICE)]
    assert found["host"] == f"{SERVICE}.service.consul"
    assert set(found["aliases"]) == {
        SERVICE,
        f"{SERVICE}.default.service.nomad",
        f"{SERVICE}.default.svc.cluster.local",
    }
    assert {each["platform"] for each in found["endpoints"]} == set(PLATFORMS)
    for host in (found["host"], *(alias for alias in found["aliases"] if "." in alias)):
        assert len({everywhere.client.get(f"{host}:80").instance for _ in range(16)}) == 4, host


@pytest.mark.parametrize("killed", PLATFORMS)
def test_a_platform_that_dies_with_its_workload_is_taken_over_by_the_others(
    everywhere: Everywhere, killed: str
) -> None:
    others = {f"{SERVICE}-{name}" for name in PLATFORMS if name != killed}
    with everywhere.client.load(SERVICE) as load:
        wait_answered(load, 100)
        everywhere.kill(killed)
        everywhere.instances[killed].process.kill()
        died = time.monotonic()
        before = load.answered.copy()
        eventually(lambda: all(load.answered[name] > before[name] + 20 for name in others), "the others take over")
        assert time.monotonic() - died < TAKEN_OVER
    # A request that the dying workload had in hand is lost: it may have been carried out, so it is not repeated.
    assert len(load.failures) <= load.threads, load.failures


def test_none_is_withdrawn_by_an_outage_of_its_registry_alone(everywhere: Everywhere) -> None:
    with everywhere.client.load(SERVICE) as load:
        for platform in PLATFORMS:
            everywhere.kill(platform)
        eventually(lambda: set(everywhere.states().values()) == {"STALE"}, "all stale")
        wait_answered(load, 400)
        everywhere.served_by(*PLATFORMS)
        told = mesh_adapter("platforms", "--http-addr", everywhere.mesh.control.http_addr)
        assert (told.returncode, told.stdout.count("STALE")) == (1, 4)
    assert load.failures == []
