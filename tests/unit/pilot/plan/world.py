"""Small worlds for tests of planning: services and rules in few words, and the index over them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from galley.config import Config, ConfigObject
from galley.kinds.destination_rule import DestinationRule
from galley.kinds.virtual_service import Destination, HTTPRoute, HTTPRouteDestination, VirtualService
from pilot.model.catalog import Catalog
from pilot.model.proxy import OutboundView
from pilot.model.service import Endpoint, Port, Protocol, Service, ServiceKey
from pilot.model.snapshot import Snapshot
from pilot.plan.client import Client
from pilot.plan.index import Index

T = TypeVar("T")

HTTP = Port("http", 80, Protocol.HTTP)
TCP = Port("tcp", 5432, Protocol.TCP)


def endpoint(address: str = "10.0.0.1", *, port: int = 8080, name: str = "http", **more: Any) -> Endpoint:
    """An endpoint that listens on one port."""
    return Endpoint(address, ((name, port),), f"{address}:{port}", **more)


def service(
    host: str = "web.example",
    *ports: Port,
    namespace: str = "default",
    endpoints: Iterable[Endpoint] = (),
) -> Service:
    """A service; of HTTP on port 80 unless its ports are given."""
    return Service(ServiceKey(namespace, host), ports or (HTTP,), tuple(endpoints))


def to(host: str = "web.example", weight: int = 0, subset: str = "") -> HTTPRouteDestination:
    """A destination of an HTTP route."""
    return HTTPRouteDestination(Destination(host, subset), weight)


def virtual_service(*hosts: str, name: str = "rule", namespace: str = "default", **spec: Any) -> Any:
    """A virtual service; everything to its first host unless its spec says otherwise."""
    spec = spec or {"http": (HTTPRoute(route=(to(hosts[0]),)),)}
    return _object("VirtualService", namespace, name, VirtualService(hosts=hosts, **spec))


def destination_rule(host: str = "web.example", *, name: str = "rule", namespace: str = "default", **spec: Any) -> Any:
    """A destination rule."""
    return _object("DestinationRule", namespace, name, DestinationRule(host=host, **spec))


def _object(kind: str, namespace: str, name: str, spec: T) -> ConfigObject[T]:
    return ConfigObject(kind, namespace, name, spec)


def snapshot(*parts: Service | ConfigObject[Any]) -> Snapshot:
    """Services and rules, in any order."""
    services = {each.key: each for each in parts if isinstance(each, Service)}
    return Snapshot(Catalog(services), Config.of(each for each in parts if isinstance(each, ConfigObject)))


def index(*parts: Service | ConfigObject[Any]) -> Index:
    return Index.of(snapshot(*parts))


def client(*parts: Service | ConfigObject[Any], view: OutboundView = OutboundView()) -> Client:  # noqa: B008 - frozen
    """Someone who asks in that world."""
    return Client(index(*parts), view)
