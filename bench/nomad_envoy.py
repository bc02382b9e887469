"""What the Envoy that `inject` puts beside a task takes of memory, as Nomad's own limit counts it.

One job by the exec driver, in bridge mode; the control plane comes later, with 10 and then with 1,000 services of 5
endpoints each in a static file. Memory is what the task's control group holds (`memory.stat`): anonymous memory can't
be given back, file pages can.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from adapters.nomad.inject import TASK, Envoy
from bench.figures import Figure, report
from tests.servers.binaries import require
from tests.servers.http import call
from tests.servers.nomad import Nomad
from tests.servers.ports import free_ports
from tests.servers.process import Process

COMMAND = str(Path(sys.executable).with_name("mesh-adapter"))
GATEWAY = "172.26.64.1"
ENDPOINTS, FEW, MANY = 5, 10, 1000
MEGABYTE = 1e6
STARTED = 5.0
"""Megabytes that an Envoy has which is past its first steps."""
SETTLED = 4.0
"""Seconds between two looks at memory that have to be alike."""


def main() -> int:
    """Measures, prints, keeps; the number of missed targets."""
    with tempfile.TemporaryDirectory() as folder:
        return report("nomad_envoy", _figures(Path(folder)))


def _figures(folder: Path) -> list[Figure]:
    xds_port, http_port = free_ports(2)
    services = folder / "services.yaml"
    http_addr = f"127.0.0.1:{http_port}"
    command = [COMMAND, "start", "--static-file", str(services), "--xds-addr", f"0.0.0.0:{xds_port}"]
    control = Process("control-plane", [*command, "--http-addr", http_addr], folder=folder)
    with Nomad(folder / "nomad", programs=[require("envoy")]) as nomad:
        _run(nomad, f"{GATEWAY}:{xds_port}")
        try:
            before = _settled(nomad, lambda: _anonymous(nomad) > STARTED)
            services.write_text(json.dumps({"services": [_service(number) for number in range(FEW)]}))
            control.start()
            few = _settled(nomad, lambda: _clusters(nomad) > FEW)
            services.write_text(json.dumps({"services": [_service(number) for number in range(MANY)]}))
            many = _settled(nomad, lambda: _clusters(nomad) > MANY)
        finally:
            control.stop()
    limit = float(Envoy("").memory)
    return [
        Figure("envoy_before_configuration", before, "MB", note="anonymous memory"),
        Figure("envoy_with_10_services", few, "MB", note=f"{ENDPOINTS} endpoints each"),
        Figure(
            "envoy_with_1000_services", many, "MB", limit=limit, note=f"{ENDPOINTS} endpoints each; the task's limit"
        ),
    ]


def _run(nomad: Nomad, control_plane: str) -> None:
    """A job whose application only waits."""
    group = {
        "Name": "g",
        "Networks": [{"Mode": "bridge", "DynamicPorts": [{"Label": "http", "To": 8080}]}],
        "Services": [{"Name": "web", "Provider": "nomad", "PortLabel": "http"}],
        "Tasks": [{"Name": "wait", "Driver": "exec", "Config": {"command": "/bin/sleep", "args": ["3600"]}}],
    }
    job = {"ID": "web", "Datacenters": ["dc1"], "TaskGroups": [group]}
    command = [COMMAND, "inject", "-", "--control-plane", control_plane]
    done = subprocess.run(command, input=json.dumps(job), capture_output=True, text=True, check=True)
    nomad.run(json.loads(done.stdout)["Job"])
    nomad.wait_running("web")


def _service(number: int) -> dict[str, Any]:
    endpoints = [{"address": f"10.0.{number % 250}.{each + 1}", "port": 8080} for each in range(ENDPOINTS)]
    port = {"name": "http", "port": 80, "protocol": "HTTP"}
    return {"name": f"service-{number}.mesh", "ports": [port], "endpoints": endpoints}


def _settled(nomad: Nomad, ready: Callable[[], bool]) -> float:
    """Megabytes, once it is ready and they are still."""
    nomad.process.wait_until(ready, "an Envoy that was told", seconds=60)
    last = 0.0
    while abs((found := _anonymous(nomad)) - last) > 0.2:
        last = found
        time.sleep(SETTLED)
    return found


def _anonymous(nomad: Nomad) -> float:
    """Nomad reads the control group of the task every second."""
    (allocation,) = nomad.allocations("web")
    stats = nomad.get(f"/v1/client/allocation/{allocation['ID']}/stats")
    return float(stats["Tasks"][TASK]["ResourceUsage"]["MemoryStats"]["RSS"]) / MEGABYTE


def _clusters(nomad: Nomad) -> int:
    """How many clusters Envoy has, as its metrics say."""
    (allocation,) = nomad.allocations("web")
    ports = nomad.get(f"/v1/allocation/{allocation['ID']}")["AllocatedResources"]["Shared"]["Ports"]
    (metrics,) = [each for each in ports if each["Label"] == "mesh_metrics"]
    text = call("GET", f"http://{metrics['HostIP']}:{metrics['Value']}/stats/prometheus").text
    counts = [
        line.split()[1] for line in text.splitlines() if line.startswith("envoy_cluster_manager_active_clusters{")
    ]
    return int(counts[0]) if counts else 0
