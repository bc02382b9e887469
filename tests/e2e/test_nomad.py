"""Jobs of a real Nomad are called through an Envoy, and what Nomad does with them costs no request."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.traffic import Load, batch
from tests.e2e.world import COMMAND, DEADLINE, LOOPBACK, SERVICE, Sidecar, eventually
from tests.servers.http import call
from tests.servers.nomad import Nomad
from tests.servers.nomad_job import SECOND, http_job
from tests.servers.ports import free_ports
from tests.servers.process import Process

pytestmark = pytest.mark.e2e

SHOP, STOCK = "nomad-shop.default.service.nomad", "nomad-stock.default.service.nomad"
RULES = f"""
apiVersion: networking.istio.io/v1beta1
kind: DestinationRule
metadata: {{name: nomad-shop}}
spec:
  host: {SHOP}
  subsets: [{{name: stable, labels: {{canary: "false"}}}}, {{name: canary, labels: {{canary: "true"}}}}]
---
apiVersion: networking.istio.io/v1beta1
kind: VirtualService
metadata: {{name: nomad-shop}}
spec:
  hosts: [{SHOP}]
  http:
  - match: [{{uri: {{prefix: /next}}}}]
    route: [{{destination: {{host: {SHOP}, subset: canary}}}}]
  - route: [{{destination: {{host: {SHOP}, subset: stable}}}}]
"""


class World:
    """A Nomad of its own, a control plane that watches nothing else, and the sidecar of a caller on this host."""

    def __init__(self, folder: Path) -> None:
        self.nomad = Nomad(folder / "nomad")
        xds, http = free_ports(2)
        rules = folder / "rules"
        rules.mkdir()
        (rules / "shop.yaml").write_text(RULES, encoding="utf-8")
        self._http = f"{LOOPBACK}:{http}"
        watched = ("--platform", "nomad", "--nomad-addr", self.nomad.http_addr, "--nomad-check-interval", "0.2")
        addresses = ("--xds-addr", f"{LOOPBACK}:{xds}", "--http-addr", self._http, "--config", str(rules))
        self.control = Process("control-plane", [COMMAND, "start", *watched, *addresses], folder=folder)
        self.client = Sidecar(folder, "caller", f"{LOOPBACK}:{xds}", "--service", "caller")

    def start(self) -> None:
        self.nomad.start()
        self.control.start()
        self.control.wait_until(lambda: self.get("/readyz").strip() == "ready", "ready", seconds=DEADLINE)
        self.client.start()

    def end(self) -> None:
        self.client.process.kill()
        self.control.kill()
        self.nomad.kill()

    def get(self, path: str) -> str:
        return call("GET", f"http://{self._http}{path}").text

    def served_by(self, host: str, path: str = "/") -> set[str]:
        """The allocations that answer 20 requests; a request that fails counts as one that no allocation answers."""
        replies = batch(self.client.outbound_port, host, 20, connections=1, path=path)
        return {reply.instance if reply.status == 200 else f"status {reply.status}" for reply in replies}

    def load(self, host: str) -> Load:
        return Load(self.client.outbound_port, host)

    def running(self, job: str) -> set[str]:
        states = {a["ID"]: (a["ClientStatus"], a["DesiredStatus"]) for a in self.nomad.allocations(job)}
        return {alloc for alloc, state in states.items() if state == ("running", "run")}

    def until_deployed(self, job: str) -> None:
        """Until the job's newest version has taken the place of all others."""

        def deployed() -> bool:
            version = self.nomad.get(f"/v1/job/{job}")["Version"]
            deployments = self.nomad.get(f"/v1/job/{job}/deployments")
            return any(d["JobVersion"] == version and d["Status"] == "successful" for d in deployments)

        eventually(deployed, f"the newest version of {job} deployed", seconds=60)

    def until_served_by_running(self, host: str, job: str, count: int) -> set[str]:
        """Until all running allocations of a job, so many, take its requests."""

        def served() -> bool:
            running = self.running(job)
            return len(running) == count and self.served_by(host) == running

        eventually(served, f"{host} served by the {count} of {job}")
        return self.running(job)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("nomad-mesh"))
    try:
        made.start()
        yield made
    finally:
        made.end()


def job(name: str, version: str, count: int = 2, **update: Any) -> dict[str, Any]:
    """Whoever is ended is out of the registry for a second before, so that callers know."""
    command = (sys.executable, SERVICE, "${NOMAD_ALLOC_ID}", "${NOMAD_PORT_http}", "http")
    quick = {"MinHealthyTime": SECOND // 10, "HealthyDeadline": 30 * SECOND, "ProgressDeadline": 60 * SECOND}
    group = {"ShutdownDelay": SECOND, "Update": {"MaxParallel": 1, "HealthCheck": "checks"} | quick | update}
    service = {"Meta": {"protocol": "http"}, "Tags": [version], "CanaryTags": [version]}
    made = http_job(name, count=count, checked=True, command=command, service=service, group=group)
    made["TaskGroups"][0]["Tasks"][0]["Env"] = {"VERSION": version}
    return made


def test_two_jobs_are_called_and_scaled(world: World) -> None:
    world.nomad.run(job("nomad-shop", "v1"))
    world.nomad.run(job("nomad-stock", "v1", count=1))
    world.until_served_by_running(SHOP, "nomad-shop", 2)
    world.until_served_by_running(STOCK, "nomad-stock", 1)
    with world.load(STOCK) as load:
        world.nomad.run(job("nomad-stock", "v1", count=3))
        world.until_served_by_running(STOCK, "nomad-stock", 3)
        world.nomad.run(job("nomad-stock", "v1", count=1))
        world.until_served_by_running(STOCK, "nomad-stock", 1)
    assert load.failures == []


def test_a_rolling_update_loses_no_request(world: World) -> None:
    world.nomad.run(job("nomad-shop", "v1"))
    world.until_deployed("nomad-shop")
    before = world.until_served_by_running(SHOP, "nomad-shop", 2)
    with world.load(SHOP) as load:
        world.nomad.run(job("nomad-shop", "v2"))
        world.until_deployed("nomad-shop")
        assert not before & world.running("nomad-shop")
        world.until_served_by_running(SHOP, "nomad-shop", 2)
    assert load.failures == []


def test_a_canary_is_called_where_the_rules_say_so_only(world: World) -> None:
    world.nomad.run(job("nomad-shop", "v3"))
    world.until_deployed("nomad-shop")
    stable = world.until_served_by_running(SHOP, "nomad-shop", 2)
    with world.load(SHOP) as load:
        world.nomad.run(job("nomad-shop", "v4", Canary=1))
        eventually(lambda: len(world.running("nomad-shop")) == 3, "a canary", seconds=60)
        canary = world.running("nomad-shop") - stable
        eventually(lambda: world.served_by(SHOP, "/next") == canary, "the canary served below /next")
        assert world.served_by(SHOP) == stable
        deployment = next(d for d in world.nomad.get("/v1/job/nomad-shop/deployments") if d["Status"] == "running")
        path, body = f"/v1/deployment/promote/{deployment['ID']}", {"DeploymentID": deployment["ID"], "All": True}
        eventually(lambda: world.nomad.call("PUT", path, body).status == 200, "promoted")
        eventually(lambda: not stable & world.running("nomad-shop"), "the stable ones replaced", seconds=60)
        world.until_served_by_running(SHOP, "nomad-shop", 2)
    assert load.failures == []
