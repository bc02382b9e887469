"""The control plane's own figures, as a scrape reads them."""

from __future__ import annotations

import asyncio
from pathlib import Path

from prometheus_client import CollectorRegistry

import pilot.xds.metrics
from adapters.platform import Event, Problem, Stale, Synced, Upsert
from galley.document import SourceEvent
from galley.document import Synced as SourceSynced
from mesh_adapter import __version__
from mesh_adapter.metrics import ControlPlaneCollector
from pilot.model.service import Health
from pilot.xds.metrics import XdsMetrics
from tests.unit.galley.documents import loaded, virtual_service
from tests.unit.mesh_adapter.told import DEADLINE, StartPlane, Told, node, until
from tests.unit.pilot.plan.world import endpoint, service

WEB = service("web.example", endpoints=[endpoint("10.0.0.1"), endpoint("10.0.0.2", health=Health.DRAINING)])
OPERATING = Path(__file__).parents[3] / "docs" / "operating.md"


async def test_before_anything_is_known(start_plane: StartPlane) -> None:
    registry = CollectorRegistry()
    ControlPlaneCollector(start_plane({"memory": Told()}), registry)
    assert registry.get_sample_value("mesh_adapter_ready") == 0
    assert registry.get_sample_value("pilot_services") == 0
    assert registry.get_sample_value("mesh_adapter_platform_synced", {"platform": "memory"}) == 0
    assert registry.get_sample_value("pilot_info", {"version": __version__}) == 1


async def test_figures_of_the_model_the_platforms_and_the_configuration(start_plane: StartPlane) -> None:
    platform: Told[Event] = Told(Upsert(WEB), Problem("here", "bad"), Synced())
    refused = virtual_service("hosts: [a]\nnone: 1\n", name="b")
    source: Told[SourceEvent] = Told(loaded(virtual_service() + "---\n" + refused), SourceSynced())
    plane = start_plane({"memory": platform}, {"rules": source})
    registry = CollectorRegistry()
    ControlPlaneCollector(plane, registry)
    await asyncio.wait_for(plane.ready.wait(), DEADLINE)
    plane.discovery.connect(node())
    platform.tell(Stale("away"))
    await until(lambda: bool(plane.platforms()[0].stale))

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(name, labels)

    assert (value("mesh_adapter_ready"), value("mesh_adapter_views")) == (1, 1)
    assert (value("pilot_services"), value("pilot_endpoint_not_ready")) == (1, 1)
    assert value("pilot_virt_services") == 1
    assert (value("mesh_adapter_resources_encoded_total") or 0) > 0
    for name, expected in {"synced": 1, "stale": 1, "services": 1, "endpoints": 2, "problems": 1}.items():
        assert value(f"mesh_adapter_platform_{name}", platform="memory") == expected, name
    assert value("galley_validation_passed", kind="VirtualService") == 1
    assert value("galley_validation_failed", kind="VirtualService") == 1
    assert value("pilot_total_rejected_configs") == 1


async def test_the_guide_explains_every_metric(start_plane: StartPlane) -> None:
    registry = CollectorRegistry()
    ControlPlaneCollector(start_plane({"memory": Told()}), registry)
    XdsMetrics(registry)
    text = OPERATING.read_text(encoding="utf-8")
    names = {family.name for family in registry.collect()}
    assert "pilot_xds_pushes" in names, pilot.xds.metrics
    assert sorted(name for name in names if f"`{name}" not in text) == []
