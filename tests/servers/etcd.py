"""An etcd of one member on loopback, for kube-apiserver."""

from __future__ import annotations

from pathlib import Path

from tests.servers.binaries import require
from tests.servers.http import call
from tests.servers.ports import free_ports
from tests.servers.process import Process
from tests.servers.server import Server

LOOPBACK = "127.0.0.1"


class Etcd(Server):
    """One member; what it keeps is on disk, without waiting for the disk."""

    keeps_data = True

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._client, self._peer = free_ports(2)

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"http://{LOOPBACK}:{self._client}"

    def _make_process(self) -> Process:
        peer = f"http://{LOOPBACK}:{self._peer}"
        options = {
            "name": "one",
            "data-dir": str(self.data),
            "listen-client-urls": self.url,
            "advertise-client-urls": self.url,
            "listen-peer-urls": peer,
            "initial-advertise-peer-urls": peer,
            "initial-cluster": f"one={peer}",
            "unsafe-no-fsync": "true",
        }
        words = [f"--{name}={value}" for name, value in options.items()]
        return Process("etcd", [str(require("etcd")), *words], folder=self.folder)

    def _wait_ready(self, process: Process) -> None:
        process.wait_until(lambda: call("GET", f"{self.url}/health").json["health"] == "true", "healthy")
