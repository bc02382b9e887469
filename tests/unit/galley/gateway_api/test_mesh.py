"""Routes of Services: for whom, on which ports, and beside what."""

from __future__ import annotations

from typing import Any

import pytest

from galley.gateway_api.status import problems
from tests.unit.galley.gateway_api.objects import TO_WEB, condition, grant, route, rules, translated
from tests.unit.galley.objects import accepted


def of_service(name: str = "web", *, rule: dict[str, Any] | None = None, title: str = "web", **more: Any) -> Any:
    meta = {key: more.pop(key) for key in ("namespace",) if key in more}
    parent = {"group": "", "kind": "Service", "name": name, **more}
    return route(rule or TO_WEB, spec={"parentRefs": [parent]}, name=title, **meta)


def test_a_route_beside_the_service_is_for_everybody() -> None:
    (found,) = translated(of_service()).virtual_services
    assert (found.spec.hosts, found.spec.gateways, found.spec.export_to) == (("web.example",), (), ())
    assert found.namespace == "default"


def test_a_route_elsewhere_is_for_its_own_namespace() -> None:
    parent = {"group": "", "kind": "Service", "name": "far", "namespace": "far"}
    mine = route({"backendRefs": [{"name": "far", "namespace": "far", "port": 80}]}, spec={"parentRefs": [parent]})
    (found,) = translated(mine, grant()).virtual_services
    assert (found.namespace, found.spec.hosts, found.spec.export_to) == ("default", ("far.example",), ("default",))


def test_routes_of_a_service_are_one_list() -> None:
    exact = {"matches": [{"path": {"type": "Exact", "value": "/a"}}], **TO_WEB}
    found = rules(translated(of_service(), of_service(rule=exact, title="z")))
    assert [each.name for each in found] == ["default.z.0", "default.web.0"]


def test_other_ports_go_where_they_went() -> None:
    found = rules(translated(of_service(port=80)))
    assert [(each.name, each.match[0].port) for each in found] == [("default.web.0", 80), ("default", 8080)]
    assert [each.match[0].port for each in rules(translated(of_service()))] == [0]


@pytest.mark.parametrize(
    ("reference", "reason"),
    [({"name": "nobody"}, "NoMatchingParent"), ({"port": 81}, "NoMatchingParent"), ({}, "Accepted")],
)
def test_a_service_that_there_is_not_takes_no_route(reference: dict[str, Any], reason: str) -> None:
    found = translated(web := of_service(**reference))
    assert condition(found, web, "Accepted").reason == reason


def test_hostnames_have_no_meaning_there() -> None:
    web = route(spec={"parentRefs": [{"group": "", "kind": "Service", "name": "web"}], "hostnames": ["a.example"]})
    found = translated(web)
    assert condition(found, web, "Accepted").reason == "UnsupportedValue"
    assert not found.virtual_services


@pytest.mark.parametrize("host", ["web", "web.example"])
def test_a_virtual_service_of_the_namespace_has_the_host(host: str) -> None:
    spec = {"hosts": [host], "http": [{"route": [{"destination": {"host": host}}]}]}
    found = translated(of_service(), accepted("VirtualService", spec, "rule"))
    assert not found.virtual_services
    (problem,) = problems(found.statuses)
    assert "Conflicted" in problem.message
    assert "VirtualService default/rule" in problem.message


def test_a_virtual_service_for_a_gateway_does_not_matter() -> None:
    spec = {"hosts": ["web.example"], "gateways": ["edge"], "http": [{"route": [{"destination": {"host": "web"}}]}]}
    assert translated(of_service(), accepted("VirtualService", spec, "rule")).virtual_services
