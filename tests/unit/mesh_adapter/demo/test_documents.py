"""What the demo writes must be what the control plane reads."""

from __future__ import annotations

from pathlib import Path

from adapters.static.convert import parse
from galley.load import load_files
from mesh_adapter.demo import documents
from mesh_adapter.demo.topology import PORTS_NEEDED, topology

MESH = topology(range(20_000, 20_000 + PORTS_NEEDED))


def test_the_services_are_read_without_a_problem() -> None:
    found = parse(documents.services(MESH).encode(), "demo.yaml", "static")
    assert not found.problems
    assert {service.host: len(service.endpoints) for service in found.services} == {
        "web.demo": 2,
        "reviews.demo": 3,
        "ratings.demo": 2,
    }


def test_endpoints_are_the_envoys_inbound_ports() -> None:
    (web, *_) = parse(documents.services(MESH).encode(), "demo.yaml", "static").services
    assert [each.ports for each in web.endpoints] == [(("http", each.inbound_port),) for each in MESH.of("web")]


def test_the_rules_are_accepted_and_carry_the_weights(tmp_path: Path) -> None:
    file = tmp_path / "reviews.yaml"
    file.write_text(documents.rules({"v1": 90, "v2": 10}))
    config, problems = load_files([file])
    assert not problems
    assert [str(each) for each in config.objects()] == [
        "VirtualService default/reviews",
        "DestinationRule default/reviews",
    ]
    assert "subset: v1}\n      weight: 90\n" in file.read_text()
