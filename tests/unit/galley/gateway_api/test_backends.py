"""Where references lead, and who may make them."""

from __future__ import annotations

from typing import Any

import pytest

from galley.gateway_api.backends import MISSING
from galley.gateway_api.services import KnownService
from galley.gateway_api.status import problems
from galley.kinds.virtual_service import Destination, PortSelector
from tests.unit.galley.gateway_api.objects import FAR, WEB, condition, gateway, grant, route, rules, translated

TO_FAR = {"name": "far", "namespace": "far", "port": 80}


def resolved(reference: dict[str, Any], *more: Any, services: tuple[KnownService, ...] = (WEB, FAR)) -> tuple[Any, str]:
    """The destination, and the reason of ResolvedRefs."""
    found = translated(gateway(), web := route({"backendRefs": [reference]}), *more, services=services)
    (rule,) = rules(found)
    return rule.route[0].destination, condition(found, web, "ResolvedRefs").reason


@pytest.mark.parametrize(
    "reference",
    [
        {"name": "web", "port": 80},
        {"name": "web.example", "port": 80},
        {"name": "web", "namespace": "default", "port": 80, "group": "", "kind": "Service"},
        {"name": "web.example", "port": 80, "group": "networking.istio.io", "kind": "Hostname"},
    ],
)
def test_a_service_goes_by_name_or_host(reference: dict[str, Any]) -> None:
    assert resolved(reference) == (Destination("web.example", port=PortSelector(80)), "ResolvedRefs")


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        ({"name": "nobody", "port": 80}, "BackendNotFound"),
        ({"name": "web", "port": 81}, "BackendNotFound"),
        ({"name": "far", "port": 80}, "BackendNotFound"),
        ({"name": "web", "group": "networking.istio.io", "kind": "Hostname", "port": 80}, "BackendNotFound"),
        ({"name": "web", "group": "multicluster.x-k8s.io", "kind": "ServiceImport", "port": 80}, "InvalidKind"),
        (TO_FAR, "RefNotPermitted"),
    ],
)
def test_what_can_not_be_resolved_leads_nowhere_and_fails(reference: dict[str, Any], reason: str) -> None:
    assert resolved(reference) == (MISSING, reason)


def test_a_short_name_is_of_platforms_only() -> None:
    configured = KnownService("default", "web.example", (80,))
    assert resolved({"name": "web", "port": 80}, services=(configured,))[1] == "BackendNotFound"
    assert resolved({"name": "web.example", "port": 80}, services=(configured,))[1] == "ResolvedRefs"


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (grant(), "ResolvedRefs"),
        (grant(name="far"), "ResolvedRefs"),
        (grant(name="other"), "RefNotPermitted"),
        (grant(of="GRPCRoute"), "RefNotPermitted"),
        (grant(namespace="other"), "RefNotPermitted"),
        (grant(of="Service"), "RefNotPermitted"),
    ],
)
def test_another_namespace_has_to_grant_it(given: Any, reason: str) -> None:
    assert resolved(TO_FAR, given)[1] == reason


def test_a_grant_elsewhere_grants_nothing() -> None:
    beside = KnownService("near", "near.example", (80,), ("near",))
    to_near = {"name": "near", "namespace": "near", "port": 80}
    assert resolved(to_near, grant(), services=(beside,))[1] == "RefNotPermitted"


def test_each_failure_of_a_route_is_told_with_its_mend() -> None:
    broken = route({"backendRefs": [{"name": "nobody", "port": 80}, {"name": "web", "port": 81}, TO_FAR]})
    told = [str(each) for each in problems(translated(gateway(), broken).statuses)]
    assert len(told) == 3
    assert "Gateway default/edge: ResolvedRefs is False (BackendNotFound): backend Service default/nobody" in told[0]
    assert "has no port 81" in told[1]
    assert "its ports are 80, 8080" in told[1]
    assert "add a ReferenceGrant in far from HTTPRoute of default to Service" in told[2]


def test_mirrors_that_lead_nowhere_are_left_out_and_told_of() -> None:
    mirror = {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "nobody", "port": 80}}}
    web = route({"filters": [mirror], "backendRefs": [{"name": "web", "port": 80}]})
    found = translated(gateway(), web)
    assert rules(found)[0].mirrors == ()
    assert condition(found, web, "ResolvedRefs").reason == "BackendNotFound"
