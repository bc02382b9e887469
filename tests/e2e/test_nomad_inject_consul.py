"""An injected job on the host's network whose service Nomad registers in Consul, called through the mesh."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.world import COMMAND, LOOPBACK, Mesh, eventually
from tests.servers.binaries import require
from tests.servers.http import call
from tests.servers.nomad import Nomad

SHOP = str(Path(__file__).with_name("nomad_shop.py"))
pytestmark = pytest.mark.e2e


def job() -> dict[str, Any]:
    """A job whose ports are all Nomad's choice; it has no bridge, and Envoy no chroot."""
    group = {
        "Name": "g",
        "Networks": [{"DynamicPorts": [{"Label": "http"}]}],
        "Services": [{"Name": "hosted", "PortLabel": "http", "Provider": "consul", "Meta": {"protocol": "http"}}],
        "Tasks": [
            {
                "Name": "serve",
                "Driver": "raw_exec",
                "Config": {"command": sys.executable, "args": [SHOP, "${NOMAD_PORT_http}", "hosted"]},
                "Resources": {"CPU": 20, "MemoryMB": 40},
            }
        ],
    }
    return {"ID": "hosted", "Datacenters": ["dc1"], "TaskGroups": [group]}


def test_a_service_in_consul_is_reached_through_an_envoy_on_the_hosts_network(mesh: Mesh, tmp_path: Path) -> None:
    mesh.start()
    options = ("--control-plane", mesh.control.xds_addr, "--envoy-path", str(require("envoy")))
    done = subprocess.run(
        [COMMAND, "inject", "-", *options],
        input=json.dumps(job()),
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    registered = {"consul": {"address": mesh.consul.http_addr, "auto_advertise": False}}
    nomad = Nomad(tmp_path / "nomad", config=registered)
    try:
        nomad.start()
        nomad.run(json.loads(done.stdout)["Job"])
        (allocation,) = nomad.wait_running("hosted")
        ports = {
            each["Label"]: each["Value"]
            for each in nomad.get(f"/v1/allocation/{allocation['ID']}")["AllocatedResources"]["Shared"]["Ports"]
        }
        eventually(lambda: len(mesh.consul.get("/v1/health/service/hosted?passing")) == 1, "passing in Consul")
        (entry,) = mesh.consul.get("/v1/health/service/hosted")
        assert entry["Service"]["Meta"]["sidecar-port"] == str(ports["mesh_inbound_http"])
        assert entry["Service"]["Port"] == ports["http"]
        client = mesh.client()
        eventually(lambda: client.get("hosted").instance == "hosted", "answered")
        counted = call("GET", f"http://{LOOPBACK}:{ports['mesh_metrics']}/stats/prometheus").text
        assert f"inbound|{ports['http']}||" in counted
    finally:
        nomad.stop()
