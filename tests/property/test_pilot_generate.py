"""However a mesh came to be as it is, proxies are told the same, and nothing that Envoy would refuse."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st

from galley.config import Config, ConfigObject, ObjectKey
from galley.kinds.destination_rule import (
    ConsistentHashLB,
    DestinationRule,
    Distribute,
    LoadBalancerSettings,
    LocalityLoadBalancerSetting,
    OutlierDetection,
    SimpleLB,
    Subset,
    TrafficPolicy,
)
from galley.kinds.selector import WorkloadSelector
from galley.kinds.virtual_service import (
    Destination,
    HTTPMatchRequest,
    HTTPRoute,
    HTTPRouteDestination,
    RouteDestination,
    StringMatch,
    TCPRoute,
    VirtualService,
)
from pilot.generate import Generator
from pilot.model.catalog import Catalog
from pilot.model.proxy import Inbound, OutboundView, ProxyView, Upstream
from pilot.model.service import Endpoint, Health, Labels, Locality, Port, Protocol, Service, ServiceKey
from pilot.model.snapshot import Snapshot
from pilot.plan.index import Index
from pilot.plan.proxy import plan_outbound, plan_upstreams
from pilot.xds import cache
from pilot.xds.resource import ORDER

NAMESPACES = ("default", "shop")
HOSTS = ("web", "web.default", "web.default.svc", "web.shop.svc", "WEB.default", "api.example")
RULE_HOSTS = (*HOSTS, "api", "*.svc", "*.example", "absent.example", "Absent.example")
ADDRESSES = ("10.0.0.1", "10.0.0.2", "::1", "web-1.internal")
LABELS: tuple[Labels, ...] = ((), (("version", "v1"),), (("app", "shop"), ("version", "v2")))

VIEWS = (
    ProxyView(),
    ProxyView(OutboundView("shop", LABELS[2], locality=Locality("eu", "eu-1"))),
    ProxyView(OutboundView("shop", LABELS[2], locality=Locality("eu", "eu-1")), proxyless=True),
    ProxyView(
        OutboundView(labels=LABELS[1]),
        upstreams=(Upstream("web", 80, 9001), Upstream("api.example", 8080, 9002), Upstream("absent", 1, 9003)),
        inbound=(Inbound(8080, service="web"), Inbound(9090, 20000, protocol=Protocol.TCP)),
    ),
)

some_labels = st.sampled_from(LABELS)
namespaces = st.sampled_from(NAMESPACES)
rule_hosts = st.sampled_from(RULE_HOSTS)
ports = st.lists(
    st.builds(Port, st.sampled_from(("http", "main")), st.sampled_from((80, 8080, 9000)), st.sampled_from(Protocol)),
    min_size=1,
    max_size=3,
)
endpoints = st.builds(
    Endpoint,
    address=st.sampled_from(ADDRESSES),
    ports=st.just((("http", 8080), ("main", 9090))),
    instance=st.just(""),
    labels=some_labels,
    locality=st.sampled_from((Locality(), Locality("eu", "eu-1"), Locality("us"))),
    weight=st.sampled_from((0, 1, 5)),
    health=st.sampled_from(Health),
)
services = st.builds(
    Service,
    key=st.builds(ServiceKey, namespaces, st.sampled_from(HOSTS)),
    ports=ports.map(tuple),
    endpoints=st.lists(endpoints, max_size=3).map(tuple),
)
destinations = st.builds(Destination, host=rule_hosts, subset=st.sampled_from(("", "v1")))
matches = st.builds(
    HTTPMatchRequest,
    uri=st.sampled_from((None, StringMatch(prefix="/a"), StringMatch(exact="/"))),
    source_labels=some_labels,
    port=st.sampled_from((0, 80)),
)
http_routes = st.builds(
    HTTPRoute,
    match=st.lists(matches, max_size=2).map(tuple),
    route=st.lists(st.builds(HTTPRouteDestination, destinations), min_size=1, max_size=2).map(tuple),
)
tcp_routes = st.builds(TCPRoute, route=st.builds(RouteDestination, destinations).map(lambda each: (each,)))
virtual_services = st.builds(
    VirtualService,
    hosts=st.lists(rule_hosts, min_size=1, max_size=2, unique=True).map(tuple),
    http=st.lists(http_routes, max_size=2).map(tuple),
    tcp=st.lists(tcp_routes, max_size=1).map(tuple),
)
balancers = (
    LoadBalancerSettings(simple=SimpleLB.RANDOM),
    LoadBalancerSettings(),
    LoadBalancerSettings(consistent_hash=ConsistentHashLB(http_header_name="x-user")),
    LoadBalancerSettings(
        locality_lb_setting=LocalityLoadBalancerSetting(distribute=(Distribute("eu/*", (("eu", 90), ("us", 10))),))
    ),
    LoadBalancerSettings(locality_lb_setting=LocalityLoadBalancerSetting(failover_priority=("version",))),
)
policies = st.one_of(
    st.none(),
    st.builds(
        TrafficPolicy,
        load_balancer=st.sampled_from((None, *balancers)),
        outlier_detection=st.sampled_from((None, OutlierDetection(consecutive_5xx_errors=3))),
    ),
)
selectors = st.sampled_from((None, WorkloadSelector(LABELS[1]), WorkloadSelector(LABELS[2])))
visible = st.sampled_from(((), ("*",), (".",), ("shop",)))
subsets = st.builds(Subset, name=st.sampled_from(("v1", "v2")), labels=some_labels, traffic_policy=policies)
destination_rules = st.builds(
    DestinationRule,
    host=rule_hosts,
    traffic_policy=policies,
    subsets=st.lists(subsets, max_size=2).map(tuple),
    export_to=visible,
    workload_selector=selectors,
)
names = st.sampled_from(("a", "b"))
objects = st.one_of(
    st.builds(ConfigObject[Any], st.just("VirtualService"), namespaces, names, virtual_services),
    st.builds(ConfigObject[Any], st.just("DestinationRule"), namespaces, names, destination_rules),
)


@attrs.frozen
class Forget:
    """Of something that may be there: a service or a rule."""

    key: ServiceKey | ObjectKey


@attrs.frozen
class Endpoints:
    """A service's endpoints are others from now on."""

    key: ServiceKey
    endpoints: tuple[Endpoint, ...]


Change = Service | ConfigObject[Any] | Forget | Endpoints

keys = st.builds(ServiceKey, namespaces, st.sampled_from(HOSTS))
object_keys = st.builds(ObjectKey, st.sampled_from(("VirtualService", "DestinationRule")), namespaces, names)
changes = st.one_of(
    services,
    objects,
    st.builds(Forget, st.one_of(keys, object_keys)),
    st.builds(Endpoints, keys, st.lists(endpoints, max_size=3).map(tuple)),
)


@attrs.define
class World:
    """What changes, and the snapshots it goes through; like the real ones they share what did not change."""

    snapshot: Snapshot = attrs.field(factory=lambda: Snapshot(Catalog(), Config()))

    def take(self, change: Change) -> None:
        known = dict(self.snapshot.catalog.services)
        rules = {each.key: each for each in self.snapshot.config.objects()}
        match change:
            case Service():
                known[change.key] = change
            case ConfigObject():
                rules[change.key] = change
            case Endpoints(key, found) if key in known:
                known[key] = attrs.evolve(known[key], endpoints=found)
            case Forget(ServiceKey() as key):
                known.pop(key, None)
            case Forget(ObjectKey() as key):
                rules.pop(key, None)
        same = list(rules.values()) == list(self.snapshot.config.objects())
        self.snapshot = Snapshot(Catalog(known), self.snapshot.config if same else Config.of(rules.values()))


def versions(generator: Generator, views: Iterable[ProxyView] = VIEWS) -> Mapping[ProxyView, list[str]]:
    return {view: [generator.resources(view)[type_url].version for type_url in ORDER] for view in views}


def world_of(history: Iterable[Change]) -> World:
    world = World()
    for change in history:
        world.take(change)
    return world


@given(st.lists(st.tuples(changes, st.booleans()), min_size=1, max_size=12))
@settings(max_examples=200, deadline=None)
def test_after_any_history_the_outcome_is_that_of_a_fresh_start(history: list[tuple[Change, bool]]) -> None:
    """Proxies ask after some changes and not after others, so that what is remembered is of several ages."""
    world, lasting = World(), Generator()
    for change, asked in history:
        world.take(change)
        lasting.update(world.snapshot)
        if asked:
            versions(lasting, VIEWS[:2])
    fresh = Generator()
    fresh.update(world.snapshot)
    assert versions(lasting) == versions(fresh)


@given(st.lists(changes, max_size=12))
@settings(max_examples=200, deadline=None)
def test_what_a_proxy_is_told_is_whole(history: list[Change]) -> None:
    generator = Generator()
    generator.update(world_of(history).snapshot)
    for view in VIEWS:
        assert cache.problems(generator.resources(view)) == ()


@given(st.lists(changes, max_size=12))
@settings(max_examples=200, deadline=None)
def test_every_domain_leads_one_way_and_every_virtual_host_has_one(history: list[Change]) -> None:
    index = Index.of(world_of(history).snapshot)
    for view in VIEWS:
        plans = (plan_outbound(index, view.outbound), plan_upstreams(index, view.outbound, view.upstreams))
        for routes in (each for plan in plans for each in plan.routes):
            domains = [domain.lower() for host in routes.virtual_hosts for domain in host.domains]
            assert len(domains) == len(set(domains))
            assert all(host.domains and host.routes is not None for host in routes.virtual_hosts)
