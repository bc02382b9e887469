"""EnvoyFilter: what passes, what is refused and in which words, in both of its forms."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.galley.objects import accepted, refusals, warnings

ALPHA = "networking.istio.io/v1alpha3"
LUA = {"name": "lua", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua"}}
MANAGER = "envoy.filters.network.http_connection_manager"


def patch(apply_to: str = "HTTP_FILTER", operation: str = "INSERT_FIRST", value: Any = LUA, **match: Any) -> Any:
    said = {"operation": operation, **({"value": value} if value is not None else {})}
    return {"configPatches": [{"applyTo": apply_to, "match": match, "patch": said}]}


def by_filter(name: str = MANAGER, **more: Any) -> dict[str, Any]:
    return {"listener": {"filterChain": {"filter": {"name": name, **more}}}}


def old(**more: Any) -> dict[str, Any]:
    return {"filters": [{"filterName": "envoy.lua", "filterType": "HTTP", "filterConfig": {}, **more}]}


@pytest.mark.parametrize(
    "spec",
    [
        patch(),
        {**patch(), "workloadSelector": {"labels": {"app": "web"}}, "priority": -3},
        {**patch(), "targetRefs": [{"group": "networking.istio.io", "kind": "Gateway", "name": "edge"}]},
        patch(operation="REMOVE", value=None, **by_filter(subFilter={"name": "envoy.filters.http.cors"})),
        patch(proxy={"proxyVersion": r"^1\.4.*", "metadata": {"TEAM": "web"}}),
        patch("CLUSTER", "MERGE", {"connect_timeout": "1s"}, cluster={"service": "a", "portNumber": 80}),
        patch("HTTP_ROUTE", "ADD", {}, routeConfiguration={"vhost": {"name": "a", "route": {"action": "ROUTE"}}}),
        patch("ROUTE_CONFIGURATION", "MERGE_AND_REPLACE_LIST", {}, context="GATEWAY"),
        patch("VIRTUAL_HOST", "REPLACE", {}),
    ],
)
def test_what_can_be_carried_out_passes(spec: dict[str, Any]) -> None:
    accepted("EnvoyFilter", spec, api_version=ALPHA)


HERE = "spec.configPatches[0]"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({}, "spec is empty"),
        ({**patch(), **old()}, "spec sets configPatches and filters, which is its older form"),
        (
            {**patch(), "workloadSelector": {}},
            "spec.workloadSelector has no labels: it would select every workload of the namespace",
        ),
        (
            {**patch(), "workloadSelector": {"labels": {"a": "b"}}, "targetRefs": [{"name": "a"}]},
            "spec sets workloadSelector and targetRefs, of which only one may be set",
        ),
        (
            {**patch(), "targetRefs": [{"kind": "Service", "name": "a"}]},
            "spec.targetRefs[0] refers to core/Service: only proxies of Gateways can be found by a reference",
        ),
        ({"configPatches": [{}]}, f"{HERE}.applyTo is missing"),
        (patch("SOMETHING"), f"{HERE}.applyTo expected one of INVALID, LISTENER"),
        (patch("BOOTSTRAP", "MERGE"), f"{HERE}.applyTo BOOTSTRAP is not supported by this version"),
        (patch("EXTENSION_CONFIG", "ADD"), f"{HERE}.applyTo EXTENSION_CONFIG is not supported by this version"),
        (patch(context="WAYPOINT"), f"{HERE}.match.context WAYPOINT is not supported by this version"),
        (patch(waypoint={}), f"{HERE}.match.waypoint is not supported by this version"),
        (patch(listener={"portName": "a"}), f"{HERE}.match.listener.portName is not supported by this version"),
        ({"configPatches": [{"applyTo": "CLUSTER"}]}, f"{HERE}.patch is missing"),
        ({"configPatches": [{"applyTo": "CLUSTER", "patch": {}}]}, f"{HERE}.patch.operation is missing"),
        (patch(value=None), f"{HERE}.patch.value is missing, and only REMOVE can do without"),
        (patch(value=[1]), f"{HERE}.patch.value expected a mapping, got a list"),
        (patch("CLUSTER", "REPLACE", {}), f"{HERE}.patch.operation REPLACE can't be done to a CLUSTER"),
        (
            patch("ROUTE_CONFIGURATION", "REMOVE", None),
            f"{HERE}.patch.operation REMOVE can't be done to a ROUTE_CONFIGURATION",
        ),
        (patch("HTTP_ROUTE", "REPLACE", {}), f"{HERE}.patch.operation REPLACE can't be done to a HTTP_ROUTE"),
        (patch(operation="REMOVE", value=None), f"{HERE}.match names no filter for REMOVE"),
        (patch("NETWORK_FILTER", "REPLACE"), f"{HERE}.match names no filter for REPLACE"),
        (patch("LISTENER_FILTER", "REMOVE", None), f"{HERE}.match names no filter for REMOVE"),
        (
            patch(proxy={"proxyVersion": "1.(?=4)"}),
            f"{HERE}.match.proxy.proxyVersion is not a valid RE2 regular expression: lookaround not supported",
        ),
        (
            patch(proxy={"metadata": {"NAME": "a"}}),
            f"{HERE}.match.proxy.metadata.NAME is each proxy's own, and is not compared",
        ),
        (patch(cluster={}), f"{HERE}.match.cluster can't be matched on with applyTo HTTP_FILTER"),
        (patch("CLUSTER", "MERGE", {}, listener={}), f"{HERE}.match.listener can't be matched on with applyTo CLUSTER"),
        (patch(cluster={}, listener={}), f"{HERE}.match sets cluster and listener, of which only one may be set"),
        (patch(**by_filter("")), f"{HERE}.match.listener.filterChain.filter.name is missing"),
        (
            patch("NETWORK_FILTER", **by_filter(subFilter={"name": "a"})),
            f"{HERE}.match.listener.filterChain.filter.subFilter can be matched on with applyTo HTTP_FILTER only",
        ),
        (
            patch(**by_filter("mine", subFilter={"name": "a"})),
            f"{HERE}.match.listener.filterChain.filter.subFilter is only found inside {MANAGER}",
        ),
        (patch(**by_filter(subFilter={})), f"{HERE}.match.listener.filterChain.filter.subFilter.name is missing"),
        (old(filterName=""), "spec.filters[0].filterName is missing"),
        (old(filterType="INVALID"), "spec.filters[0].filterType is missing"),
        (old(filterConfig=None), "spec.filters[0].filterConfig is missing"),
        (old(filterName="mine"), "spec.filters[0].filterConfig has no @type, and 'mine' is not a filter whose type"),
        (
            old(insertPosition={"index": "AFTER"}),
            "spec.filters[0].insertPosition.relativeTo is missing with AFTER",
        ),
        (
            old(listenerMatch={"listenerProtocol": "TCP"}),
            "spec.filters[0].listenerMatch.listenerProtocol is TCP, where no HTTP filter can be",
        ),
    ],
)
def test_what_can_not_is_refused(spec: dict[str, Any], message: str) -> None:
    found = refusals("EnvoyFilter", spec, api_version=ALPHA)
    assert any(each.startswith(message) for each in found), found


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (old(), "spec.filters is deprecated"),
        ({**old(), "workloadLabels": {"app": "web"}}, "spec.workloadLabels is deprecated"),
        (
            patch("VIRTUAL_HOST", "INSERT_FIRST", {}),
            f"{HERE}.patch.operation INSERT_FIRST is the same as ADD for VIRTUAL_HOST, among which there is no order",
        ),
        (
            patch("CLUSTER", "REMOVE", {"name": "a"}),
            f"{HERE}.patch.value has no effect with REMOVE",
        ),
        (
            patch("FILTER_CHAIN", "ADD", {}, **by_filter()),
            f"{HERE}.match.listener.filterChain.filter has no effect with applyTo FILTER_CHAIN",
        ),
        (
            patch(**by_filter("envoy.http_connection_manager")),
            f"{HERE}.match.listener.filterChain.filter.name 'envoy.http_connection_manager' is the deprecated name",
        ),
        (
            patch(**by_filter(subFilter={"name": "envoy.router"})),
            f"{HERE}.match.listener.filterChain.filter.subFilter.name 'envoy.router' is the deprecated name",
        ),
    ],
)
def test_what_is_old_or_without_effect_is_told(spec: dict[str, Any], message: str) -> None:
    found = warnings("EnvoyFilter", spec, api_version=ALPHA)
    assert any(each.startswith(message) for each in found), found
