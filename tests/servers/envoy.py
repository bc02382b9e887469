"""An Envoy with the bootstrap that a test gives it, and Envoy's own opinion of a configuration."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.servers.binaries import require
from tests.servers.http import call
from tests.servers.ports import free_port
from tests.servers.process import Process
from tests.servers.server import Server
from tests.servers.settings import Settings, overlaid, write_json

LOOPBACK = "127.0.0.1"


class InvalidConfigError(Exception):
    """Envoy would not start with this configuration; the message is Envoy's."""


class Envoy(Server):
    """One Envoy; its admin interface is added to the bootstrap, unless that has one with an address of its own."""

    def __init__(
        self, folder: Path, bootstrap: Settings, *, log_level: str = "info", arguments: Sequence[str] = ()
    ) -> None:
        super().__init__(folder)
        self.bootstrap = bootstrap
        self.admin_port = free_port()
        self._arguments = ("--log-level", log_level, *arguments)

    @property
    def admin_addr(self) -> str:
        """host:port of the admin interface."""
        return f"{LOOPBACK}:{self.admin_port}"

    def admin(self, path: str, *, method: str = "GET") -> str:
        """The text that the admin interface answers."""
        return call(method, f"http://{self.admin_addr}{path}").text

    def config_dump(self, *, with_endpoints: bool = False) -> Any:
        """What it runs with, as JSON."""
        query = "?include_eds" if with_endpoints else ""
        return call("GET", f"http://{self.admin_addr}/config_dump{query}").json

    def stats(self, prefix: str = "") -> dict[str, int]:
        """Counters and gauges whose names begin so."""
        answered = call("GET", f"http://{self.admin_addr}/stats?format=json").json["stats"]
        return {s["name"]: s["value"] for s in answered if s.get("name", "").startswith(prefix) and "value" in s}

    @property
    def state(self) -> str:
        """LIVE, DRAINING, PRE_INITIALIZING or INITIALIZING: the last two until its first configuration is complete."""
        return str(call("GET", f"http://{self.admin_addr}/server_info").json["state"])

    def wait_live(self, *, seconds: float = 30) -> None:
        """Until all that it waits for, such as the first clusters and listeners of its control plane, has come."""
        self.process.wait_until(lambda: self.state == "LIVE", "LIVE", seconds=seconds)

    def _make_process(self) -> Process:
        admin = {"admin": {"address": {"socket_address": {"address": LOOPBACK, "port_value": self.admin_port}}}}
        config = write_json(self.folder / "envoy.json", overlaid(admin, self.bootstrap))
        # Without a hot restart there is no shared memory, so that any number of Envoys run beside each other.
        fixed = ["--config-path", str(config), "--disable-hot-restart", "--concurrency", "1"]
        return Process("envoy", [str(require("envoy")), *fixed, *self._arguments], folder=self.folder)

    def _wait_ready(self, process: Process) -> None:
        """Ready is when its admin interface answers: with a control plane, `wait_live` is the next step."""
        process.wait_until(lambda: bool(self.state), "its admin interface answering")


def validate(config: Settings) -> None:
    """Ask Envoy whether it would start with this bootstrap. Raises InvalidConfigError with its reason."""
    with tempfile.TemporaryDirectory() as folder:
        path = write_json(Path(folder) / "envoy.json", config)
        command = [str(require("envoy")), "--mode", "validate", "--config-path", str(path), "--log-level", "error"]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise InvalidConfigError(_readable(done.stderr or done.stdout).replace(str(path), "the configuration"))


def _readable(said: str) -> str:
    """Envoy's words without its log prefixes, and with single spaces: protobuf doubles some at random."""
    return "\n".join(re.sub(r"^(\[[^]]*\] ?)+", "", re.sub(r" +", " ", line)) for line in said.strip().splitlines())
