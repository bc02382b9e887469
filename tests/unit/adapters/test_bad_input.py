"""Bad input that registries and files really hold: it costs its own object, and says where and what to do."""

from __future__ import annotations

import json
from typing import Any

import pytest

from adapters.consul import convert
from adapters.merge import Merger
from adapters.platform import Problem, Upsert
from adapters.static.convert import Parsed, parse
from pilot.model.service import Health, ServiceKey
from pilot.plan.endpoints import needs_dns
from tests.unit.adapters.consul.test_convert import entry, read

MEGABYTE = 1 << 20
GOOD = {"name": "good", "ports": [{"port": 80}], "endpoints": [{"address": "10.0.0.9", "port": 80}]}


def static(**changed: Any) -> Parsed:
    """A file with a good service and one that is not."""
    bad = {"name": "bad", "ports": [{"port": 80}], "endpoints": [{"address": "10.0.0.1", "port": 8080}]} | changed
    return parse(json.dumps({"services": [bad, GOOD]}).encode(), "s.yaml", "static")


def costs_itself_only(found: Parsed) -> Problem:
    assert [each.host for each in found.services] == ["good"]
    (problem,) = found.problems
    assert problem.where.startswith("s.yaml:1:")
    assert problem.mend
    return problem


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"ports": []}, "ports is empty"),
        ({"endpoints": [{"address": "10.0.0.1"}]}, "port"),
        ({"name": "b d"}, "name"),
        ({"name": "x" * 300}, "name"),
        ({"namespace": "Shop"}, "namespace"),
        ({"endpoints": [{"address": "web.example", "port": 80}]}, "address"),
        ({"endpoints": [{"address": "10.0.0.1", "port": 80, "weight": -1}]}, "weight"),
        ({"endpoints": [{"address": "10.0.0.1", "port": 80}] * 2}, "second time"),
        ({"ports": [{"port": 80, "protocol": "HTTP"}, {"port": 80, "protocol": "TCP"}]}, "another port's"),
        ({"endpoints": None, "ports": None}, "ports"),
    ],
)
def test_in_a_static_file(changed: dict[str, Any], said: str) -> None:
    found = static(**changed)
    if changed.get("name") and len(found.problems) == 1:
        assert found.nameless
    problem = costs_itself_only(found)
    assert said in problem.message


def test_in_a_static_file_a_weight_of_zero_and_a_megabyte_of_labels_are_no_fault() -> None:
    labels = {"note": "x" * MEGABYTE}
    found = static(endpoints=[{"address": "10.0.0.1", "port": 80, "weight": 0, "labels": labels}])
    assert found.problems == ()
    endpoint = found.services[0].endpoints[0]
    assert (endpoint.weight, len(dict(endpoint.labels)["note"])) == (0, MEGABYTE)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"Port": 0}, "no usable address"),
        ({"Port": -5}, "no usable address"),
        ({"Port": 70_000}, "no usable address"),
        ({"Address": "", "node": {"Address": ""}}, "no usable address"),
        ({"ID": None, "Port": "none"}, "not an instance"),
        ({"Weights": {"Passing": "many"}}, "not an instance"),
        ({"Meta": "text"}, "not an instance"),
    ],
)
def test_in_consul(changed: dict[str, Any], said: str) -> None:
    found = read(entry(**changed), entry(ID="good", Address="10.0.0.9"))
    assert [each.endpoint.address for each in found.instances] == ["10.0.0.9"]
    (problem,) = found.problems
    assert "web" in problem.where
    assert said in problem.message
    assert problem.mend


@pytest.mark.parametrize("half", [{}, {"Node": None}, {"Node": {}, "Service": {}}, {"Node": {"Node": "n1"}}, None, []])
def test_in_consul_a_registration_that_is_half_written(half: Any) -> None:
    found = read(half, entry(ID="good"))
    assert len(found.instances) == 1
    assert len(found.problems) == 1


def test_in_consul_weights_below_zero_take_no_traffic_and_a_megabyte_is_a_label() -> None:
    found = read(entry(Weights={"Passing": -3}, Meta={"note": "x" * MEGABYTE}))
    endpoint = found.instances[0].endpoint
    assert (found.problems, endpoint.weight, len(dict(endpoint.labels)["note"])) == ((), 0, MEGABYTE)


def test_in_consul_a_name_as_an_address_is_looked_up_by_the_proxies() -> None:
    made, _ = convert.services("web", read(entry(Address="web.example")).instances, "consul web")
    assert needs_dns(made[0])


def test_in_consul_one_id_twice_on_a_node_is_two_endpoints_of_one_address_for_planning() -> None:
    found = read(entry(), entry())
    assert {each.endpoint.instance for each in found.instances} == {"dc1/n1/web-1"}
    made, problems = convert.services("web", found.instances, "consul web")
    assert (len(made), problems) == (1, ())


def test_in_consul_two_of_one_name_and_two_protocols_are_a_problem_and_one_counts() -> None:
    found = read(entry(Meta={"protocol": "tcp"}), entry(ID="web-2", Meta={"protocol": "http"}))
    made, (problem,) = convert.services("web", found.instances, "consul web")
    assert made[0].ports[0].protocol.value == "HTTP"
    assert "disagree about protocol: http, tcp; http counts" in problem.message


def test_on_two_platforms_one_name_of_two_protocols_is_a_problem_and_the_earlier_counts() -> None:
    merger = Merger(["static", "consul"])
    file = json.dumps({"services": [GOOD | {"name": "web", "ports": [{"port": 80, "protocol": "TCP"}]}]}).encode()
    merger.apply("static", Upsert(parse(file, "s.yaml", "static").services[0]))
    made, _ = convert.services("web", read(entry(Meta={"protocol": "http"})).instances, "consul web")
    merger.apply("consul", Upsert(made[0]))
    assert merger.catalog().services[ServiceKey("default", "web")].ports[0].protocol.value == "TCP"
    assert "consul web says 'http' (HTTP), s.yaml:1 says 'tcp' (TCP): the latter counts" in str(merger.conflicts()[0])


def test_in_consul_times_of_another_clock_do_not_count() -> None:
    """Checks carry none that we read; indexes order changes, and they are Consul's own."""
    check = {"CheckID": "up", "Status": "passing", "Output": "at 1970-01-01", "CreateIndex": 1, "ModifyIndex": 10**12}
    assert read(entry(checks=[check])).instances[0].endpoint.health is Health.HEALTHY
