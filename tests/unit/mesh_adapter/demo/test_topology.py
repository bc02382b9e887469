"""The mesh on its ports, and the sidecars in it."""

from __future__ import annotations

from mesh_adapter.demo.topology import (
    PORTS_NEEDED,
    SPLIT,
    SURVIVOR,
    VICTIM,
    client_sidecar,
    sidecar,
    topology,
)
from pilot.model.proxy import Inbound, parse_proxy
from pilot.model.service import Protocol
from pilot.sidecar.bootstrap import bootstrap

PORTS = range(20_000, 20_000 + PORTS_NEEDED)
MESH = topology(PORTS)


def test_every_port_is_given_once() -> None:
    given = [
        port for each in MESH.instances for port in (each.port, each.inbound_port, each.outbound_port, each.admin_port)
    ]
    given += [MESH.xds_port, MESH.http_port, MESH.client_outbound_port, MESH.client_admin_port]
    assert sorted(given) == list(PORTS)


def test_the_victim_has_a_survivor_of_its_own_version() -> None:
    victim, survivor = MESH.instance(VICTIM), MESH.instance(SURVIVOR)
    assert (victim.service, victim.version) == (survivor.service, survivor.version) == (SPLIT, "v2")
    assert {each.service for each in MESH.callers(SPLIT)} == {"web"}


def test_the_control_plane_understands_each_sidecar() -> None:
    instance = MESH.instance(VICTIM)
    node = bootstrap(sidecar(MESH, instance))["node"]
    proxy = parse_proxy(node["id"], node["metadata"])
    (inbound,) = proxy.view.inbound
    assert proxy.name == VICTIM
    assert proxy.view.outbound.port == instance.outbound_port
    assert inbound == Inbound(
        instance.port, instance.inbound_port, inbound.address, Protocol.HTTP, service="reviews.demo"
    )


def test_nothing_comes_in_at_the_client() -> None:
    node = bootstrap(client_sidecar(MESH))["node"]
    proxy = parse_proxy(node["id"], node["metadata"])
    assert proxy.view.inbound == ()
    assert proxy.view.outbound.port == MESH.client_outbound_port
