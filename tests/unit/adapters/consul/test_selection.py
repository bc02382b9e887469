"""Which registrations are in the mesh, in which namespace, and of which datacenter first."""

from __future__ import annotations

import json
from typing import Any

import pytest

from adapters.consul import convert
from adapters.consul.convert import Reading, Selection
from pilot.model.service import ServiceKey
from tests.unit.adapters.consul.test_convert import entry


def read(*entries: Any, name: str = "web", priority: int = 0, **chosen: Any) -> Reading:
    body = json.dumps(entries).encode()
    selection = Selection(**chosen)
    return convert.read_service(
        name, body, local=True, warning=False, platform="consul", selection=selection, priority=priority
    )


@pytest.mark.parametrize(
    ("namespace", "name", "changed", "expected"),
    [
        ("meta:team", "web", {"Meta": {"team": "shop"}}, "shop"),
        ("meta:team", "web", {"Meta": {"namespace": "shop"}}, "default"),
        ("tag:team", "web", {"Tags": ["team=shop"]}, "shop"),
        ("tag:team", "web", {"Tags": ["team|shop", "other"]}, "shop"),
        ("tag:team", "web", {"Tags": ["team"]}, "true"),
        ("name:-", "shop-web", {}, "shop"),
        ("name:--", "shop--web", {}, "shop"),
        ("name:-", "web", {}, "default"),
    ],
)
def test_the_namespace_is_what_was_chosen_to_name_it(
    namespace: str, name: str, changed: dict[str, Any], expected: str
) -> None:
    found = read(entry(**changed), name=name, namespace=namespace)
    assert [each.namespace for each in found.instances] == [expected]
    made, _ = convert.services(name, found.instances, "consul")
    assert made[0].key == ServiceKey(expected, f"{name}.service.consul")


def test_what_is_no_namespace_is_a_problem_and_the_default() -> None:
    found = read(entry(Meta={"namespace": "Not One"}))
    assert [each.namespace for each in found.instances] == ["default"]
    assert "'Not One' is no namespace" in found.problems[0].message


@pytest.mark.parametrize("namespace", ["", "meta", "meta:", "kv:", "kv:/", "label:team"])
def test_a_mapping_that_cannot_be(namespace: str) -> None:
    with pytest.raises(ValueError, match="write meta:KEY, tag:KEY, name:SEPARATOR or kv:PREFIX"):
        Selection.checked(namespace, True, False)


def test_connect_native_instances_are_in_unless_left_out() -> None:
    native = entry(Connect={"Native": True})
    assert len(read(native).instances) == 1
    assert read(native, native=False).instances == ()
    assert len(read(entry(), native=False).instances) == 1


def test_sidecar_proxies_are_out_unless_left_in_and_gateways_are_never_in() -> None:
    proxy, gateway = entry(Kind="connect-proxy"), entry(Kind="mesh-gateway")
    assert read(proxy, gateway).instances == ()
    assert len(read(proxy, gateway, proxies=True).instances) == 1
    assert len(read(proxy, gateway).versions) == 1, "a sweep knows them"


def test_instances_of_a_datacenter_to_fail_over_to_come_after_ours() -> None:
    assert read(entry(), priority=2).instances[0].endpoint.priority == 2


def test_a_virtual_address_is_the_services() -> None:
    tagged = {"consul-virtual": {"Address": "240.0.0.1", "Port": 8080}}
    made, _ = convert.services("web", read(entry(TaggedAddresses=tagged), entry(ID="web-2")).instances, "consul")
    assert made[0].addresses == ("240.0.0.1",)
    assert {each.address for each in made[0].endpoints} == {"10.0.0.1"}
