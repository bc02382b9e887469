"""A Mixer of its own process, and the client that Istio's own protos make, as Go programs use them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.servers.binaries import require
from tests.servers.http import call
from tests.servers.ports import free_ports
from tests.servers.process import Process

LOOPBACK = "127.0.0.1"
COMMAND = str(Path(sys.executable).with_name("mesh-adapter"))


class Mixer:
    """`mesh-adapter start --components mixer` with a static file of services and a directory of rules."""

    def __init__(self, folder: Path, *options: str, services: str = "services: []\n") -> None:
        self.config = folder / "rules"
        self.config.mkdir(parents=True, exist_ok=True)
        static = folder / "services.yaml"
        static.write_text(services, encoding="utf-8")
        self.port, self.http_port = free_ports(2)
        sources = ("--static-file", str(static), "--config", str(self.config))
        addresses = ("--mixer-addr", self.address, "--http-addr", f"{LOOPBACK}:{self.http_port}")
        command = [COMMAND, "start", "--components", "mixer", *sources, *addresses, *options]
        self.process = Process("mixer", command, folder=folder)

    @property
    def address(self) -> str:
        return f"{LOOPBACK}:{self.port}"

    def start(self) -> None:
        """Returns when it is ready."""
        self.process.start()
        self.process.wait_until(lambda: self.page("/readyz").strip() == "ready", "ready", seconds=60)

    def page(self, path: str) -> str:
        return call("GET", f"http://{LOOPBACK}:{self.http_port}{path}").text

    def debug(self, page: str) -> Any:
        return json.loads(self.page(f"/debug/{page}"))

    def write(self, name: str, text: str) -> None:
        (self.config / name).write_text(text, encoding="utf-8")


class GoClient:
    """deploy/servers/mixer-client, one request at a time. Use as a context manager."""

    def __init__(self, address: str) -> None:
        self._child = subprocess.Popen(
            [str(require("mixer-client")), address], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> GoClient:
        return self

    def __exit__(self, *_: object) -> None:
        self._child.kill()
        self._child.communicate()

    def ask(self, request: Mapping[str, Any]) -> Any:
        """Its answer: `answer` with the message in Go's JSON, or `error` and `message`."""
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write(json.dumps(request) + "\n")
        self._child.stdin.flush()
        return json.loads(self._child.stdout.readline())
