"""Jobs of a real Nomad whose services are in a real Consul: each platform tells what it knows; the merge joins it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters.consul.options import ConsulOptions
from adapters.merge import Merger
from adapters.nomad.options import NomadOptions
from adapters.platform import Delete
from pilot.model.service import Endpoint, Health, ServiceKey
from tests.contract.platform_suite import Listener
from tests.servers.consul import Consul
from tests.servers.nomad import Nomad
from tests.servers.nomad_job import SECOND, http_job

pytestmark = pytest.mark.integration

SLOW = 40.0
KEY = ServiceKey("default", "shop.service.consul")
IN_CONSUL: dict[str, Any] = {"Provider": "consul", "CanaryTags": ["next"]}
QUICK = {"MinHealthyTime": SECOND // 10, "HealthyDeadline": 30 * SECOND, "ProgressDeadline": 60 * SECOND}
UPDATE = {"Update": {"Canary": 1, "MaxParallel": 1, "HealthCheck": "task_states"} | QUICK}


class Mesh:
    """Both platforms, and the one catalog of what they tell."""

    def __init__(self, consul: Consul, nomad: Nomad) -> None:
        self.consul = Listener(ConsulOptions(addr=consul.http_addr, empty_hold=0.5).platform("consul")).synced()
        self.nomad = Listener(NomadOptions(addr=nomad.http_addr).platform("nomad")).synced()
        self._merger = Merger(("consul", "nomad"))
        self._heard = {"consul": 0, "nomad": 0}

    def close(self) -> None:
        for listener in (self.consul, self.nomad):
            listener.close()

    def endpoints(self) -> tuple[Endpoint, ...]:
        for name, listener in (("consul", self.consul), ("nomad", self.nomad)):
            for event in listener.events[self._heard[name] :]:
                self._heard[name] += 1
                self._merger.apply(name, event)
        found = self._merger.catalog().services.get(KEY)
        return found.endpoints if found else ()

    def labelled(self, name: str) -> list[str]:
        return sorted(dict(each.labels).get(name, "") for each in self.endpoints())


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[tuple[Consul, Nomad]]:
    with Consul(tmp_path / "consul", persistent=True) as consul:
        config = {"consul": {"address": consul.http_addr, "checks_use_advertise": True}}
        with Nomad(tmp_path / "nomad", config=config) as nomad:
            yield consul, nomad


def test_an_instance_is_of_its_job_and_drains_as_nomad_says_even_while_consul_is_away(
    servers: tuple[Consul, Nomad],
) -> None:
    consul, nomad = servers
    mesh = Mesh(consul, nomad)
    until = nomad.process.wait_until
    try:
        nomad.run(http_job("store", service=IN_CONSUL | {"Name": "shop"}, group=UPDATE))
        until(lambda: mesh.labelled("nomad.job") == ["store"], "an instance of the job store", seconds=SLOW)
        (one,) = mesh.endpoints()
        assert one.service_account == "store"
        assert one.platform == "consul"
        said = dict(one.labels)
        assert (said["nomad.group"], said["nomad.node"], said["canary"]) == ("g", "nomad-dc1", "false")
        assert said["nomad.alloc"] == nomad.allocations("store")[0]["ID"]

        # A canary is one until it is promoted.
        nomad.run(
            http_job("store", ill="other", service=IN_CONSUL | {"Name": "shop", "Meta": {"v": "2"}}, group=UPDATE)
        )
        until(lambda: mesh.labelled("canary") == ["false", "true"], "a canary beside it", seconds=SLOW)
        assert mesh.labelled("next") == ["", "true"]
        until(lambda: _promotable(nomad) is not None, "a healthy canary", seconds=SLOW)
        body = {"DeploymentID": _promotable(nomad), "All": True}
        nomad.call("PUT", f"/v1/deployment/promote/{body['DeploymentID']}", body)
        until(lambda: mesh.labelled("canary") == ["false"] and mesh.labelled("v") == ["2"], "it alone", seconds=SLOW)

        # What Nomad ends drains though Consul can't be told, and is gone when it can.
        consul.kill()
        mesh.consul.until(lambda: mesh.consul.stale != "", "Stale", SLOW)
        nomad.remove("store")
        until(lambda: [each.health for each in mesh.endpoints()] == [Health.DRAINING], "draining", seconds=SLOW)
        consul.start()
        until(lambda: mesh.endpoints() == () and Delete(KEY) in mesh.consul.events, "gone", seconds=SLOW)
    finally:
        mesh.close()


def _promotable(nomad: Nomad) -> str | None:
    running = [d for d in nomad.get("/v1/job/store/deployments") if d["Status"] == "running"]
    return next((str(d["ID"]) for d in running if d["TaskGroups"]["g"]["HealthyAllocs"] >= 1), None)
