"""Configured services and scopes in generation: a change of one endpoint stays small, and equal scopes share all."""

from __future__ import annotations

from typing import Any

from galley.config import Config, ConfigObject
from galley.kinds.service_entry import LabelSelector, Resolution, ServiceEntry, ServicePort
from galley.kinds.sidecar import IstioEgressListener, Sidecar
from galley.kinds.virtual_service import Destination, HTTPRoute, HTTPRouteDestination, VirtualService
from pilot.generate import Generator
from pilot.model.catalog import Catalog
from pilot.model.proxy import OutboundView, ProxyView
from pilot.model.service import Endpoint, Port, Protocol, Service, ServiceKey
from pilot.model.snapshot import Snapshot
from pilot.xds.resource import CDS, EDS, LDS, RDS

LABELS = (("app", "shop"),)
PORTS = (ServicePort(80, "HTTP", "http"),)


def configured(*objects: ConfigObject[Any]) -> Config:
    spec = ServiceEntry(
        hosts=("shop.mesh",), ports=PORTS, resolution=Resolution.STATIC, workload_selector=LabelSelector(LABELS)
    )
    return Config.of([ConfigObject("ServiceEntry", "default", "shop", spec), *objects])


def catalog(address: str) -> Catalog:
    endpoint = Endpoint(address, (("http", 8080),), address, labels=LABELS)
    key = ServiceKey("default", "old.example")
    return Catalog({key: Service(key, (Port("http", 80, Protocol.HTTP),), (endpoint,))})


def test_an_endpoint_that_an_entry_selects_changes_load_assignments_only() -> None:
    config, generator = configured(), Generator()
    generator.update(Snapshot(catalog("10.0.0.1"), config))
    before = generator.resources(ProxyView())
    encoded = generator.encoded
    generator.update(Snapshot(catalog("10.0.0.2"), config))
    after = generator.resources(ProxyView())
    assert all(after[each] is before[each] for each in (CDS, LDS, RDS))
    assert after[EDS] is not before[EDS]
    assert generator.encoded - encoded == 2
    assert set(after[EDS].resources) == {"outbound|80||old.example", "outbound|80||shop.mesh"}


def test_what_changes_out_of_scope_changes_nothing() -> None:
    scope = Sidecar(egress=(IstioEgressListener(hosts=("*/nothing.example",)),))
    config, generator = configured(ConfigObject("Sidecar", "default", "a", scope)), Generator()
    generator.update(Snapshot(catalog("10.0.0.1"), config))
    before = generator.resources(ProxyView())
    elsewhere = generator.resources(ProxyView(OutboundView("other")))
    generator.update(Snapshot(catalog("10.0.0.2"), config))
    assert generator.resources(ProxyView()) == before
    assert not before[CDS].resources
    assert generator.resources(ProxyView(OutboundView("other")))[EDS] is not elsewhere[EDS]


def test_proxies_of_one_scope_share_their_resources() -> None:
    scope = Sidecar(egress=(IstioEgressListener(hosts=("./old.example",)),))
    selecting = Sidecar(workload_selector=LabelSelector(LABELS), egress=scope.egress)
    objects = (ConfigObject("Sidecar", "default", "a", scope), ConfigObject("Sidecar", "default", "b", selecting))
    generator = Generator()
    generator.update(Snapshot(catalog("10.0.0.1"), configured(*objects)))
    views = (ProxyView(), ProxyView(OutboundView(labels=LABELS)))
    assert generator.resources(views[0]) is generator.resources(views[1])
    assert set(generator.resources(views[0])[CDS].resources) == {"outbound|80||old.example"}


def test_a_changed_virtual_service_changes_the_routes_alone_and_plans_the_others_no_more() -> None:
    services = catalog("10.0.0.1")
    others = [route(name, "old.example") for name in ("a.example", "b.example")]
    generator = Generator()
    generator.update(Snapshot(services, configured(route("c.example", "old.example"), *others)))
    before = generator.resources(ProxyView())
    encoded = generator.encoded
    generator.update(Snapshot(services, configured(route("c.example", "shop.mesh"), *others)))
    after = generator.resources(ProxyView())
    assert all(after[each] is before[each] for each in (CDS, EDS, LDS))
    assert b"shop.mesh" in after[RDS].resources["15001"].body.split(b"c.example:80")[-1]
    assert generator.encoded - encoded == 1


def route(host: str, to: str) -> ConfigObject[VirtualService]:
    spec = VirtualService((host,), http=(HTTPRoute(route=(HTTPRouteDestination(Destination(to)),)),))
    return ConfigObject("VirtualService", "default", host, spec)
