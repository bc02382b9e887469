"""Kubernetes' objects become the model: the table in docs/reference/kubernetes.md, row by row."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.kubernetes import objects
from adapters.kubernetes.convert import Surroundings
from adapters.kubernetes.convert import service as make
from adapters.platform import Problem
from kubeapi.resource import BrokenError
from pilot.model.service import Endpoint, Health, Locality, Port, Protocol, Service
from tests.contract.kubernetes_objects import endpoint, endpoint_slice, node, pod, service

ZONE = {"topology.kubernetes.io/region": "eu", "topology.kubernetes.io/zone": "eu-1"}


def made(
    of: dict[str, Any],
    *slices: dict[str, Any],
    pods: tuple[dict[str, Any], ...] = (),
    nodes: tuple[dict[str, Any], ...] = (),
) -> tuple[Service | None, tuple[Problem, ...]]:
    around = Surroundings(
        pods={(p["metadata"]["namespace"], p["metadata"]["name"]): objects.pod(p) for p in pods},
        nodes={("", n["metadata"]["name"]): objects.node(n) for n in nodes},
        domain="cluster.local",
        platform="kubernetes",
    )
    return make(objects.service(of), [objects.endpoint_slice(each) for each in slices], around)


def good(*arguments: Any, **more: Any) -> Service:
    found, problems = made(*arguments, **more)
    assert found is not None
    assert problems == ()
    return found


def only(*arguments: Any, **more: Any) -> Endpoint:
    (found,) = good(*arguments, **more).endpoints
    return found


@pytest.mark.parametrize(
    ("port", "protocol"),
    [
        ({"name": "http-web"}, Protocol.HTTP),
        ({"name": "grpc"}, Protocol.GRPC),
        ({"name": "grpc-web-x"}, Protocol.GRPC_WEB),
        ({"name": "web"}, Protocol.UNSPECIFIED),
        ({}, Protocol.UNSPECIFIED),
        ({"name": "http", "appProtocol": "kubernetes.io/h2c"}, Protocol.HTTP2),
        ({"name": "x", "appProtocol": "kubernetes.io/wss"}, Protocol.HTTPS),
        ({"name": "x", "appProtocol": "grpc"}, Protocol.GRPC),
        ({"name": "http", "appProtocol": "example.com/own"}, Protocol.UNSPECIFIED),
        ({"name": "db", "port": 3306}, Protocol.TCP),
    ],
)
def test_protocol_is_of_app_protocol_then_of_the_name(port: dict[str, Any], protocol: Protocol) -> None:
    found = good(service("web", ports=[{"port": 80} | port]))
    assert found.ports == (Port(port.get("name", "default"), port.get("port", 80), protocol),)


def test_host_is_of_name_namespace_and_domain() -> None:
    assert str(good(service("web", "shop")).key) == "shop/web.shop.svc.cluster.local"


def test_ports_of_udp_are_left_out_and_a_service_of_none_is_a_problem() -> None:
    dns = {"name": "dns", "port": 53, "protocol": "UDP"}
    assert [p.number for p in good(service("web", ports=[dns, {"name": "dns-tcp", "port": 53}])).ports] == [53]
    found, problems = made(service("web", ports=[dns]))
    assert found is None
    assert str(problems[0]).startswith("kubernetes Service default/web ports: has no TCP port")


def test_bad_ports_are_problems_of_their_own() -> None:
    ports = [{"name": "a", "port": 80}, {"name": "b", "port": 0}, {"name": "c", "port": 80}]
    found, problems = made(service("web", ports=ports))
    assert found is not None
    assert [p.number for p in found.ports] == [80]
    assert [p.where for p in problems] == [
        "kubernetes Service default/web port b",
        "kubernetes Service default/web port c",
    ]


@pytest.mark.parametrize(
    ("conditions", "health"),
    [
        ({}, Health.HEALTHY),
        ({"ready": None}, Health.HEALTHY),
        ({"ready": False}, Health.UNHEALTHY),
        ({"ready": False, "serving": True, "terminating": True}, Health.DRAINING),
        ({"ready": False, "serving": False, "terminating": True}, Health.UNHEALTHY),
        ({"ready": True, "terminating": True}, Health.DRAINING),
        ({"ready": False, "terminating": True}, Health.UNHEALTHY),
    ],
)
def test_conditions(conditions: dict[str, Any], health: Health) -> None:
    assert only(service("web"), endpoint_slice("a", "web", [endpoint("10.0.0.1", **conditions)])).health is health


def test_no_conditions_at_all_are_ready() -> None:
    assert only(service("web"), endpoint_slice("a", "web", [{"addresses": ["10.0.0.1"]}])).health is Health.HEALTHY


def test_what_publishes_not_ready_addresses_is_ready() -> None:
    slices = endpoint_slice("a", "web", [endpoint("10.0.0.1", ready=False)])
    assert only(service("web", publishNotReadyAddresses=True), slices).health is Health.HEALTHY


def test_an_endpoint_of_two_slices_is_one_in_its_better_state() -> None:
    found = only(
        service("web"),
        endpoint_slice("a", "web", [endpoint("10.0.0.1", "p", ready=False)]),
        endpoint_slice("b", "web", [endpoint("10.0.0.1", "p")]),
        pods=(pod("p"),),
    )
    assert found.health is Health.HEALTHY


def test_slices_of_several_port_sets_are_joined_by_the_instance() -> None:
    ports = [{"name": "http", "port": 80}, {"name": "grpc", "port": 90}]
    found = only(
        service("web", ports=ports),
        endpoint_slice("a", "web", [endpoint("10.0.0.1", "p")], port=8080),
        endpoint_slice("b", "web", [endpoint("10.0.0.1", "p")], port=9090, port_name="grpc"),
        pods=(pod("p"),),
    )
    assert found.ports == (("http", 8080), ("grpc", 9090))


@pytest.mark.parametrize(("families", "address"), [(["IPv4", "IPv6"], "10.0.0.1"), (["IPv6", "IPv4"], "fd00::1")])
@pytest.mark.parametrize("of", ["p", ""])
def test_dual_stack_is_one_endpoint_by_the_first_family(families: list[str], address: str, of: str) -> None:
    found = only(
        service("web", ipFamilies=families),
        endpoint_slice("a", "web", [endpoint("10.0.0.1", of)]),
        endpoint_slice("b", "web", [endpoint("fd00::1", of)], family="IPv6"),
        pods=(pod("p"),),
    )
    assert found.address == address


def test_a_pod_with_an_address_of_the_other_family_only_is_kept() -> None:
    found = good(
        service("web", ipFamilies=["IPv4", "IPv6"]),
        endpoint_slice("a", "web", [endpoint("10.0.0.1", "p")]),
        endpoint_slice("b", "web", [endpoint("fd00::2", "q")], family="IPv6"),
        pods=(pod("p"), pod("q")),
    )
    assert {e.address for e in found.endpoints} == {"10.0.0.1", "fd00::2"}


def test_labels_account_and_network_are_the_pods() -> None:
    labels = {"version": "v1", "topology.istio.io/network": "n1"}
    slices = endpoint_slice("a", "web", [endpoint("10.0.0.1", "p")])
    found = only(service("web"), slices, pods=(pod("p", labels=labels, account="shop"),))
    assert (dict(found.labels), found.service_account, found.network) == (labels, "shop", "n1")


def test_locality_is_of_the_pods_label_then_of_the_node_then_of_the_slice() -> None:
    slices = endpoint_slice("a", "web", [endpoint("10.0.0.1", "p", nodeName="n", zone="z")])
    more = node("n", **ZONE, **{"topology.istio.io/subzone": "rack"})
    told = pod("p", labels={"istio-locality": "us.us-2.r"})
    assert only(service("web"), slices, pods=(told,), nodes=(more,)).locality == Locality("us", "us-2", "r")
    assert only(service("web"), slices, pods=(pod("p"),), nodes=(more,)).locality == Locality("eu", "eu-1", "rack")
    assert only(service("web"), slices, pods=(pod("p"),)).locality == Locality("", "z")


def test_an_external_name_is_looked_up_by_proxies() -> None:
    found = good(service("db", type="ExternalName", externalName="db.example.com."))
    assert [(e.address, e.ports) for e in found.endpoints] == [("db.example.com", (("http", 80),))]
    assert found.external


@pytest.mark.parametrize("name", ["", "a b", "-x", "x" * 64, "x." * 130])
def test_an_external_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(BrokenError):
        objects.service(service("db", type="ExternalName", externalName=name))


@pytest.mark.parametrize("name", ["Web", "a_b", "x" * 64, "a.b"])
def test_a_name_that_is_no_part_of_a_host_is_refused(name: str) -> None:
    with pytest.raises(BrokenError):
        objects.service(service(name))


def test_export_to_is_istios_annotation() -> None:
    item = service("web", "shop")
    item["metadata"]["annotations"] = {"networking.istio.io/exportTo": "., cart"}
    assert good(item).export_to == ("shop", "cart")
    item["metadata"]["annotations"] = {"networking.istio.io/exportTo": "*"}
    assert good(item).export_to == ()


@pytest.mark.parametrize(
    ("family", "address"),
    [("IPv4", "10.0.0"), ("IPv4", "10.0.0.256"), ("IPv4", "web"), ("IPv6", "10.0.0.1"), ("FQDN", "a b"), ("IPv4", "")],
)
def test_an_address_that_is_none_is_a_problem_and_the_others_stay(family: str, address: str) -> None:
    fine = {"IPv4": "10.0.0.9", "IPv6": "fd00::9", "FQDN": "db.example.com"}[family]
    found, problems = made(
        service("web"), endpoint_slice("a", "web", [endpoint(address), endpoint(fine)], family=family)
    )
    assert found is not None
    assert [e.address for e in found.endpoints] == [fine]
    assert [p.where for p in problems] == ["kubernetes EndpointSlice default/a endpoints[0]"]


def test_half_an_endpoint_is_a_problem() -> None:
    half: list[Any] = [{"conditions": {}}, {"addresses": []}, None, endpoint("10.0.0.1")]
    found, problems = made(service("web"), endpoint_slice("a", "web", half))
    assert found is not None
    assert len(found.endpoints) == 1
    assert len(problems) == 3


def test_labels_of_a_megabyte_are_left_out() -> None:
    slices = endpoint_slice("a", "web", [endpoint("10.0.0.1", "p")])
    found, problems = made(service("web"), slices, pods=(pod("p", labels={"big": "x" * 1_000_000, "app": "web"}),))
    assert found is not None
    assert found.endpoints[0].labels == (("app", "web"),)
    assert len(str(problems[0])) < 200


def test_an_endpoint_whose_pod_is_not_known_is_left_out() -> None:
    found, problems = made(service("web"), endpoint_slice("a", "web", [endpoint("10.0.0.1", "p")]))
    assert found is not None
    assert found.endpoints == ()
    assert [p.where for p in problems] == ["kubernetes Service default/web pod p"]


def test_an_endpoint_that_is_ending_needs_no_pod_to_be_left_out_quietly() -> None:
    ending = endpoint("10.0.0.1", "p", ready=False, terminating=True)
    assert good(service("web"), endpoint_slice("a", "web", [ending])).endpoints == ()
