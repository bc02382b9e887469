"""200 services of 2 endpoints, 500 ADS streams: how long until all are settled, what that takes, and how fast one
endpoint's change reaches the last stream; from a file and from Consul, state of the world and delta.

Beside it the limit: the very bytes we serve, recorded and served from memory by xdsreplay, so that the settling time
has a ratio that holds on any machine. The load client (xdsload) runs on the same cores as the server.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.figures import Figure, report
from tests.servers.consul import Consul
from tests.servers.ports import free_port

SERVICES, STREAMS, ROUNDS = 200, 500, 7
SETTLED_S, MEMORY_MB, CHANGE_MS = 3.0, 300.0, 120.0
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mesh-adapter" / "bench"
TOOLS = Path(__file__).parent
SETTLE = "2s"


def main() -> int:
    load, replay = _built("xdsload"), _built("xdsreplay")
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="mesh-bench-") as name:
        folder = Path(name)
        figures += _from_files(folder, load, replay)
        figures += _from_consul(folder, load)
    return report("xds", figures)


def _from_files(folder: Path, load: Path, replay: Path) -> Iterator[Figure]:
    services = folder / "services"
    services.mkdir()
    for number in range(SERVICES):
        (services / f"svc-{number:03}.yaml").write_text(_service_file(number, f"10.1.{number}.1"))
    target, aside = services / "svc-005.yaml", folder / "next"
    change = folder / "change.sh"
    content = _service_file(5, "10.99.0.ROUND").replace("ROUND", "'$1'")
    change.write_text(f"printf %s '{content}' > {aside} && mv {aside} {target}\n")
    trigger = f"sh {change} %d"
    with control_plane(folder, "--static-file", str(services)) as (address, pid):
        for variant, flag in (("sotw", []), ("delta", ["-delta"])):
            seen = _load(load, address, pid, trigger, *flag)
            yield from _figures(f"files, {variant}", seen)
        limit = _limit(folder, load, replay, address)
    with control_plane(folder, "--static-file", str(services)) as (address, pid):
        ours = _load(load, address, pid, "", "-rounds", "0")["connect_s"]
    yield Figure("recorded bytes, settled", limit, "s", note="xdsreplay, from memory")
    yield Figure("settled, ratio to the recorded bytes", ours / limit, "x", note=f"ours {ours:.2f} s in the same run")


def _from_consul(folder: Path, load: Path) -> Iterator[Figure]:
    with Consul(folder / "consul") as consul:
        for number in range(SERVICES):
            for instance in (1, 2):
                consul.put("/v1/agent/service/register", _registration(number, instance, f"10.1.{number}.{instance}"))
        body = json.dumps({**_registration(5, 1, "10.99.0.ROUND"), "ID": "svc-005-new-ROUND"})
        script = folder / "register.sh"
        script.write_text(
            f"curl -s -f -X PUT {consul.url}/v1/agent/service/register -d '{body}'".replace("ROUND", "'$1'") + "\n"
        )
        with control_plane(folder, "--platform", "consul", "--consul-addr", consul.http_addr) as (address, pid):
            seen = _load(load, address, pid, f"sh {script} %d")
            yield from _figures("Consul, sotw", seen)


def _figures(what: str, seen: dict[str, Any]) -> Iterator[Figure]:
    setting = f"{SERVICES} services of 2 endpoints, {STREAMS} streams"
    yield Figure(f"{what}: all settled", seen["connect_s"], "s", SETTLED_S, setting)
    yield Figure(
        f"{what}: memory", max(seen["rss_kb"], seen["rss_end_kb"]) / 1000, "MB", MEMORY_MB, "of the process tree"
    )
    every = ", ".join(f"{each:.0f}" for each in seen["last_ms"])
    yield Figure(
        f"{what}: one endpoint to the last stream",
        statistics.median(seen["last_ms"]),
        "ms",
        CHANGE_MS,
        f"median of {ROUNDS}, from the start of the change; all: {every}",
    )
    yield Figure(f"{what}: processor for one change", statistics.median(seen["push_cpu_s"]), "s")


def _limit(folder: Path, load: Path, replay: Path, address: str) -> float:
    """Seconds until all streams are settled with the recorded bytes served from memory."""
    recorded = folder / "recorded"
    subprocess.run([replay, "-from", address, "-out", recorded], check=True, stderr=subprocess.DEVNULL)
    listen = f"127.0.0.1:{free_port()}"
    server = subprocess.Popen([replay, "-in", recorded, "-listen", listen], stderr=subprocess.DEVNULL)
    try:
        return float(_load(load, listen, server.pid, "", "-rounds", "0")["connect_s"])
    finally:
        server.kill()
        server.wait()


def _load(load: Path, address: str, pid: int, trigger: str, *more: str) -> dict[str, Any]:
    asked = [str(load), "-addr", address, "-n", str(STREAMS), "-pid", str(pid), "-settle", SETTLE]
    if trigger:
        asked += ["-trigger", trigger, "-marker", "10.99.0.%d", "-rounds", str(ROUNDS)]
    done = subprocess.run([*asked, *more], check=True, stdout=subprocess.PIPE, text=True, timeout=300)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@contextmanager
def control_plane(folder: Path, *options: str) -> Iterator[tuple[str, int]]:
    """A control plane of its own process that is ready: its xDS address and process id."""
    command = [sys.executable, "-m", "mesh_adapter", "start", "--log-level", "warning", *options]
    command += ["--components", "pilot"]
    command += ["--xds-addr", "127.0.0.1:0", "--http-addr", "127.0.0.1:0"]
    log = folder / "control-plane.log"
    with log.open("w") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + 30
        while "ready" not in log.read_text().split("\n"):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the control plane did not get ready:\n{log.read_text()}")
            time.sleep(0.05)
        address = next(line.split()[-1] for line in log.read_text().splitlines() if line.startswith("xds listening"))
        yield address, process.pid
    finally:
        process.terminate()
        process.wait(20)


def _service_file(number: int, address: str) -> str:
    return (
        "services:\n"
        f"- name: svc-{number:03}.default.svc.cluster.local\n"
        "  ports: [{name: http, port: 80, protocol: HTTP}]\n"
        "  endpoints:\n"
        f"  - {{address: {address}, port: 8080}}\n"
        f"  - {{address: 10.1.{number}.2, port: 8080}}\n"
    )


def _registration(number: int, instance: int, address: str) -> dict[str, Any]:
    return {
        "Name": f"svc-{number:03}",
        "ID": f"svc-{number:03}-{instance}",
        "Address": address,
        "Port": 8080,
        "Meta": {"protocol": "http"},
        "Check": {"TTL": "1h", "Status": "passing"},
    }


def _built(name: str) -> Path:
    """The Go program below bench/, built once into the cache."""
    sources = TOOLS / name
    target = CACHE / name
    newest = max(each.stat().st_mtime for each in sources.iterdir())
    if not target.exists() or target.stat().st_mtime < newest:
        print(f"building {name}", flush=True)
        CACHE.mkdir(parents=True, exist_ok=True)
        go = subprocess.run(
            [sys.executable, str(TOOLS.parent / "deploy/servers/build.py"), "--print-go"],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        ).stdout.strip()
        subprocess.run([go, "build", "-o", str(target), "."], cwd=sources, check=True)
    return target


if __name__ == "__main__":
    sys.exit(main())
