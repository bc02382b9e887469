"""Whatever Gateways and virtual services come together, a router is told nothing that Envoy would refuse."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from galley.config import Config, ConfigObject
from galley.kinds.gateway import Gateway, Server, ServerPort, ServerTLSmode, ServerTLSSettings
from galley.kinds.virtual_service import (
    Destination,
    HTTPRoute,
    HTTPRouteDestination,
    L4MatchAttributes,
    RouteDestination,
    TCPRoute,
    TLSMatchAttributes,
    TLSRoute,
    VirtualService,
)
from pilot.generate import Generator
from pilot.model.catalog import Catalog
from pilot.model.proxy import ProxyView
from pilot.model.snapshot import Snapshot
from pilot.plan.index import Index
from pilot.plan.proxy import plan_gateways, reduce_view
from pilot.xds import cache

HOSTS = ("*", "*.example", "*.a.example", "a.example", "A.example", "x.a.example", "other.org")
ROUTER = ProxyView(router=True)
WEB = Destination("web.example")

namespaces = st.sampled_from(("default", "shop"))
hosts = st.lists(st.sampled_from(HOSTS), min_size=1, max_size=2, unique=True).map(tuple)
server_hosts = st.tuples(st.sampled_from(("", "./", "*/", "shop/")), st.sampled_from(HOSTS)).map("".join)
subnets = st.sampled_from(((), ("10.0.0.0/8",), ("10.0.0.0/8", "10.1.0.0/16")))
tls_settings = st.sampled_from(
    (ServerTLSSettings(), ServerTLSSettings(mode=ServerTLSmode.SIMPLE, server_certificate="c", private_key="k"))
)
servers = st.builds(
    lambda number, protocol, names, tls, redirect: Server(
        ServerPort(number, protocol, f"{protocol}-{number}"),
        hosts=tuple(names),
        tls=tls if protocol in ("HTTPS", "TLS") else ServerTLSSettings(https_redirect=redirect),
    ),
    st.sampled_from((80, 443)),
    st.sampled_from(("HTTP", "GRPC", "HTTPS", "TLS", "TCP")),
    st.lists(server_hosts, min_size=1, max_size=3, unique=True),
    tls_settings,
    st.booleans(),
)
gateways = st.builds(Gateway, st.lists(servers, max_size=3, unique_by=lambda each: each.port).map(tuple))
tls_matches = st.builds(TLSMatchAttributes, sni_hosts=hosts, destination_subnets=subnets)
rules = st.builds(
    VirtualService,
    hosts=hosts,
    gateways=st.lists(st.sampled_from(("a", "shop/b", "default/a", "mesh")), min_size=1, max_size=2).map(tuple),
    http=st.sampled_from(((), (HTTPRoute(route=(HTTPRouteDestination(WEB),)),))),
    tls=st.lists(st.builds(lambda match: TLSRoute((match,), (RouteDestination(WEB),)), tls_matches), max_size=3).map(
        tuple
    ),
    tcp=st.lists(
        st.builds(
            lambda nets: TCPRoute((L4MatchAttributes(destination_subnets=nets),), (RouteDestination(WEB),)), subnets
        ),
        max_size=2,
    ).map(tuple),
)
names = st.sampled_from(("a", "b"))
objects = st.one_of(
    st.builds(ConfigObject[Any], st.just("Gateway"), namespaces, names, gateways),
    st.builds(ConfigObject[Any], st.just("VirtualService"), namespaces, names, rules),
)
worlds = st.lists(objects, max_size=8, unique_by=lambda each: each.key).map(
    lambda found: Snapshot(Catalog(), Config.of(found))
)


@given(worlds)
@settings(max_examples=100, deadline=None)
def test_what_a_router_is_told_is_whole(world: Snapshot) -> None:
    generator = Generator()
    generator.update(world)
    assert cache.problems(generator.resources(ROUTER)) == ()


@given(worlds)
@settings(max_examples=150, deadline=None)
def test_no_two_chains_take_one_connection_and_no_two_hosts_one_request(world: Snapshot) -> None:
    index = Index.of(world)
    view = reduce_view(index, ROUTER)
    found = plan_gateways(index, view.outbound, view.gateways)
    assert len({each.name for each in found.listeners}) == len(found.listeners)
    assert len({each.name for each in found.routes}) == len(found.routes)
    for listener in found.listeners:
        taken = [
            (subnet, name, chain.transport_protocol)
            for chain in listener.chains
            for subnet in chain.destinations or ("",)
            for name in chain.server_names or ("",)
        ]
        assert taken
        assert len(taken) == len(set(taken))
        assert all(name == name.lower() for _, name, _ in taken)
    for routes in found.routes:
        domains = [domain for host in routes.virtual_hosts for domain in host.domains]
        assert domains
        assert len(domains) == len(set(domains))
