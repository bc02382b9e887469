"""Gateways and classes of the Gateway API: what is refused, and how it is said."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.galley.gateway_api.objects import API
from tests.unit.galley.objects import accepted, refusals, validated, warnings

FILES = {"mesh-adapter/server-certificate": "/a.pem", "mesh-adapter/private-key": "/a.key"}
HTTP: dict[str, Any] = {"name": "http", "port": 80, "protocol": "HTTP"}
HTTPS: dict[str, Any] = {"name": "https", "port": 443, "protocol": "HTTPS"}


def refused(*listeners: dict[str, Any], **spec: Any) -> list[str]:
    return refusals("Gateway", {"gatewayClassName": "istio", "listeners": list(listeners), **spec}, api_version=API)


@pytest.mark.parametrize(
    "listener",
    [
        HTTP,
        {**HTTP, "hostname": "*.example"},
        {**HTTPS, "tls": {"options": FILES}},
        {**HTTPS, "tls": {"certificateRefs": [{"name": "a"}, {"name": "b", "namespace": "other"}]}},
        {**HTTPS, "tls": {"mode": "Terminate", "options": {**FILES, "mesh-adapter/ca-certificates": "/ca.pem"}}},
        {"name": "tls", "port": 443, "protocol": "TLS", "tls": {"mode": "Passthrough"}},
        {**HTTP, "allowedRoutes": {"kinds": [{"kind": "HTTPRoute"}]}},
    ],
)
def test_good_listeners(listener: dict[str, Any]) -> None:
    assert not refused(listener)


@pytest.mark.parametrize(
    ("listener", "message"),
    [
        ({**HTTP, "name": ""}, "spec.listeners[0].name is missing"),
        ({**HTTP, "name": "No"}, "is not a valid name"),
        ({**HTTP, "port": 0}, "expected an integer from 1 to 65535, got 0"),
        ({"name": "a", "protocol": "HTTP"}, "spec.listeners[0].port is missing"),
        ({**HTTP, "protocol": "TCP"}, "'TCP' can't be served"),
        ({**HTTP, "protocol": "UDP"}, "'UDP' can't be served"),
        ({**HTTP, "hostname": "10.0.0.1"}, "is an IP address"),
        ({**HTTP, "hostname": "a.*.example"}, "is not a valid hostname"),
        ({**HTTP, "hostname": "A.example"}, "is not a valid hostname"),
        ({**HTTP, "tls": {}}, "must not be specified for protocol HTTP"),
        (HTTPS, "spec.listeners[0].tls is missing"),
        ({**HTTPS, "tls": {"mode": "Passthrough"}}, "must be Terminate for protocol HTTPS"),
        ({**HTTPS, "tls": {}}, 'options["mesh-adapter/server-certificate"] is missing'),
        ({**HTTPS, "tls": {"certificateRefs": [{"name": "a/b"}]}}, "certificateRefs[0].name 'a/b' is not a valid name"),
        ({**HTTPS, "tls": {"certificateRefs": [{"name": "a", "kind": "Other"}]}}, "/Other holds no certificate"),
        ({**HTTPS, "tls": {"certificateRefs": [{"name": "a"}], "options": FILES}}, "given beside certificateRefs"),
        ({**HTTPS, "tls": {"certificateRefs": [{"name": "a"}, {"name": "b"}, {"name": "c"}]}}, "has more than 2"),
        ({**HTTPS, "tls": {"options": {**FILES, "other": "a"}}}, "spec.listeners[0].tls.options.other is not a known"),
        ({**HTTPS, "tls": {"options": {**FILES, "gateway.istio.io/tls-terminate-mode": "MUTUAL"}}}, "needed for mode"),
        ({**HTTPS, "tls": {"options": {**FILES, "gateway.istio.io/tls-terminate-mode": "ISTIO_MUTUAL"}}}, "no certif"),
        ({**HTTPS, "tls": {"options": {**FILES, "gateway.istio.io/tls-terminate-mode": "X"}}}, "'X' is not a known"),
        ({**HTTP, "allowedRoutes": {"namespaces": {"from": "Selector"}}}, "selector is missing"),
        ({**HTTP, "allowedRoutes": {"namespaces": {"from": "None"}}}, "expected one of Same, All, Selector"),
        ({**HTTP, "allowedRoutes": {"kinds": [{"kind": ""}]}}, "kinds[0].kind is missing"),
    ],
)
def test_bad_listeners(listener: dict[str, Any], message: str) -> None:
    assert any(message in each for each in refused(listener)), refused(listener)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ({"operator": "Exists"}, "key is missing"),
        ({"key": "a"}, "operator is missing"),
        ({"key": "a", "operator": "In"}, "values are missing, and needed for operator In"),
        ({"key": "a", "operator": "Exists", "values": ["b"]}, "values have no meaning for operator Exists"),
        ({"key": "a", "operator": "Like"}, "expected one of In, NotIn, Exists, DoesNotExist"),
    ],
)
def test_bad_selectors(expression: dict[str, Any], message: str) -> None:
    namespaces = {"from": "Selector", "selector": {"matchExpressions": [expression]}}
    assert message in refused({**HTTP, "allowedRoutes": {"namespaces": namespaces}})[0]


def test_listeners_stand_beside_each_other_or_not() -> None:
    assert "must be unique: duplicate name http" in refused(HTTP, {**HTTP, "hostname": "a.example"})[0]
    assert "are those of listener http" in refused(HTTP, {**HTTP, "name": "b"})[0]
    secured = {**HTTPS, "port": 80, "tls": {"options": FILES}}
    assert "has another protocol" in refused(HTTP, secured)[0]


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("addresses", [{"type": "Hostname", "value": "a"}], "start routers, and label them"),
        ("infrastructure", {"labels": {"a": "b"}}, "start routers, and label them"),
        ("allowedListeners", {"namespaces": {"from": "All"}}, "ListenerSet is not read"),
        ("tls", {"frontend": {}}, "mesh-adapter/ca-certificates"),
        ("defaultScope", "All", "routes name the Gateways"),
    ],
)
def test_what_is_not_carried_out_is_refused_with_the_reason(field: str, value: Any, why: str) -> None:
    (found,) = refused(HTTP, **{field: value})
    assert f"spec.{field} is not supported by this version of mesh-adapter" in found
    assert why in found


def test_a_gateway_needs_class_and_listeners() -> None:
    assert refusals("Gateway", {}, api_version=API) == [
        "spec.gatewayClassName is missing",
        "spec.listeners gateway must have at least one listener",
    ]


def test_a_selector_without_from_is_told_of() -> None:
    namespaces = {"selector": {"matchLabels": {"a": "b"}}}
    listener = {**HTTP, "allowedRoutes": {"namespaces": namespaces}}
    (found,) = warnings("Gateway", {"gatewayClassName": "istio", "listeners": [listener]}, api_version=API)
    assert "has no effect with from: Same" in found


def test_a_class_needs_a_controller_and_has_no_namespace() -> None:
    good = {"controllerName": "istio.io/gateway-controller"}
    found = accepted("GatewayClass", good, api_version=API)
    assert (found.namespace, str(found)) == ("", "GatewayClass a")
    assert refusals("GatewayClass", {}, api_version=API) == ["spec.controllerName is missing"]
    assert "is not a controller's name" in refusals("GatewayClass", {"controllerName": "a"}, api_version=API)[0]
    assert "description is longer" in refusals("GatewayClass", {**good, "description": "a" * 65}, api_version=API)[0]
    parameters = {**good, "parametersRef": {"group": "", "kind": "ConfigMap", "name": "a"}}
    assert "parametersRef is not supported" in refusals("GatewayClass", parameters, api_version=API)[0]
    (problem,) = validated("GatewayClass", good, api_version=API, namespace="default").problems
    assert "metadata.namespace is given, but objects of this kind have none" in problem.message
