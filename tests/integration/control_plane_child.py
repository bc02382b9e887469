"""A control plane with a secure port as a child of a test, on ports that stay the same over restarts."""

from __future__ import annotations

import sys
from pathlib import Path

from click.testing import CliRunner

from mesh_adapter.cli import cli
from tests.servers.http import call
from tests.servers.ports import free_ports
from tests.servers.process import Process

COMMAND = str(Path(sys.executable).with_name("mesh-adapter"))
SERVICES = """\
services:
- name: web.example
  ports:
  - {name: http, port: 80, protocol: HTTP}
  endpoints:
  - {address: 10.0.0.1, port: 8080}
"""


class Child:
    """A control plane with a secure port, on ports that stay the same."""

    def __init__(self, folder: Path, *options: str, environment: dict[str, str] | None = None) -> None:
        self.folder = folder
        self.xds, self.tls, self.http = free_ports(3)
        (folder / "services.yaml").write_text(SERVICES)
        addresses = {"--xds-addr": self.xds, "--xds-tls-addr": self.tls, "--http-addr": self.http}
        words = [word for name, port in addresses.items() for word in (name, f"127.0.0.1:{port}")]
        words += ["--components", "pilot", "--static-file", str(folder / "services.yaml")]
        command = [COMMAND, "start", *words, *options]
        self.process = Process("start", command, folder=folder, environment=environment)

    def start(self) -> None:
        begin = self.process.log.stat().st_size if self.process.log.exists() else 0
        self.process.start()
        self.process.wait_until(lambda: b"\nready" in self.process.log.read_bytes()[begin:], "ready")

    @property
    def log(self) -> str:
        return self.process.log.read_text()


def join_token(folder: Path, account: str = "web") -> str:
    words = ["cert", "join-token", "--service-account", account, "--join-tokens", str(folder / "join")]
    return CliRunner().invoke(cli, words).output.strip()


def metric(child: Child, name: str) -> float:
    """-1 where there is none."""
    text = call("GET", f"http://127.0.0.1:{child.http}/metrics").text
    return next((float(line.split()[1]) for line in text.splitlines() if line.startswith(f"{name} ")), -1.0)
