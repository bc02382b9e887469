"""What Envoy would refuse is known before it is told, as far as that goes."""

from __future__ import annotations

from typing import Any

import pytest

from pilot.envoy.patches.check import BrokenError, check_cluster, check_listener, check_routes
from tests.unit.pilot.envoy.patches.messages import (
    ADDRESS,
    CLUSTER,
    LISTENER,
    LUA,
    NETWORK,
    ROUTER,
    ROUTES,
    TCP_PROXY,
    manager,
    read,
)

SNI = {"name": "sni", "typed_config": {"@type": f"{NETWORK}.sni_cluster.v3.SniCluster"}}
UNTOLD = {"name": "own", "typed_config": {"@type": "type.googleapis.com/xds.type.v3.TypedStruct", "type_url": "a"}}


def listener(*filters: dict[str, Any], **more: Any) -> Any:
    return read(LISTENER, {"name": "a", "address": ADDRESS, "filter_chains": [{"filters": list(filters)}], **more})


@pytest.mark.parametrize("filters", [(TCP_PROXY,), (SNI, TCP_PROXY), (manager(LUA, ROUTER),), (UNTOLD,)])
def test_a_whole_listener_passes(filters: tuple[dict[str, Any], ...]) -> None:
    check_listener(listener(*filters))


def test_an_api_listener_needs_no_chain() -> None:
    check_listener(read(LISTENER, {"name": "a", "api_listener": {}}))


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (read(LISTENER, {"address": ADDRESS}), "the listener has no name"),
        (read(LISTENER, {"name": "a"}), "listener a has no address"),
        (read(LISTENER, {"name": "a", "address": {}}), "listener a has an empty address"),
        (read(LISTENER, {"name": "a", "address": ADDRESS}), "listener a has no filter chain"),
        (listener(), "filter chain \\(without a name\\) has no filter"),
        (listener(SNI), "network filter sni is the last, but does not end the chain"),
        (listener(TCP_PROXY, SNI), "tcp_proxy ends the chain and must be the last, but sni is"),
        (listener(manager(ROUTER, LUA)), "router ends the chain and must be the last, but lua is"),
        (listener(manager(LUA)), "HTTP filter lua is the last, but does not end the chain"),
        (listener(manager()), "has no http_filters"),
        (listener(manager(ROUTER, stat_prefix="")), "has no stat_prefix"),
        (listener(TCP_PROXY, listener_filters=[{"name": "a"}]), "listener filter a has no typed_config"),
        (
            listener(filter_chains=[{"name": "b", "filters": [TCP_PROXY]}, {"name": "c", "filters": [TCP_PROXY]}]),
            "filter chains b and c take the same connections",
        ),
    ],
)
def test_a_listener_that_envoy_would_refuse(broken: Any, reason: str) -> None:
    with pytest.raises(BrokenError, match=reason):
        check_listener(broken)


def host(name: str, *domains: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "domains": list(domains), **more}


@pytest.mark.parametrize(
    ("hosts", "reason"),
    [
        ([host("a", "a.example", "A.example")], "domain 'A.example' is in virtual host a and in a"),
        ([host("a", "*"), host("b", "*")], "domain '\\*' is in virtual host a and in b"),
        ([host("a")], "virtual host a has no domains"),
        ([host("", "a")], "the virtual host has no name"),
        (
            [host("a", "a", routes=[{"name": "r", "direct_response": {"status": 200}}])],
            "route r has no match of a path",
        ),
        ([host("a", "a", routes=[{"match": {"path": "/"}, "route": {}}])], "leads to no cluster"),
    ],
)
def test_routes_that_envoy_would_refuse(hosts: list[dict[str, Any]], reason: str) -> None:
    with pytest.raises(BrokenError, match=reason):
        check_routes(read(ROUTES, {"name": "a", "virtual_hosts": hosts}))


@pytest.mark.parametrize(
    ("cluster", "reason"),
    [
        ({}, "the cluster has no name"),
        ({"name": "a", "connect_timeout": "0s"}, "cluster a has a connect_timeout that is not above 0s"),
        ({"name": "a", "load_assignment": {}}, "cluster a has a load_assignment without cluster_name"),
    ],
)
def test_a_cluster_that_envoy_would_refuse(cluster: dict[str, Any], reason: str) -> None:
    with pytest.raises(BrokenError, match=reason):
        check_cluster(read(CLUSTER, cluster))
