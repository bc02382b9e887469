"""Consul or the control plane goes away: traffic goes on, and afterwards everything is followed again."""

from __future__ import annotations

import pytest

from tests.e2e.traffic import Load
from tests.e2e.world import Mesh, Sidecar, eventually, mesh_adapter

pytestmark = pytest.mark.e2e


def wait_answered(load: Load, more: int) -> None:
    """Until so many more requests were answered well."""
    wanted = load.count + more
    eventually(lambda: load.count >= wanted, f"{more} more requests answered; failures: {load.failures[:3]}")


def test_a_consul_that_comes_back_empty_withdraws_nothing_until_it_knows_the_services_again(mesh: Mesh) -> None:
    control = mesh.start()
    first, second = mesh.instance("web", "web-1"), mesh.instance("web", "web-2")
    client = mesh.client()
    client.wait_served_by("web", first, second)
    with client.load("web") as load:
        mesh.consul.kill()
        eventually(lambda: control.platform()["stale"] != "", "stale")
        wait_answered(load, 200)
        mesh.consul.start()
        assert mesh.consul.get("/v1/health/service/web") == []
        eventually(lambda: "suspect: 2 instances of 1 services" in control.platform()["stale"], "suspect")
        wait_answered(load, 200)
        client.wait_served_by("web", first, second)

        mesh.register(first)
        mesh.register(second)
        eventually(lambda: control.platform()["stale"] == "", "current again")
        mesh.deregister(first)
        client.wait_served_by("web", second)
    assert load.failures == []
    assert load.answered.keys() == {"web-1", "web-2"}


def test_a_consul_that_stays_empty_is_believed_after_the_hold(mesh: Mesh) -> None:
    control = mesh.start("--consul-empty-hold", "4")
    web = mesh.instance("web")
    client = mesh.client()
    client.wait_served_by("web", web)
    mesh.consul.restart(empty=True)
    eventually(lambda: "suspect" in control.platform()["stale"], "suspect")
    assert client.get("web").status == 200
    eventually(lambda: control.endpoints("web") == set(), "withdrawn")
    eventually(lambda: client.get("web").status != 200, "refused")
    assert control.platform()["stale"] == ""


NEWS = ("_added", "_modified", "_removed", "_rejected", ".config_reload", ".membership_change")
"""What Envoy counts when it takes up, or refuses, what it did not have: by the ends of the counters' names."""
TOLD = ("cluster_manager.cds.update_success", "listener_manager.lds.update_success")


def news(sidecar: Sidecar) -> dict[str, int]:
    """Those counters, how often clusters and listeners were told at all, and what is warming now."""
    found = sidecar.stats().items()
    return {
        name: value
        for name, value in found
        if value and (name.endswith(NEWS) or name in TOLD or "_warming" in name or "warming_" in name)
    }


def test_a_control_plane_that_is_killed_and_restarted_costs_no_request_and_no_needless_update(mesh: Mesh) -> None:
    """A proxy that asks for changes only, and one that asks for everything, each under load."""
    control = mesh.start()
    web = mesh.instance("web", "web-1", sidecar=True)
    clients = [mesh.client("--xds-mode", mode, name=mode) for mode in ("delta", "sotw")]
    for each in clients:
        each.wait_served_by("web", web)
    with clients[0].load("web") as one, clients[1].load("web") as other:
        before = [news(each) for each in clients]
        assert all(before)
        control.process.kill()
        eventually(lambda: not any(map(connected, clients)), "all disconnected")
        wait_answered(one, 100)
        wait_answered(other, 100)
        control.start()
        eventually(lambda: all(map(connected, clients)), "all connected again", seconds=RECONNECTION)
        eventually(lambda: states(control.http_addr) == [["SYNCED"] * 4] * 3, "every type SYNCED at every proxy")
        wait_answered(one, 100)
        wait_answered(other, 100)
        assert [news(each) for each in clients] == before

        second = mesh.instance("web", "web-2")
        for each in clients:
            each.wait_served_by("web", web, second)
    assert one.failures == other.failures == []


RECONNECTION = 60.0
"""Envoy's pauses between attempts double up to 30 seconds."""


def connected(sidecar: Sidecar) -> bool:
    """Whether its stream to the control plane stands."""
    return sidecar.stat("control_plane.connected_state") == 1


def states(http_addr: str) -> list[list[str]]:
    """The states of CDS, LDS, EDS and RDS of each proxy that proxy-status lists."""
    told = mesh_adapter("proxy-status", "--http-addr", http_addr).stdout.replace("NOT SENT", "NOT-SENT")
    return [line.split()[1:5] for line in told.splitlines()[1:]]
