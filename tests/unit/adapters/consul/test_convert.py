"""Consul's JSON becomes the model: the table in docs/reference/consul.md, row by row (H1 to H6)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from adapters.consul import convert
from adapters.consul.convert import Reading, UnreadableError
from pilot.model.service import Endpoint, Health, Locality, Port, Protocol, Service, ServiceKey


def entry(**changed: Any) -> dict[str, Any]:
    service = {"ID": "web-1", "Service": "web", "Address": "10.0.0.1", "Port": 8080}
    node = {"Node": "n1", "Address": "10.9.9.1", "Datacenter": "dc1"}
    node |= changed.pop("node", {})
    checks = changed.pop("checks", [{"CheckID": "up", "Status": "passing"}])
    return {"Node": node, "Service": service | changed, "Checks": checks}


def read(*entries: Any, name: str = "web", local: bool = True, warning: bool = True) -> Reading:
    return convert.read_service(name, json.dumps(entries).encode(), local=local, warning=warning, platform="consul")


def service(*entries: Any, **options: Any) -> Service:
    made, _ = convert.services("web", read(*entries, **options).instances, "consul web")
    assert len(made) == 1
    return made[0]


def endpoint(*, options: dict[str, Any] | None = None, **changed: Any) -> Endpoint:
    return service(entry(**changed), **(options or {})).endpoints[0]


def check(status: str, identity: str = "up") -> dict[str, str]:
    return {"CheckID": identity, "Status": status}


def test_a_plain_instance() -> None:
    made = service(entry())
    assert made.key == ServiceKey("default", "web.service.consul")
    assert made.ports == (Port("default", 80, Protocol.UNSPECIFIED),)
    assert made.endpoints == (
        Endpoint(
            "10.0.0.1",
            (("default", 8080),),
            "dc1/n1/web-1",
            locality=Locality("dc1"),
            service_account="web",
            platform="consul",
        ),
    )


def test_meta_decides_port_protocol_namespace_account_and_zone() -> None:
    meta = {"mesh-port": "9000", "protocol": "grpc", "namespace": "shop", "service-account": "cart", "zone": "z1"}
    made = service(entry(Meta=meta))
    assert made.key == ServiceKey("shop", "web.service.consul")
    assert made.ports == (Port("grpc", 9000, Protocol.GRPC),)
    assert made.endpoints[0].service_account == "cart"
    assert made.endpoints[0].locality == Locality("dc1", "z1")
    assert made.endpoints[0].ports == (("grpc", 8080),)


def test_the_zone_of_the_node_counts_if_the_instance_has_none() -> None:
    assert endpoint(node={"Meta": {"zone": "z2"}}).locality == Locality("dc1", "z2")


def test_one_name_in_two_namespaces_is_two_services() -> None:
    reading = read(entry(), entry(ID="web-2", Meta={"namespace": "shop"}))
    made, _ = convert.services("web", reading.instances, "consul web")
    assert [s.namespace for s in made] == ["default", "shop"]


def test_instances_that_disagree_about_the_mesh_port_get_the_lowest_and_a_problem() -> None:
    reading = read(entry(Meta={"mesh-port": "81"}), entry(ID="web-2", Meta={"mesh-port": "79"}))
    made, problems = convert.services("web", reading.instances, "consul web")
    assert made[0].ports[0].number == 79
    assert [p.where for p in problems] == ["consul web mesh-port"]


def test_an_unknown_protocol_is_a_problem_and_unspecified() -> None:
    made, problems = convert.services("web", read(entry(Meta={"protocol": "carrier"})).instances, "consul web")
    assert made[0].ports == (Port("default", 80),)
    assert "carrier" in problems[0].message


def test_the_sidecar_port_is_where_an_instance_is_reached() -> None:
    assert endpoint(Meta={"sidecar-port": "15006"}).ports == (("default", 15006),)


def test_a_meta_port_that_is_no_port_is_a_problem_and_ignored() -> None:
    reading = read(entry(Meta={"sidecar-port": "70000", "mesh-port": "http"}))
    assert [p.where for p in reading.problems] == [
        "consul dc1/web (n1/web-1) mesh-port",
        "consul dc1/web (n1/web-1) sidecar-port",
    ]
    assert (reading.instances[0].port, reading.instances[0].mesh_port) == (8080, 80)


TAGGED = {"lan": {"Address": "10.1.0.1", "Port": 81}, "wan": {"Address": "203.0.113.1", "Port": 82}}


@pytest.mark.parametrize(
    ("changed", "local", "address", "port"),
    [
        ({}, True, "10.0.0.1", 8080),
        ({"Address": ""}, True, "10.9.9.1", 8080),
        ({"TaggedAddresses": TAGGED}, True, "10.1.0.1", 81),
        ({"TaggedAddresses": TAGGED}, False, "203.0.113.1", 82),
        ({"TaggedAddresses": {"lan_ipv4": {"Address": "10.2.0.1"}} | TAGGED}, True, "10.2.0.1", 8080),
        ({"Address": "fd00::1"}, True, "fd00::1", 8080),
        ({"Address": "", "node": {"TaggedAddresses": {"wan": "203.0.113.9"}}}, False, "203.0.113.9", 8080),
        ({"Address": "", "node": {"TaggedAddresses": {"wan": "203.0.113.9"}}}, True, "10.9.9.1", 8080),
    ],
)
def test_the_address_is_the_tagged_one_of_our_side_then_its_own_then_the_nodes(
    changed: dict[str, Any], local: bool, address: str, port: int
) -> None:
    found = endpoint(options={"local": local}, **changed)
    assert (found.address, found.ports[0][1]) == (address, port)


@pytest.mark.parametrize("changed", [{"Port": 0}, {"Port": 0, "SocketPath": "/run/web.sock"}, {"Port": 70000}])
def test_an_instance_without_a_port_is_a_problem_and_left_out(changed: dict[str, Any]) -> None:
    reading = read(entry(**changed), entry(ID="web-2"))
    assert [i.endpoint.instance for i in reading.instances] == ["dc1/n1/web-2"]
    assert reading.problems[0].where == "consul dc1/web (n1/web-1)"


@pytest.mark.parametrize("broken", [None, 7, {}, {"Node": None, "Service": {}}, {"Node": {"Node": "n"}, "Service": 1}])
def test_an_entry_that_is_no_instance_does_not_cost_the_others(broken: Any) -> None:
    reading = read(broken, entry())
    assert len(reading.instances) == len(reading.problems) == 1


def test_wrong_types_inside_an_entry_cost_that_instance_only() -> None:
    reading = read(entry(Port="eighty"), entry(ID="web-2", Tags=7), entry(ID="web-3"))
    assert [i.endpoint.instance for i in reading.instances] == ["dc1/n1/web-3"]
    assert len(reading.problems) == 2


@pytest.mark.parametrize(
    ("tags", "meta", "expected"),
    [
        (["version=v2", "tier|gold", "canary"], {}, {"version": "v2", "tier": "gold", "canary": "true"}),
        (["v2"], {}, {"v2": "true", "version": "v2"}),
        (["v2", "version=v3"], {}, {"v2": "true", "version": "v3"}),
        (["version=v3"], {"version": "v4"}, {"version": "v4"}),
        (["a=b=c", "=odd"], {}, {"a": "b=c", "=odd": "true"}),
        (None, None, {}),
    ],
)
def test_tags_and_meta_are_labels(tags: Any, meta: Any, expected: dict[str, str]) -> None:
    assert dict(endpoint(Tags=tags, Meta=meta).labels) == expected


@pytest.mark.parametrize(
    ("checks", "health"),
    [
        ([], Health.HEALTHY),
        ([check("passing"), check("passing", "serfHealth")], Health.HEALTHY),
        ([check("passing"), check("critical", "serfHealth")], Health.UNHEALTHY),
        ([check("warning")], Health.HEALTHY),
        ([check("critical", "_node_maintenance")], Health.DRAINING),
        ([check("critical"), check("critical", "_service_maintenance:web-1")], Health.DRAINING),
        ([check("what is this")], Health.UNHEALTHY),
    ],
)
def test_checks_of_node_and_service_are_its_health(checks: list[Any], health: Health) -> None:
    assert endpoint(checks=checks).health is health


def test_warning_takes_no_traffic_if_excluded() -> None:
    assert endpoint(options={"warning": False}, checks=[check("warning")]).health is Health.UNHEALTHY


def test_the_weight_is_the_one_of_its_state() -> None:
    weights = {"Passing": 10, "Warning": 2}
    assert endpoint(Weights=weights).weight == 10
    assert endpoint(Weights=weights, checks=[check("warning")]).weight == 2
    assert endpoint(Weights={"Passing": 3, "Warning": 0}, checks=[check("warning")]).weight == 0
    assert endpoint().weight == 1


@pytest.mark.parametrize("kind", ["connect-proxy", "mesh-gateway", "terminating-gateway", "ingress-gateway"])
def test_proxies_and_gateways_are_no_instances_but_known_to_sweeps(kind: str) -> None:
    reading = read(entry(Kind=kind, ModifyIndex=9))
    assert reading.instances == ()
    assert reading.versions == {("n1", "web-1"): 9}


def test_the_same_id_on_two_nodes_is_two_instances() -> None:
    reading = read(entry(), entry(node={"Node": "n2"}))
    assert {i.endpoint.instance for i in reading.instances} == {"dc1/n1/web-1", "dc1/n2/web-1"}


def test_consul_itself_is_no_service() -> None:
    assert read(entry(Service="consul"), name="consul").instances == ()
    assert convert.service_names(b'{"consul": [], "web": ["b", "a"]}') == {"web": ("a", "b")}


@pytest.mark.parametrize("body", [b"", b"{", b"{}", b'"x"', b"[" * 5000, b"\xff\xfe\xfd"])
def test_a_body_that_is_no_list_is_unreadable(body: bytes) -> None:
    with pytest.raises(UnreadableError):
        convert.read_service("web", body, local=True, warning=True, platform="consul")


def test_nodes_are_told_apart_by_anything_about_them() -> None:
    first = convert.nodes(b'[{"Node": "n1", "Address": "a"}]')
    assert first != convert.nodes(b'[{"Node": "n1", "Address": "b"}]')
    assert convert.datacenter_of(b'[{"Node": "n1", "Datacenter": "dc7"}]') == "dc7"
    assert convert.datacenter_of(b"[]") == ""


def test_versions_on_a_node() -> None:
    body = {"Node": {"Node": "n1"}, "Services": [{"ID": "web-1", "Service": "web", "ModifyIndex": 5}]}
    assert convert.versions_on_node(json.dumps(body).encode()) == {("n1", "web-1"): ("web", 5)}
    assert convert.versions_on_node(b"null") == {}
