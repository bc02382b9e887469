"""One service with instances on several platforms at once: shared out, failed over, and not withdrawn by an outage.

A mesh of its own: its Consul (platform `consul`), another Consul (`west`) and a static file (`static`).
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest
import yaml

from tests.e2e.traffic import Load
from tests.e2e.world import LOOPBACK, ControlPlane, Instance, Mesh, Sidecar, eventually, mesh_adapter
from tests.servers.consul import Consul

pytestmark = pytest.mark.e2e

SERVICE = "spread"
TAKEN_OVER = 1.0
"""Seconds within which the others have taken over."""


@attrs.define
class Spread:
    """The mesh, with an instance of the service on each platform."""

    mesh: Mesh
    west: Consul
    file: Path
    static_file: Path
    by_platform: dict[str, Instance]
    client: Sidecar
    entries: list[dict[str, object]]

    @property
    def control(self) -> ControlPlane:
        return self.mesh.control

    def states(self) -> dict[str, str]:
        return {each["name"]: each["state"] for each in self.control.debug("platforms")}

    def write(self, *without: str, **changed: dict[str, object]) -> None:
        """The platforms file, without some and with others changed."""
        entries = [each | changed.get(str(each["name"]), {}) for each in self.entries if each["name"] not in without]
        self.file.write_text(json.dumps({"platforms": entries}))

    def restore(self) -> None:
        """As at the beginning, whatever a test broke."""
        for instance in self.by_platform.values():
            if not instance.process.running:
                instance.process.start()
        for each in (self.mesh.consul, self.west):
            if not each.running:
                each.start()
        self.mesh.register(self.by_platform["consul"])
        tell_west(self.west, self.by_platform["west"])
        self.static_file.write_text(static_document(self.by_platform["static"]))
        self.write()
        eventually(lambda: set(self.states().values()) == {"SYNCED"} and len(self.states()) == 3, "all are current")
        self.served_by("consul", "west", "static")

    def served_by(self, *platforms: str) -> None:
        self.client.wait_served_by(SERVICE, *(self.by_platform[each] for each in platforms))


def tell_west(west: Consul, instance: Instance, status: str = "passing") -> None:
    west.put(
        "/v1/agent/service/register",
        {
            "ID": instance.name,
            "Name": SERVICE,
            "Address": LOOPBACK,
            "Port": instance.port,
            "Meta": {"protocol": "http"},
            "Check": {"CheckID": instance.check, "TTL": "24h", "Status": status},
        },
    )


def static_document(instance: Instance) -> str:
    """The same service under a name without a dot, on a port of another number."""
    endpoint = {"address": LOOPBACK, "port": instance.port}
    port = {"name": "http", "port": 8080, "protocol": "HTTP"}
    return yaml.safe_dump({"services": [{"name": SERVICE, "ports": [port], "endpoints": [endpoint]}]})


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Spread]:
    folder = tmp_path_factory.mktemp("spread")
    west = Consul(folder / "west", datacenter="west")
    static_file, file = folder / "services.yaml", folder / "platforms.yaml"
    entries: list[dict[str, object]] = [
        {"name": "west", "kind": "consul", "addr": west.http_addr},
        {"name": "static", "file": str(static_file)},
    ]
    with Mesh(folder / "mesh") as mesh:
        instances = {name: mesh.workload(SERVICE, f"{SERVICE}-{name}") for name in ("consul", "west", "static")}
        instances["consul"].meta = {"protocol": "http"}
        static_file.write_text(static_document(instances["static"]))
        file.write_text(json.dumps({"platforms": entries}))
        try:
            west.start()
            mesh.start("--platforms-file", str(file))
            yield Spread(mesh, west, file, static_file, instances, mesh.client(), entries)
        finally:
            west.kill()


@pytest.fixture
def spread(made: Spread) -> Spread:
    made.restore()
    return made


def wait_answered(load: Load, more: int) -> None:
    wanted = load.count + more
    eventually(lambda: load.count >= wanted, f"{more} more requests answered; failures: {load.failures[:3]}")


def test_requests_are_spread_over_all_platforms_by_any_host(spread: Spread) -> None:
    shares = spread.client.shares(SERVICE, 300, connections=1)
    assert {name: round(count / 100) for name, count in shares.items()} == {
        f"{SERVICE}-{name}": 1 for name in ("consul", "west", "static")
    }
    # The static file's port number works on Consul's host too.
    for host in (f"{SERVICE}.service.consul:8080", f"{SERVICE}.service.consul:80", f"{SERVICE}.service:8080"):
        assert len({spread.client.get(host).instance for _ in range(12)}) == 3, host
    (found,) = [each for each in spread.control.debug("registryz") if each["host"].startswith(SERVICE)]
    assert (found["host"], found["aliases"]) == (f"{SERVICE}.service.consul", [SERVICE])
    assert {each["platform"] for each in found["endpoints"]} == {"consul", "west", "static"}


def test_an_outage_of_its_registry_alone_withdraws_nobody(spread: Spread) -> None:
    with spread.client.load(SERVICE) as load:
        spread.mesh.consul.kill()
        spread.west.kill()
        spread.static_file.unlink()
        eventually(lambda: set(spread.states().values()) == {"STALE"}, "all stale")
        wait_answered(load, 300)
        spread.served_by("consul", "west", "static")
        told = mesh_adapter("platforms", "--http-addr", spread.control.http_addr)
        assert told.returncode == 1
        assert told.stdout.count("STALE") == 3
        spread.static_file.write_text(static_document(spread.by_platform["static"]))
        spread.west.start()
        tell_west(spread.west, spread.by_platform["west"])
        eventually(lambda: spread.states() == {"consul": "STALE", "west": "SYNCED", "static": "SYNCED"}, "two are back")
    assert load.failures == []


@pytest.mark.parametrize("killed", ["consul", "west", "static"])
def test_a_platform_that_dies_with_its_workloads_is_taken_over_by_the_others_at_once(
    spread: Spread, killed: str
) -> None:
    others = {f"{SERVICE}-{name}" for name in spread.by_platform if name != killed}
    with spread.client.load(SERVICE) as load:
        wait_answered(load, 100)
        if killed == "static":
            spread.static_file.unlink()
        else:
            (spread.mesh.consul if killed == "consul" else spread.west).kill()
        spread.by_platform[killed].process.kill()
        died = time.monotonic()
        before = load.answered.copy()
        eventually(lambda: all(load.answered[name] > before[name] + 20 for name in others), "the others take over")
        assert time.monotonic() - died < TAKEN_OVER
    # A request that the dying workload had in hand is lost: it may have been carried out, so it is not repeated.
    assert len(load.failures) <= load.threads, load.failures


def test_a_fallback_is_called_when_the_platforms_before_it_fail_and_no_sooner(spread: Spread) -> None:
    spread.write("static", west={"priority": 1})
    spread.served_by("consul")
    with spread.client.load(SERVICE) as load:
        wait_answered(load, 50)
        failed = time.monotonic()
        spread.mesh.fail_check(spread.by_platform["consul"])
        eventually(lambda: load.answered[f"{SERVICE}-west"] > 20, "west takes over")
        assert time.monotonic() - failed < TAKEN_OVER
        spread.mesh.pass_check(spread.by_platform["consul"])
        spread.served_by("consul")
    assert load.failures == []


def test_platforms_come_and_go_while_it_runs(spread: Spread) -> None:
    with spread.client.load(SERVICE) as load:
        spread.write("static")
        spread.served_by("consul", "west")
        assert spread.states().keys() == {"consul", "west"}
        spread.file.write_text("platforms: [")
        eventually(lambda: "not YAML" in str(spread.control.debug("problems")["platforms"]), "the fault is shown")
        spread.served_by("consul", "west")
        spread.write("west")
        spread.served_by("consul", "static")
        assert spread.control.debug("problems")["platforms"] == []
        spread.write()
        spread.served_by("consul", "west", "static")
    assert load.failures == []
