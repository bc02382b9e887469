"""Jobs that `mesh-adapter inject` put an Envoy into, run by a real Nomad: calls from job to job, updates without loss.

The applications are raw_exec tasks and the Envoys exec tasks, both in the network namespace of their allocation. The
load comes from a sidecar on the host, asks `front`, which asks `web` through the upstream of its own Envoy.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from adapters.nomad.inject import TASK
from tests.e2e.traffic import Load
from tests.e2e.world import COMMAND, LOOPBACK, Sidecar, eventually, mesh_adapter
from tests.servers.binaries import require
from tests.servers.http import call
from tests.servers.nomad import Nomad
from tests.servers.ports import free_ports
from tests.servers.process import Process

pytestmark = pytest.mark.e2e

GATEWAY = "172.26.64.1"
"""This host, as allocations in bridge mode see it: Nomad's default."""
SHOP = Path(__file__).with_name("nomad_shop.py")
FRONT, WEB = "front.default.service.nomad", "web.default.service.nomad"
JOB = """
job "{name}" {{
  datacenters = ["dc1"]
  group "{name}" {{
    count = {count}
    update {{
      max_parallel     = 1
      canary           = {canary}
      min_healthy_time = "500ms"
    }}
    network {{
      mode = "bridge"
      port "http" {{
        to = 8080
      }}
    }}
    service {{
      name     = "{name}"
      provider = "nomad"
      port     = "http"
      meta {{
        protocol       = "http"
        mesh-upstreams = "{upstreams}"
      }}
      check {{
        type     = "http"
        path     = "/health"
        interval = "1s"
        timeout  = "1s"
      }}
    }}
    task "serve" {{
      driver = "raw_exec"
      config {{
        command = "{python}"
        args    = {arguments}
      }}
      resources {{
        cpu    = 20
        memory = 40
      }}
    }}
  }}
}}
"""


@attrs.frozen
class Shop:
    """A Nomad with the jobs `front` and `web`, and a control plane that reads it."""

    folder: Path
    nomad: Nomad
    xds_port: int
    http_addr: str
    client: Sidecar

    def inject(self, job: str | Path, text: str = "") -> dict[str, Any]:
        """What `mesh-adapter inject` prints of a file, or of HCL on stdin."""
        options = ("--nomad-addr", self.nomad.http_addr, "--control-plane", f"{GATEWAY}:{self.xds_port}")
        # The application's program ends at once: what keeps requests from it is that peers hear of the end before it.
        command = [COMMAND, "inject", str(job), *options, "--driver", "exec", "--shutdown-delay", "3"]
        done = subprocess.run(command, input=text, check=False, capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done.stderr
        made: dict[str, Any] = json.loads(done.stdout)
        return made

    def run(self, job: dict[str, Any], *options: str) -> None:
        """`nomad job run -json`, which returns when the deployment has succeeded."""
        file = self.folder / "job.json"
        file.write_text(json.dumps(job))
        command = [str(require("nomad")), "job", "run", "-json", "-address", self.nomad.url, *options, str(file)]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=90)
        assert done.returncode == 0, done.stdout + done.stderr + self.nomad._events(job["Job"]["ID"])

    def load(self) -> Load:
        return Load(self.client.outbound_port, FRONT)

    def endpoints(self, host: str) -> list[dict[str, Any]]:
        text = call("GET", f"http://{self.http_addr}/debug/registryz").text
        return [each for service in json.loads(text) if service["host"] == host for each in service["endpoints"]]

    def counted(self, name: str) -> dict[str, int]:
        """A metric of the Envoy beside `front`, by cluster."""
        (front,) = self.allocations("front")
        ports = self.nomad.get(f"/v1/allocation/{front['ID']}")["AllocatedResources"]["Shared"]["Ports"]
        (metrics,) = [each for each in ports if each["Label"] == "mesh_metrics"]
        text = call("GET", f"http://{metrics['HostIP']}:{metrics['Value']}/stats/prometheus").text
        found = re.findall(rf'^{name}{{envoy_cluster_name="([^"]+)"}} (\d+)$', text, re.MULTILINE)
        return {cluster: int(count) for cluster, count in found}

    @property
    def retries(self) -> int:
        """How many requests to `web` had to be made again."""
        return self.counted("envoy_cluster_upstream_rq_retry").get(f"outbound|80||{WEB}", 0)

    def allocations(self, job: str) -> list[dict[str, Any]]:
        return [each for each in self.nomad.allocations(job) if each["ClientStatus"] == "running"]


def hcl(name: str, *arguments: str, count: int = 1, canary: int = 0, upstreams: str = "") -> str:
    listed = json.dumps([str(SHOP), "8080", *arguments])
    return JOB.format(
        name=name, arguments=listed, count=count, canary=canary, upstreams=upstreams, python=sys.executable
    )


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, envoy_binary: Path) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("shop")
    # Allocations reach each other by an address of the host that is not its loopback: that of the default route.
    interface = {"client": {"network_interface": '{{ GetDefaultInterfaces | attr "name" }}'}}
    xds_port, http_port = free_ports(2)
    xds, http_addr = f"0.0.0.0:{xds_port}", f"{LOOPBACK}:{http_port}"
    nomad = Nomad(folder / "nomad", programs=[envoy_binary], config=interface)
    platform = ("--platform", "nomad", "--nomad-addr", nomad.http_addr, "--nomad-check-interval", "0.2")
    command = [COMMAND, "start", *platform, "--xds-addr", xds, "--http-addr", http_addr]
    control = Process("control-plane", command, folder=folder)
    client = Sidecar(folder, "client", f"{LOOPBACK}:{xds_port}", "--service", "client")
    made = Shop(folder, nomad, xds_port, http_addr, client)
    try:
        nomad.start()
        control.start()
        control.wait_until(lambda: call("GET", f"http://{http_addr}/readyz").text.strip() == "ready", "ready")
        made.run(made.inject("-", hcl("web", "v1", count=2)), "-detach")
        made.run(made.inject("-", hcl("front", "front", "9001", upstreams="web:9001")))
        client.start()
        yield made
    finally:
        client.process.kill()
        control.kill()
        nomad.stop()


def test_each_group_has_an_envoy_that_is_configured_by_us_and_reached_by_its_port(shop: Shop) -> None:
    eventually(lambda: {e["health"] for e in shop.endpoints(WEB)} == {"HEALTHY"}, "both are healthy")
    for name, count in (("web", 2), ("front", 1)):
        found = shop.allocations(name)
        assert len(found) == count
        for allocation in found:
            assert {task: state["State"] for task, state in allocation["TaskStates"].items()} == {
                "serve": "running",
                TASK: "running",
            }
            ports = shop.nomad.get(f"/v1/allocation/{allocation['ID']}")["AllocatedResources"]["Shared"]["Ports"]
            (inbound,) = [each for each in ports if each["Label"] == "mesh_inbound_http"]
            there = [each for each in shop.endpoints(f"{name}.default.service.nomad") if allocation["ID"] in str(each)]
            assert [(each["address"], *each["ports"].values()) for each in there] == [
                (inbound["HostIP"], inbound["Value"])
            ]
    status = mesh_adapter("proxy-status", "--http-addr", shop.http_addr, "-o", "json")
    names = sorted(each["name"].split("-")[0] for each in json.loads(status.stdout))
    assert (status.returncode, names) == (0, ["client.default", "front", "web", "web"])


def test_traffic_goes_from_job_to_job_through_both_envoys(shop: Shop) -> None:
    assert shop.client.get(FRONT).instance == "v1"
    counted = shop.counted("envoy_cluster_upstream_rq_total")
    assert counted[f"outbound|80||{WEB}"] >= 1
    assert counted["inbound|8080||"] >= 1


def test_the_task_holds_the_identity_that_nomad_gave_it(shop: Shop) -> None:
    (front,) = shop.allocations("front")
    listed = shop.nomad.get(f"/v1/client/fs/ls/{front['ID']}?path=/{TASK}/secrets")
    assert "nomad_token" in [each["Name"] for each in listed]


def test_what_runs_is_injected_again_to_the_same(shop: Shop) -> None:
    inspected = shop.folder / "inspected.json"
    command = [str(require("nomad")), "job", "inspect", "-address", shop.nomad.url, "web"]
    inspected.write_bytes(subprocess.run(command, check=True, capture_output=True, timeout=30).stdout)
    once = shop.inject(inspected)
    inspected.write_text(json.dumps(once))
    assert shop.inject(inspected) == once
    (group,) = once["Job"]["TaskGroups"]
    assert [task["Name"] for task in group["Tasks"]] == ["serve", TASK]
    shop.run(once)
    assert {each["JobVersion"] for each in shop.allocations("web")} == {0}, "a job injected anew was replaced"


def test_a_rolling_update_loses_no_request(shop: Shop) -> None:
    retries = shop.retries
    with shop.load() as load:
        eventually(lambda: load.answered["v1"] > 50, "served by v1")
        shop.run(shop.inject("-", hcl("web", "v2", count=2)))
        eventually(lambda: {each["JobVersion"] for each in shop.allocations("web")} == {1}, "the old ones are gone")
        before = load.answered["v2"]
        eventually(lambda: load.answered["v2"] > before + 50, "served by v2")
    assert load.failures == []
    assert shop.retries == retries, "requests went to an instance that was ending, and were saved by a retry"
    assert load.answered.keys() == {"v1", "v2"}


def test_a_canary_and_its_promotion_lose_no_request(shop: Shop) -> None:
    retries = shop.retries
    with shop.load() as load:
        shop.run(shop.inject("-", hcl("web", "v3", count=2, canary=1)), "-detach")
        eventually(lambda: load.answered["v3"] > 20, "the canary serves")
        assert [dict(each["labels"])["canary"] for each in shop.endpoints(WEB)].count("true") == 1
        deployment = shop.nomad.get("/v1/job/web/deployment")["ID"]
        promoted = f"/v1/deployment/promote/{deployment}"
        eventually(
            lambda: bool(shop.nomad.get(f"/v1/deployment/{deployment}")["TaskGroups"]["web"]["HealthyAllocs"]),
            "healthy",
        )
        shop.nomad.call("PUT", promoted, {"DeploymentID": deployment, "All": True})
        eventually(lambda: shop.nomad.get(f"/v1/deployment/{deployment}")["Status"] == "successful", "promoted")
        eventually(lambda: len(shop.endpoints(WEB)) == 2, "the old one is gone")
        before = load.answered.copy()
        eventually(lambda: load.answered["v3"] > before["v3"] + 50, "served by v3")
    assert load.failures == []
    assert shop.retries == retries, "requests went to an instance that was ending, and were saved by a retry"
    assert len(shop.endpoints(WEB)) == 2
