"""The HTTP face on 15014: metrics, health, readiness, and what the control plane knows, as JSON.

Reads, never changes. All in the event loop of the control plane.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import attrs
from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from galley.config import ConfigObject, Problem
from galley.gateway_api.status import Status
from mesh_adapter import __version__
from mesh_adapter.control_plane import ControlPlane
from mesh_adapter.leadership import Alone, Leadership
from mesh_adapter.root_schedule import RootSchedule
from pilot.discovery import agent_of
from pilot.envoy.dump import config_dump
from pilot.model.service import Service
from pilot.xds.server import XdsServer
from pilot.xds.syncz import syncz


def application(
    plane: ControlPlane,
    xds: XdsServer,
    registry: CollectorRegistry,
    leadership: Leadership | None = None,
    schedule: RootSchedule | None = None,
) -> web.Application:
    """The routes; `/debug` lists its own."""
    pages = Pages(plane, xds, registry, leadership or Alone(), schedule)
    app = web.Application()
    app.router.add_get("/healthz", pages.health)
    app.router.add_get("/readyz", pages.ready)
    app.router.add_get("/ready", pages.ready)
    app.router.add_get("/metrics", pages.metrics)
    app.router.add_get("/version", pages.version)
    app.router.add_get("/debug", pages.debug_index)
    for path, (handler, _) in pages.debug().items():
        app.router.add_get(path, handler)
    return app


class Pages:
    """One method a page."""

    def __init__(
        self,
        plane: ControlPlane,
        xds: XdsServer,
        registry: CollectorRegistry,
        leadership: Leadership,
        schedule: RootSchedule | None,
    ) -> None:
        self._leadership, self._schedule = leadership, schedule
        self._plane = plane
        self._xds = xds
        self._registry = registry

    def debug(self) -> Mapping[str, tuple[Any, str]]:
        return {
            "/debug/syncz": (self.syncz, "connected proxies and how far each is, by type"),
            "/debug/platforms": (self.platforms, "platforms: synced, stale and why, problems"),
            "/debug/registryz": (self.registry, "services and endpoints, platforms and configuration merged"),
            "/debug/configz": (self.config, "configuration objects in force"),
            "/debug/gateway-api": (self.gateway_api, "conditions of the Gateway API's classes, Gateways and routes"),
            "/debug/leader": (self.leader, "whether this replica leads, who does, and how the roots it rotates are"),
            "/debug/credentials": (self.credentials, "secrets by name: where they are from, what is wrong; no content"),
            "/debug/problems": (self.problems, "refused documents, warnings, conflicts"),
            "/debug/config_dump": (self.config_dump, "?proxyID=ID: what that proxy is told, as Envoy dumps it"),
        }

    async def debug_index(self, _: web.Request) -> web.Response:
        return _json({path: text for path, (_, text) in self.debug().items()})

    async def health(self, _: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def ready(self, _: web.Request) -> web.Response:
        status = self._plane.status()
        if status.ready and self._plane.discovery.ready:
            return web.Response(text="ready\n")
        text = "".join(f"waiting for {each}\n" for each in status.waiting) or "planning\n"
        return web.Response(status=503, text=text)

    async def metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def version(self, _: web.Request) -> web.Response:
        return _json({"version": __version__})

    async def syncz(self, _: web.Request) -> web.Response:
        return _json(syncz(self._xds.connections()))

    async def platforms(self, _: web.Request) -> web.Response:
        return _json([{"state": each.state, **attrs.asdict(each)} for each in self._plane.platforms()])

    async def registry(self, _: web.Request) -> web.Response:
        services = self._plane.discovery.catalog.services
        return _json([_service(service) for _, service in sorted(services.items())])

    async def config(self, _: web.Request) -> web.Response:
        objects = self._plane.config_state().config().objects()
        return _json(
            [
                {"kind": _kind_name(each), "namespace": each.namespace, "name": each.name, "origin": each.origin}
                for each in objects
            ]
        )

    async def gateway_api(self, _: web.Request) -> web.Response:
        return _json([_status(each) for each in self._plane.discovery.statuses])

    async def leader(self, _: web.Request) -> web.Response:
        of = self._leadership
        roots = attrs.asdict(self._schedule.progress) if self._schedule else {}
        found = {"replica": of.replica, "leads": of.leads(), "leader": of.leader, "trouble": of.trouble}
        return _json(found | {"roots": roots})

    async def problems(self, _: web.Request) -> web.Response:
        return _json(
            {
                "configuration": [attrs.asdict(each) for each in self._plane.config_problems()],
                "sources": {**self._plane.stale_sources(), **self._plane.credentials.stale()},
                "platforms": [attrs.asdict(each) for each in self._plane.platform_conflicts()],
                "credentials": [attrs.asdict(each) for each in self._credential_problems()],
                "planning": dict(self._plane.discovery.problems),
            }
        )

    async def credentials(self, _: web.Request) -> web.Response:
        return _json([attrs.asdict(each) for each in self._plane.credentials.status()])

    def _credential_problems(self) -> tuple[Problem, ...]:
        return (*self._plane.credentials.problems(), *self._plane.discovery.missing_secrets())

    async def config_dump(self, request: web.Request) -> web.Response:
        proxy = request.query.get("proxyID", "")
        node = next(
            (each.node for each in self._xds.connections() if proxy in (each.node.id, _name(each.node.id))), None
        )
        if node is None:
            known = sorted({each.node.id for each in self._xds.connections()})
            text = f"no proxy {proxy!r} is connected; give proxyID= one of: {', '.join(known) or '(none is)'}\n"
            return web.Response(status=404, text=text)
        resources = self._plane.discovery.resources_for(node.id, node.metadata, node.locality, agent_of(node))
        if resources is None:
            return web.Response(status=503, text="the control plane is not ready yet\n")
        return _json(config_dump(resources))


def _status(status: Status) -> dict[str, Any]:
    """In the words of Kubernetes."""
    conditions = [
        {"type": each.type, "status": str(each.holds), "reason": each.reason, "message": each.message}
        for each in status.conditions
    ]
    return {"object": str(status.object), "place": status.place, "conditions": conditions}


def _kind_name(each: ConfigObject[Any]) -> str:
    """As its document has it, without a group."""
    return each.kind.rpartition("/")[2]


def _name(node_id: str) -> str:
    """NAME.NAMESPACE of an id in Istio's grammar: what people call a proxy."""
    parts = node_id.split("~")
    return parts[2] if len(parts) == 4 else node_id


def _service(service: Service) -> dict[str, Any]:
    return {
        "host": service.host,
        "namespace": service.namespace,
        "aliases": list(service.aliases),
        "origin": service.origin,
        "labels": dict(service.labels),
        "ports": [{"name": p.name, "number": p.number, "protocol": p.protocol.value} for p in service.ports],
        "endpoints": [
            {
                "address": each.address,
                "ports": dict(each.ports),
                "instance": each.instance,
                "platform": each.platform,
                "health": each.health.value,
                "weight": each.weight,
                "labels": dict(each.labels),
                "locality": str(each.locality),
                "network": each.network,
                "priority": each.priority,
                "serviceAccount": each.service_account,
            }
            for each in service.endpoints
        ],
    }


def _json(value: Any) -> web.Response:
    return web.Response(text=json.dumps(value, indent=2, default=str) + "\n", content_type="application/json")
