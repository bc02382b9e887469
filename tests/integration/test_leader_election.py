"""Two control planes and a real Consul: one of them leads and rotates the roots; killed, the other takes over."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.test_start import COMMAND, SERVICES_FILE
from tests.servers.consul import Consul
from tests.servers.http import call
from tests.servers.ports import free_ports
from tests.servers.process import Process

pytestmark = pytest.mark.integration

KEY = "mesh-adapter/leader"
TAKEOVER = 40.0
"""Consul ends a session of 10 s at most 20 s after it was renewed last, and lets a lock rest for 2 s."""


class Replica:
    """One control plane; all have one CA's folder."""

    def __init__(self, consul: Consul, folder: Path, name: str) -> None:
        services = folder / f"{name}.yaml"
        services.write_text(SERVICES_FILE)
        xds, secure, self.http = free_ports(3)
        options = {
            "static-file": services,
            "xds-addr": f"127.0.0.1:{xds}",
            "xds-tls-addr": f"127.0.0.1:{secure}",
            "http-addr": f"127.0.0.1:{self.http}",
            "ca": "embedded",
            "ca-dir": folder / "ca",
            "ca-root-spread": "1h",
            "ca-root-rotate-every": "2s",
            "leader-election": f"consul:{KEY}",
            "consul-addr": consul.http_addr,
        }
        command = [COMMAND, "start", "--platform", "static", *(f"--{key}={value}" for key, value in options.items())]
        self.process = Process(name, command, folder=folder)

    def told(self) -> dict[str, Any]:
        found: dict[str, Any] = call("GET", f"http://127.0.0.1:{self.http}/debug/leader").json
        return found

    def metric(self) -> str:
        text = call("GET", f"http://127.0.0.1:{self.http}/metrics").text
        return next(line for line in text.splitlines() if line.startswith("mesh_adapter_leader"))

    def until(self, leads: bool, seconds: float = 30.0) -> dict[str, Any]:
        self.process.wait_until(lambda: self.told()["leads"] is leads, f"leads: {leads}", seconds=seconds)
        return self.told()


@pytest.fixture
def replicas(tmp_path: Path) -> Iterator[tuple[Consul, Replica, Replica]]:
    with Consul(tmp_path / "consul") as consul, contextlib.ExitStack() as stack:
        made = [Replica(consul, tmp_path, name) for name in ("one", "two")]
        for each in made:
            stack.callback(each.process.kill)
        yield consul, made[0], made[1]


def test_one_leads_and_rotates_and_the_other_takes_over_when_it_is_killed(
    replicas: tuple[Consul, Replica, Replica],
) -> None:
    consul, one, two = replicas
    one.process.start()
    first = one.until(leads=True)
    one.process.wait_until(lambda: "spreading" in one.told()["roots"]["rotation"], "a rotation begun")
    two.process.start()
    two.process.wait_until(lambda: two.told()["leader"] == first["replica"], "known who leads")
    assert (two.told()["leads"], two.told()["roots"]["rotation"]) == (False, "")
    assert (one.metric(), two.metric()) == ("mesh_adapter_leader 1.0", "mesh_adapter_leader 0.0")

    one.process.kill()
    second = two.until(leads=True, seconds=TAKEOVER)
    assert second["leader"] == second["replica"] != first["replica"]
    two.process.wait_until(lambda: "spreading" in two.told()["roots"]["rotation"], "the rotation gone on with")

    # Ended in peace it steps back, and nobody has to wait for its session.
    two.process.stop()
    (key,) = consul.get(f"/v1/kv/{KEY}")
    assert "Session" not in key
