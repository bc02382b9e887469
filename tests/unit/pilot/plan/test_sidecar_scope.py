"""Which Sidecar holds for a proxy, what it makes of the view, and what is in reach then."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from galley.config import ConfigObject
from galley.kinds import sidecar as kind
from galley.kinds.destination_rule import ConnectionPoolSettings, TCPSettings
from galley.kinds.mesh_config import ROOT_NAMESPACE
from galley.kinds.service_entry import LabelSelector
from galley.kinds.virtual_service import Destination, HTTPMirrorPolicy, HTTPRoute, PortSelector
from pilot import ir
from pilot.model.proxy import Inbound, OutboundView, ProxyView, Upstream
from pilot.model.scope import EVERYTHING, EgressListener, HostPattern, Scope
from pilot.model.service import Protocol
from pilot.plan.index import Index
from pilot.plan.proxy import plan_endpoints, plan_inbound, plan_outbound, reduce_view
from pilot.plan.reach import reachable, reachable_service
from pilot.plan.sidecar_scope import scoped
from tests.unit.pilot.plan.world import HTTP, TCP, endpoint, index, service, to, virtual_service

SHOP = (("app", "shop"),)
POOL, OTHER_POOL = (ConnectionPoolSettings(tcp=TCPSettings(max_connections=count)) for count in (3, 4))


def sidecar(name: str = "a", *hosts: str, namespace: str = "default", labels: Any = None, **spec: Any) -> Any:
    """A Sidecar; with one egress listener for these hosts if there are any."""
    if hosts:
        spec["egress"] = (kind.IstioEgressListener(hosts=hosts),)
    selector = LabelSelector(labels) if labels else None
    return ConfigObject("Sidecar", namespace, name, kind.Sidecar(workload_selector=selector, **spec))


def patterns(world: Index, view: OutboundView) -> list[str] | None:
    found = scoped(world, ProxyView(view)).outbound.scope.hosts
    return None if found is None else [f"{each.namespace}/{each.host}" for each in found]


def test_the_most_specific_sidecar_holds() -> None:
    world = index(
        sidecar("all", "./all"),
        sidecar("shop", "./shop", labels=SHOP),
        sidecar("second", "./second", labels=SHOP),
        sidecar("root", "./root", namespace=ROOT_NAMESPACE),
        sidecar("chosen", "./chosen", namespace=ROOT_NAMESPACE, labels=SHOP),
    )
    assert patterns(world, OutboundView(labels=(*SHOP, ("v", "1")))) == ["default/second"]
    assert patterns(world, OutboundView()) == ["default/all"]
    assert patterns(world, OutboundView(namespace="other", labels=SHOP)) == ["other/root"]
    assert patterns(index(), OutboundView()) is None


def test_hosts_are_those_of_the_proxys_namespace_of_others_of_all_or_none() -> None:
    world = index(service("web.example"), sidecar("a", "./web", "*/*", "~/*", "other/*.example"))
    assert patterns(world, OutboundView()) == ["default/web.example", "*/*", "other/*.example"]


@pytest.mark.parametrize(
    ("pattern", "takes"),
    [
        (HostPattern("*", "*"), {"a/x.b", "c/y.b"}),
        (HostPattern("a", "*"), {"a/x.b"}),
        (HostPattern("*", "*.b"), {"a/x.b", "c/y.b"}),
        (HostPattern("*", "y.b"), {"c/y.b"}),
        (HostPattern("a", "y.b"), set()),
    ],
)
def test_a_pattern_takes_a_namespace_and_a_host(pattern: HostPattern, takes: set[str]) -> None:
    pairs = [("a", "x.b"), ("c", "y.b")]
    assert {f"{namespace}/{host}" for namespace, host in pairs if pattern.takes(namespace, host)} == takes


def test_equal_scopes_make_equal_views() -> None:
    world = index(sidecar("a", "./*", labels=SHOP), sidecar("b", "./*"))
    views = [reduce_view(world, ProxyView(OutboundView(labels=labels))) for labels in ((), SHOP)]
    assert views[0] == views[1]
    assert reduce_view(index(), ProxyView()).outbound.scope == EVERYTHING


def test_only_what_is_in_scope_is_in_reach_and_where_its_routes_lead() -> None:
    mirrored = HTTPRoute(route=(to("b.example"),), mirrors=(HTTPMirrorPolicy(Destination("c.example")),))
    world = index(
        *(service(f"{letter}.example") for letter in "abcd"),
        service("a.example", namespace="other"),
        virtual_service("a.example", http=(mirrored,)),
        virtual_service("stranger.example", name="s", http=(HTTPRoute(route=(to("d.example"),)),)),
    )
    view = OutboundView(scope=Scope((HostPattern("default", "a.example"),)))
    assert [each.host for each in reachable(world, view)] == ["a.example", "b.example", "c.example"]
    found = reachable_service(world, view, "c.example")
    assert found is not None
    assert reachable_service(world, view, "d.example") is None
    with_stranger = attrs.evolve(view, scope=Scope((HostPattern("*", "stranger.example"),)))
    assert [each.host for each in reachable(world, with_stranger)] == ["d.example"]
    elsewhere = attrs.evolve(view, scope=Scope((HostPattern("other", "*"),)))
    assert [str(each.key) for each in reachable(world, elsewhere) if each.host == "a.example"] == ["other/a.example"]


def test_endpoints_out_of_scope_are_no_ones_concern() -> None:
    world = index(*(service(f"{letter}.example", endpoints=[endpoint()]) for letter in "ab"))
    view = OutboundView(scope=Scope((HostPattern("*", "a.example"),)))
    keys = {key.host: key for key in world.catalog.services}
    assert plan_endpoints(world, view, keys["a.example"])
    assert plan_endpoints(world, view, keys["b.example"]) == ()


def listener(port: int, protocol: str = "HTTP", *hosts: str, bind: str = "") -> kind.IstioEgressListener:
    return kind.IstioEgressListener(kind.SidecarPort(port, protocol, "p"), bind, hosts=hosts or ("./*",))


def test_egress_listeners_are_listened_on_unless_the_proxy_has_the_port() -> None:
    world = index(sidecar(egress=(listener(9080, bind="127.0.0.2"), listener(9081, "TCP", "./db"), listener(20000))))
    view = ProxyView(upstreams=(Upstream("db", 5432, 20000),))
    scope = scoped(world, view).outbound.scope
    every = HostPattern("default", "*")
    assert scope.hosts == ()
    assert scope.listeners == (
        EgressListener("127.0.0.2", 9080, Protocol.HTTP, (every,)),
        EgressListener("127.0.0.1", 9081, Protocol.TCP, (HostPattern("default", "db"),)),
    )


def test_an_egress_listener_serves_by_host_or_leads_to_its_one_service() -> None:
    both = service("both.example", HTTP, TCP, endpoints=[endpoint()])
    world = index(
        both,
        service("more.example"),
        sidecar(egress=(listener(80), listener(5432, "", "./both.example"), listener(7000, "TCP", "./none.example"))),
    )
    plan = plan_outbound(world, reduce_view(world, ProxyView()).outbound)
    routes = {each.name: [host.name for host in each.virtual_hosts] for each in plan.routes}
    assert routes == {"15001": ["block_all"], "80": ["both.example:80", "more.example:80", "block_all"]}
    filters = {each.name: each.chains[0].filter for each in plan.listeners}
    assert isinstance(filters["127.0.0.1_80"], ir.HttpConnectionManager)
    leads = {
        name: [each.cluster for each in found.clusters]
        for name, found in filters.items()
        if isinstance(found, ir.TcpProxy)
    }
    assert leads == {
        "127.0.0.1_5432": ["outbound|5432||both.example"],
        "127.0.0.1_7000": ["outbound|7000||none.example"],
    }


def ingress(port: int, endpoint: str, **more: Any) -> kind.IstioIngressListener:
    return kind.IstioIngressListener(kind.SidecarPort(port, "", "grpc"), default_endpoint=endpoint, **more)


def test_ingress_takes_the_place_of_what_the_proxy_takes_in() -> None:
    listeners = (
        ingress(9080, "127.0.0.1:8080", connection_pool=POOL),
        ingress(9081, "[::1]:8081", bind="10.0.0.1"),
        ingress(9082, "unix:///run/a"),
        ingress(15001, "127.0.0.1:1"),
    )
    world = index(sidecar(ingress=listeners, inbound_connection_pool=OTHER_POOL))
    found = scoped(world, ProxyView(inbound=(Inbound(8080),))).inbound
    assert found == (
        Inbound(8080, 9080, "0.0.0.0", Protocol.GRPC, workload="127.0.0.1", number=9080, pool=POOL),
        Inbound(8081, 9081, "10.0.0.1", Protocol.GRPC, workload="::1", number=9081, pool=OTHER_POOL),
        Inbound(0, 9082, "0.0.0.0", Protocol.GRPC, workload="unix:///run/a", number=9082, pool=OTHER_POOL),
    )
    plan = plan_inbound(world, "default", found)
    assert [each.name for each in plan.clusters] == ["inbound|9080||", "inbound|9081||", "inbound|9082||"]
    assert [each.circuit_breakers.max_connections for each in plan.clusters] == [3, 4, 4]


def test_a_pool_alone_leaves_what_the_proxy_takes_in() -> None:
    world = index(sidecar(inbound_connection_pool=POOL))
    assert scoped(world, ProxyView(inbound=(Inbound(8080),))).inbound == (Inbound(8080, pool=POOL),)


def policy(egress_proxy: Destination | None = None) -> kind.OutboundTrafficPolicy:
    return kind.OutboundTrafficPolicy(kind.OutboundMode.ALLOW_ANY, egress_proxy)


def test_unknown_hosts_go_where_the_policy_says() -> None:
    def unknown(*parts: Any) -> tuple[ir.Plan, ir.Action]:
        world = index(*parts)
        plan = plan_outbound(world, reduce_view(world, ProxyView()).outbound)
        return plan, plan.routes[0].virtual_hosts[-1].routes[0].action

    _, refused = unknown(sidecar(outbound_traffic_policy=kind.OutboundTrafficPolicy()))
    assert isinstance(refused, ir.DirectResponse)
    plan, action = unknown(sidecar(outbound_traffic_policy=policy()))
    assert isinstance(action, ir.Forward)
    assert [each.cluster for each in action.clusters] == ["PassthroughCluster"]
    assert [each.name for each in plan.clusters] == ["PassthroughCluster"]
    out = Destination("out", "v1", PortSelector(80))
    plan, action = unknown(service("out.example"), sidecar("a", "~/*", outbound_traffic_policy=policy(out)))
    assert isinstance(action, ir.Forward)
    assert [each.cluster for each in action.clusters] == ["outbound|80|v1|out.example"]
    assert [each.name for each in plan.clusters] == ["outbound|80||out.example"]


def test_a_router_is_not_narrowed_by_the_sidecar_of_its_namespace() -> None:
    known = index(service("web.example"), sidecar("a", "./nothing.example"))
    routed = reduce_view(known, ProxyView(router=True))
    assert routed.outbound.scope == EVERYTHING
    assert reduce_view(known, ProxyView()).outbound.scope != EVERYTHING
