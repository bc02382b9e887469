"""A Nomad agent, server and client in one, on loopback. It runs real tasks, so it needs root."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.servers import cni
from tests.servers.binaries import require
from tests.servers.http import Answer, RefusedError, call
from tests.servers.ports import free_ports
from tests.servers.process import Process, ServerFailedError
from tests.servers.server import Server
from tests.servers.settings import Settings, overlaid, write_json

LOOPBACK = "127.0.0.1"


class Nomad(Server):
    """One agent, with the drivers exec and raw_exec, bridge networking and service discovery.

    By default in development mode, whose data are in memory; persistent keeps them on disk.
    management_token turns access control on and is bootstrapped as the management token; it has to be a UUID.
    programs are shown to tasks of the exec driver as /usr/local/bin/NAME; beside them their chroot holds the machine's
    commands and C libraries only, because linking all of /usr into it takes half a minute for each task.
    config is laid over the agent's configuration.
    """

    def __init__(
        self,
        folder: Path,
        *,
        datacenter: str = "dc1",
        region: str = "global",
        persistent: bool = False,
        management_token: str | None = None,
        programs: Sequence[Path] = (),
        config: Settings | None = None,
    ) -> None:
        super().__init__(folder)
        self.datacenter = datacenter
        self.region = region
        self.keeps_data = persistent
        self.management_token = management_token
        self._programs = tuple(programs)
        self._config = config or {}
        self.port, self._rpc, self._serf = free_ports(3)

    @property
    def http_addr(self) -> str:
        """host:port of the HTTP API."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def url(self) -> str:
        """The HTTP API's URL, without a slash at its end."""
        return f"http://{self.http_addr}"

    def call(self, method: str, path: str, body: object = None, *, token: str | None = None) -> Answer:
        """One request to the API, with the management token unless another is given (an empty one is none)."""
        secret = self.management_token if token is None else token
        return call(method, self.url + path, body, headers={"X-Nomad-Token": secret} if secret else {})

    def get(self, path: str, *, token: str | None = None) -> Any:
        """The JSON that a GET answers."""
        return self.call("GET", path, token=token).json

    def run(self, job: Settings) -> None:
        """Register a job, given in the API's JSON form (what stands under "Job")."""
        self.call("POST", "/v1/jobs", {"Job": job})

    def run_hcl(self, text: str) -> str:
        """Register a job written in HCL; answers its id."""
        job = self.call("POST", "/v1/jobs/parse", {"JobHCL": text, "Canonicalize": True}).json
        self.run(job)
        return str(job["ID"])

    def remove(self, job_id: str) -> None:
        """Stop a job and forget it."""
        self.call("DELETE", f"/v1/job/{job_id}?purge=true")

    def allocations(self, job_id: str) -> list[dict[str, Any]]:
        """A job's allocations."""
        return list(self.get(f"/v1/job/{job_id}/allocations"))

    def wait_running(self, job_id: str, *, count: int = 1, seconds: float = 60) -> list[dict[str, Any]]:
        """Wait for this many running allocations of a job; answers them. A failure shows what their tasks said."""
        try:
            self.process.wait_until(
                lambda: len(self._running_allocations(job_id)) >= count,
                f"running {count} allocation(s) of {job_id}",
                seconds=seconds,
            )
        except ServerFailedError as failure:
            raise ServerFailedError(f"{failure}\n{self._events(job_id)}") from None
        return self._running_allocations(job_id)

    def remove_all(self) -> None:
        """Stop and forget every job, and wait until nothing runs: an agent for the next test."""
        for job in self.get("/v1/jobs"):
            self.remove(job["ID"])
        self.process.wait_until(lambda: not self._live_allocations(), "without allocations")
        self.call("PUT", "/v1/system/gc")

    def stop(self) -> None:
        """End it and its tasks, and give back the mounts and networks that they had."""
        with self._tidying():
            super().stop()

    def kill(self) -> None:
        """End it and its tasks at once, as a crash of the machine would."""
        with self._tidying():
            super().kill()

    def start(self) -> None:
        """Start it; ready is when its own node takes allocations."""
        if os.geteuid() != 0:
            raise ServerFailedError("nomad: its exec driver and its bridge need root")
        super().start()

    def _make_process(self) -> Process:
        require("iptables")
        require("bridge")
        config = write_json(self.folder / "nomad.json", overlaid(self._defaults(), self._config))
        mode = [] if self.keeps_data else ["-dev"]
        command = [str(require("nomad")), "agent", *mode, f"-config={config}"]
        return Process("nomad", command, folder=self.folder)

    def _wait_ready(self, process: Process) -> None:
        if self.management_token is not None:
            process.wait_until(self._bootstrap, "its management token made")
        process.wait_until(self._node_is_ready, "its node ready, with the exec driver")

    def _bootstrap(self) -> bool:
        try:
            self.call("POST", "/v1/acl/bootstrap", {"BootstrapSecret": self.management_token}, token="")
        except RefusedError as refusal:
            return "already done" in refusal.body
        return True

    def _node_is_ready(self) -> bool:
        nodes = self.get("/v1/nodes")
        return any(n["Status"] == "ready" and n["Drivers"].get("exec", {}).get("Healthy") for n in nodes)

    def _running_allocations(self, job_id: str) -> list[dict[str, Any]]:
        return [a for a in self.allocations(job_id) if a["ClientStatus"] == "running"]

    def _live_allocations(self) -> list[dict[str, Any]]:
        return [a for a in self.get("/v1/allocations") if a["ClientStatus"] in ("pending", "running")]

    def _events(self, job_id: str) -> str:
        lines = []
        for allocation in self.allocations(job_id):
            for task, state in (allocation["TaskStates"] or {}).items():
                events = " / ".join(event["DisplayMessage"] for event in state["Events"])
                lines.append(f"{allocation['Name']} {task}: {state['State']}: {events}")
        return (
            "\n".join(lines) or f"{job_id} has no allocation: {json.dumps(self.get(f'/v1/job/{job_id}/evaluations'))}"
        )

    def _defaults(self) -> dict[str, object]:
        """Loopback only, every port its own, nothing that calls home or asks a cloud's metadata service."""
        return (_kept_data() if self.keeps_data else {}) | {
            "name": f"nomad-{self.datacenter}",
            "datacenter": self.datacenter,
            "region": self.region,
            "data_dir": str(self.data),
            "bind_addr": LOOPBACK,
            "ports": {"http": self.port, "rpc": self._rpc, "serf": self._serf},
            "disable_update_check": True,
            "acl": {"enabled": self.management_token is not None},
            "consul": {"auto_advertise": False, "server_auto_join": False, "client_auto_join": False},
            "client": {
                "enabled": True,
                "network_interface": "lo",
                "cni_path": str(cni.PLUGINS),
                "chroot_env": self._chroot(),
                "options": {
                    "fingerprint.denylist": "env_aws,env_gce,env_azure,env_digitalocean",
                    "driver.allowlist": "raw_exec,exec",
                },
            },
            "plugin": {"raw_exec": {"config": {"enabled": True}}},
        }

    def _chroot(self) -> dict[str, str]:
        """What of this machine goes where. A link is resolved: Nomad would link the link, not what it points to."""
        libraries = f"/lib/{platform.machine()}-linux-gnu"
        folders = ("/bin", "/usr/bin", "/etc", "/lib64", libraries, "/usr/share/ca-certificates")
        shown = {folder: folder for folder in folders if Path(folder).exists()}
        return shown | {str(program.resolve()): f"/usr/local/bin/{program.name}" for program in self._programs}

    @contextlib.contextmanager
    def _tidying(self) -> Iterator[None]:
        """Afterwards, undo what tasks leave that were ended without their agent. A chroot's mounts hold /dev and /proc
        of this machine, so they have to be gone before anybody deletes the folder."""
        allocations = [folder.name for folder in (self.data / "alloc").glob("*-*")]
        yield
        for mount in reversed(_mounts_below(self.data)):
            subprocess.run(["umount", "--lazy", mount], check=False, capture_output=True)
        for allocation in allocations:
            cni.release(allocation)


def _kept_data() -> dict[str, object]:
    """What development mode would have said of a server on loopback."""
    return {
        "server": {"enabled": True, "bootstrap_expect": 1, "raft_multiplier": 1},
        "advertise": dict.fromkeys(("http", "rpc", "serf"), LOOPBACK),
    }


def _mounts_below(folder: Path) -> list[str]:
    """Mount points in a folder, outermost first (mountinfo's fifth field, whose spaces are written as \\040)."""
    below = f"{folder}/"
    with contextlib.suppress(OSError):
        lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
        points = (line.split()[4].replace("\\040", " ") for line in lines)
        return [point for point in points if point.startswith(below)]
    return []
