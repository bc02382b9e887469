"""Every page of the HTTP face, asked of a real server on a free port."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client import CollectorRegistry

from adapters.platform import Event, Problem, Stale, Synced, Upsert
from galley.document import SourceEvent, Unreadable
from galley.document import Synced as SourceSynced
from mesh_adapter import __version__
from mesh_adapter.control_plane import ControlPlane
from mesh_adapter.http import application
from mesh_adapter.metrics import ControlPlaneCollector
from pilot.xds.server import XdsServer
from pilot.xds.syncz import ConnectionStatus
from tests.unit.galley.documents import loaded, virtual_service
from tests.unit.mesh_adapter.told import DEADLINE, NOW, StartPlane, Told, node, until
from tests.unit.pilot.plan.world import endpoint, service

WEB = service("web.example", endpoints=[endpoint("10.0.0.1", labels=(("version", "v1"),))])
PAGES = (
    "syncz",
    "platforms",
    "registryz",
    "configz",
    "gateway-api",
    "leader",
    "credentials",
    "problems",
    "config_dump",
)


class Connected(XdsServer):
    """The xDS server with the connections that the test says."""

    live: tuple[ConnectionStatus, ...] = ()

    def connections(self) -> tuple[ConnectionStatus, ...]:
        return self.live


class Face:
    """The HTTP face of a control plane with one platform and one source."""

    def __init__(self, platform: Told[Event], source: Told[SourceEvent], start_plane: StartPlane) -> None:
        self.platform, self.source = platform, source
        self.plane: ControlPlane = start_plane({"memory": platform}, {"rules": source})
        registry = CollectorRegistry()
        ControlPlaneCollector(self.plane, registry)
        self.xds = Connected(self.plane.discovery, registry=registry, clock=lambda: NOW)
        self.client = TestClient(TestServer(application(self.plane, self.xds, registry)))

    async def get(self, path: str) -> tuple[int, str]:
        async with self.client.get(path, timeout=aiohttp.ClientTimeout(DEADLINE)) as response:
            return response.status, await response.text()

    async def json(self, path: str) -> Any:
        status, text = await self.get(path)
        assert status == 200, text
        return json.loads(text)

    async def sync(self) -> None:
        self.platform.tell(Upsert(WEB), Synced())
        self.source.tell(loaded(virtual_service()), SourceSynced())
        await asyncio.wait_for(self.plane.ready.wait(), DEADLINE)


@pytest.fixture
async def face(start_plane: StartPlane) -> AsyncIterator[Face]:
    """One that has not synced."""
    made = Face(Told(), Told(), start_plane)
    await made.client.start_server()
    yield made
    await made.client.close()


async def test_healthy_from_the_beginning(face: Face) -> None:
    assert await face.get("/healthz") == (200, "ok\n")


async def test_readiness_says_what_is_waited_for_and_why(face: Face) -> None:
    face.platform.tell(Stale("connection refused"))
    await until(lambda: bool(face.plane.platforms()[0].stale))
    assert await face.get("/readyz") == (
        503,
        "waiting for platform memory: connection refused\nwaiting for configuration rules\n",
    )
    await face.sync()
    assert await face.get("/readyz") == (200, "ready\n")
    assert await face.get("/ready") == (200, "ready\n")


async def test_a_platform_that_goes_later_leaves_it_ready(face: Face) -> None:
    await face.sync()
    face.platform.tell(Stale("connection refused"))
    await until(lambda: bool(face.plane.platforms()[0].stale))
    assert await face.get("/readyz") == (200, "ready\n")


async def test_metrics_are_prometheus_text(face: Face) -> None:
    await face.sync()
    async with face.client.get("/metrics") as response:
        assert response.headers["Content-Type"].startswith("text/plain")
        assert "mesh_adapter_ready 1.0" in await response.text()


async def test_version(face: Face) -> None:
    assert await face.json("/version") == {"version": __version__}


async def test_the_index_lists_every_page(face: Face) -> None:
    assert sorted(await face.json("/debug")) == sorted(f"/debug/{page}" for page in PAGES)


@pytest.mark.parametrize("page", PAGES[:-1])
async def test_every_page_answers_before_anything_is_known(face: Face, page: str) -> None:
    assert await face.json(f"/debug/{page}") is not None


async def test_platforms(face: Face) -> None:
    await face.sync()
    face.platform.tell(Problem("services.yaml:3", "no ports", "give one"), Stale("gone"))
    await until(lambda: bool(face.plane.platforms()[0].stale))
    (found,) = await face.json("/debug/platforms")
    assert (found["name"], found["synced"], found["stale"], found["endpoints"]) == ("memory", True, "gone", 1)
    assert found["problems"] == [{"where": "services.yaml:3", "message": "no ports", "mend": "give one"}]


async def test_registry(face: Face) -> None:
    assert await face.json("/debug/registryz") == []
    await face.sync()
    (found,) = await face.json("/debug/registryz")
    assert (found["host"], found["namespace"]) == ("web.example", "default")
    assert found["ports"] == [{"name": "http", "number": 80, "protocol": "HTTP"}]
    (instance,) = found["endpoints"]
    assert (instance["address"], instance["ports"], instance["platform"]) == ("10.0.0.1", {"http": 8080}, "memory")
    assert (instance["health"], instance["labels"]) == ("HEALTHY", {"version": "v1"})


async def test_configuration_in_force(face: Face) -> None:
    await face.sync()
    assert await face.json("/debug/configz") == [
        {"kind": "VirtualService", "namespace": "default", "name": "reviews", "origin": "rules.yaml:1"}
    ]


async def test_problems_of_all_parts(face: Face) -> None:
    await face.sync()
    face.source.tell(Unreadable("rules.yaml", "rules.yaml:2:1", "is not YAML"))
    await until(lambda: len(face.plane.config_problems()) == 2)
    face.plane.discovery.problems["a view"] = "EDS is not planned"
    found = await face.json("/debug/problems")
    refused, warning = found["configuration"]
    assert (refused["where"], refused["warning"]) == ("rules.yaml:2:1", False)
    assert refused["kept_since"].startswith("2026-03-01")
    assert (warning["code"], warning["warning"]) == ("IST0101", True)
    assert (found["sources"], found["platforms"]) == ({}, [])
    assert found["planning"] == {"a view": "EDS is not planned"}


def connection(name: str = "web-1.default") -> ConnectionStatus:
    return ConnectionStatus(node(name), "ipv4:10.0.0.1:40000", "delta", NOW, ())


async def test_connected_proxies(face: Face) -> None:
    face.xds.live = (connection(),)
    (found,) = await face.json("/debug/syncz")
    assert (found["proxy"], found["variant"]) == ("sidecar~10.0.0.1~web-1.default~service.consul", "delta")


async def test_a_config_dump_by_id_and_by_name(face: Face) -> None:
    face.xds.live = (connection(),)
    await face.sync()
    by_name = await face.json("/debug/config_dump?proxyID=web-1.default")
    assert by_name == await face.json("/debug/config_dump?proxyID=sidecar~10.0.0.1~web-1.default~service.consul")
    clusters = [each["cluster"]["name"] for each in by_name["configs"][0]["dynamic_active_clusters"]]
    assert clusters == ["outbound|80||web.example"]


async def test_a_config_dump_of_an_unknown_proxy_lists_those_there_are(face: Face) -> None:
    assert await face.get("/debug/config_dump") == (
        404,
        "no proxy '' is connected; give proxyID= one of: (none is)\n",
    )
    face.xds.live = (connection("b.default"), connection("a.default"))
    status, text = await face.get("/debug/config_dump?proxyID=c.default")
    assert status == 404
    assert "no proxy 'c.default'" in text
    assert text.index("a.default") < text.index("b.default")


async def test_a_config_dump_before_the_control_plane_is_ready(face: Face) -> None:
    face.xds.live = (connection(),)
    status, text = await face.get("/debug/config_dump?proxyID=web-1.default")
    assert (status, text) == (503, "the control plane is not ready yet\n")


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/none", 404), ("POST", "/debug/configz", 405)])
async def test_it_only_reads(face: Face, method: str, path: str, status: int) -> None:
    async with face.client.request(method, path) as response:
        assert response.status == status


ROUTE = """\
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web}
spec:
  parentRefs: [{group: "", kind: Service, name: web}]
  rules: [{backendRefs: [{name: web, port: 80}, {name: nobody, port: 80}]}]
"""


async def test_what_became_of_the_gateway_api_is_told(face: Face) -> None:
    face.source.tell(loaded(ROUTE, "routes.yaml"))
    await face.sync()
    (status,) = await face.json("/debug/gateway-api")
    assert (status["object"], status["place"]) == ("HTTPRoute default/web", "spec.parentRefs[0] Service default/web")
    assert [(each["type"], each["status"], each["reason"]) for each in status["conditions"]] == [
        ("Accepted", "True", "Accepted"),
        ("ResolvedRefs", "False", "BackendNotFound"),
    ]
    problems = (await face.json("/debug/problems"))["configuration"]
    assert any("backend Service default/nobody is not known" in each["message"] for each in problems)
