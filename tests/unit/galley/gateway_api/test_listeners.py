"""Which Gateways are ours, and which routes attach to which listeners."""

from __future__ import annotations

from typing import Any

import pytest

from galley.gateway_api.status import problems
from tests.unit.galley.gateway_api.objects import API, HTTP, condition, gateway, route, translated
from tests.unit.galley.objects import accepted


def gateway_class(name: str, controller: str) -> Any:
    return accepted("GatewayClass", {"controllerName": controller}, name, api_version=API)


@pytest.mark.parametrize("name", ["istio", "mesh-adapter"])
def test_our_own_classes_need_no_object(name: str) -> None:
    assert translated(gateway(class_name=name)).gateways


@pytest.mark.parametrize("controller", ["istio.io/gateway-controller", "mesh-adapter/gateway-controller"])
def test_a_class_is_ours_by_its_controller(controller: str) -> None:
    found = translated(gateway_class("edge", controller), ours := gateway(class_name="edge"))
    assert [each.name for each in found.gateways] == ["edge~http"]
    assert condition(found, ours, "Programmed").holds


def test_a_class_of_another_controller_is_not_ours_and_nothing_to_complain_of() -> None:
    found = translated(gateway_class("istio", "example.com/theirs"), theirs := gateway())
    assert not found.gateways
    assert condition(found, theirs, "Accepted").reason == "Pending"
    assert not list(problems(found.statuses))


def test_a_class_that_nobody_defined_is_told_of() -> None:
    found = translated(gateway(class_name="nginx"))
    assert not found.gateways
    (problem,) = problems(found.statuses)
    assert problem.message == "Accepted is False (Pending): there is no GatewayClass nginx"
    assert "istio, mesh-adapter" in problem.mend


@pytest.mark.parametrize(
    ("listener", "reference", "reason"),
    [
        ({}, {}, "Accepted"),
        ({}, {"sectionName": "http"}, "Accepted"),
        ({}, {"port": 80}, "Accepted"),
        ({}, {"sectionName": "other"}, "NoMatchingParent"),
        ({}, {"port": 81}, "NoMatchingParent"),
        ({}, {"name": "nobody"}, "NoMatchingParent"),
        ({}, {"namespace": "far"}, "NoMatchingParent"),
        ({"hostname": "other.example"}, {}, "NoMatchingListenerHostname"),
        ({"allowedRoutes": {"kinds": [{"kind": "GRPCRoute"}]}}, {}, "NotAllowedByListeners"),
        ({"allowedRoutes": {"namespaces": {"from": "All"}}}, {}, "Accepted"),
    ],
)
def test_a_parent_is_accepted_or_not_for_a_reason(
    listener: dict[str, Any], reference: dict[str, Any], reason: str
) -> None:
    of_edge = {"parentRefs": [{"name": "edge", **reference}], "hostnames": ["web.example"]}
    found = translated(gateway({**HTTP, **listener}), web := route(spec=of_edge))
    assert condition(found, web, "Accepted").reason == reason
    assert bool([each for each in found.virtual_services if each.spec.http[0].route]) == (reason == "Accepted")


@pytest.mark.parametrize(
    ("namespaces", "allowed"),
    [
        ({}, False),
        ({"from": "Same"}, False),
        ({"from": "All"}, True),
        ({"from": "Selector", "selector": {}}, True),
        ({"from": "Selector", "selector": {"matchLabels": {"kubernetes.io/metadata.name": "shop"}}}, True),
        ({"from": "Selector", "selector": {"matchLabels": {"kubernetes.io/metadata.name": "far"}}}, False),
        ({"from": "Selector", "selector": {"matchLabels": {"team": "a"}}}, False),
        ({"from": "Selector", "selector": {"matchExpressions": [{"key": "team", "operator": "DoesNotExist"}]}}, True),
        ({"from": "Selector", "selector": {"matchExpressions": [{"key": "team", "operator": "Exists"}]}}, False),
        (
            {
                "from": "Selector",
                "selector": {
                    "matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["shop"]}]
                },
            },
            True,
        ),
        (
            {
                "from": "Selector",
                "selector": {
                    "matchExpressions": [
                        {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["shop"]}
                    ]
                },
            },
            False,
        ),
    ],
)
def test_of_a_namespace_its_name_is_known(namespaces: dict[str, Any], allowed: bool) -> None:
    listener = {**HTTP, "allowedRoutes": {"namespaces": namespaces}}
    found = translated(gateway(listener), web := route(namespace="shop"))
    assert condition(found, web, "Accepted").holds == allowed


def hosts(*listeners: dict[str, Any], names: list[str]) -> dict[str, list[str]]:
    """By listener, those that a route of these hostnames is for."""
    web = route(spec={"parentRefs": [{"name": "edge"}], "hostnames": names})
    found: dict[str, list[str]] = {}
    for each in translated(gateway(*listeners), web).virtual_services:
        if each.spec.http[0].route:
            found.setdefault(each.name.split("~")[1], []).extend(each.spec.hosts)
    return found


def listener(name: str, hostname: str = "", port: int = 80) -> dict[str, Any]:
    return {"name": name, "port": port, "protocol": "HTTP", **({"hostname": hostname} if hostname else {})}


def test_hosts_are_those_of_both() -> None:
    below = listener("below", "*.example")
    assert hosts(below, names=["a.example", "b.other", "*.b.example"]) == {"below": ["a.example", "*.b.example"]}
    assert hosts(below, names=[]) == {"below": ["*.example"]}
    assert hosts(listener("one", "a.example"), names=["*.example"]) == {"one": ["a.example"]}
    assert hosts(listener("all"), names=[]) == {"all": ["*"]}


def test_a_host_is_of_the_most_specific_listener_of_its_port_alone() -> None:
    three = (listener("all"), listener("below", "*.example"), listener("one", "a.example"))
    assert hosts(*three, names=["a.example", "b.example", "c.other"]) == {
        "all": ["c.other"],
        "below": ["b.example"],
        "one": ["a.example"],
    }
    apart = (listener("all"), listener("one", "a.example", port=81))
    assert hosts(*apart, names=["a.example"]) == {"all": ["a.example"], "one": ["a.example"]}


def test_a_listener_tells_how_many_routes_it_has_and_which_kinds_it_can_not_take() -> None:
    edge = gateway({**HTTP, "allowedRoutes": {"kinds": [{"kind": "HTTPRoute"}, {"kind": "TCPRoute"}]}})
    found = translated(edge, route(name="a"), route(name="b"))
    assert condition(found, edge, "Accepted", "listener http").message == "2 routes attached"
    assert condition(found, edge, "ResolvedRefs", "listener http").reason == "InvalidRouteKinds"
    nothing = gateway({**HTTP, "allowedRoutes": {"kinds": [{"kind": "TCPRoute"}]}})
    assert not condition(translated(nothing), nothing, "Programmed", "listener http").holds


def test_a_gateway_is_for_the_routers_of_its_namespace_that_carry_its_name() -> None:
    (found,) = translated(gateway()).gateways
    assert found.spec.selector == (("gateway.networking.k8s.io/gateway-name", "edge"),)
    assert found.spec.of_api
