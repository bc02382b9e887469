"""The mapping, row by row as docs/reference/nomad.md has it."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from adapters.nomad import convert
from adapters.nomad.convert import Around, health, service_account
from adapters.nomad.facts import Allocation, Declared, Node, Registration, Spec
from pilot.model.service import Health, Locality, Protocol

ALLOC = Allocation("a1", "shop", "job", "g", "n1", "running", "run")
NODE = Node("n1", "worker-1", "dc1", "ready", "fast")
AROUND = Around(ALLOC, NODE)
FOUND = Registration("r1", ("shop", "web"), "a1", "job", "n1", "dc1", "10.0.0.1", 8080)


def spec(**declared: Any) -> Spec:
    return Spec(("shop", "job"), 0, 1, services=(Declared("web", "nomad", "g", **declared),))


def made(found: Registration = FOUND, around: Around = AROUND) -> Any:
    instance, problems = convert.instance(found, around, region="eu", platform="nomad")
    assert instance is not None
    assert problems == ()
    return instance


def test_an_instance() -> None:
    instance = made()
    endpoint = instance.endpoint
    assert (endpoint.address, instance.port, endpoint.instance) == ("10.0.0.1", 8080, "eu/r1")
    assert endpoint.locality == Locality("eu", "dc1", "fast")
    assert endpoint.service_account == "job"
    assert dict(endpoint.labels) == {
        "canary": "false",
        "nomad.alloc": "a1",
        "nomad.group": "g",
        "nomad.job": "job",
        "nomad.node": "worker-1",
    }
    (service,), problems = convert.services(("shop", "web"), [instance])
    assert problems == ()
    assert (service.namespace, service.host) == ("shop", "web.shop.service.nomad")
    assert [(p.name, p.number) for p in service.ports] == [("default", 80)]
    assert service.endpoints[0].ports == (("default", 8080),)


def test_tags_are_labels_and_settings_and_the_meta_of_the_job_wins() -> None:
    tags = ("v2", "tier=gold", "protocol=grpc", "mesh-port=8000", "sidecar-port=21000", "nomad.alloc=forged")
    instance = made(attrs.evolve(FOUND, tags=tags), Around(ALLOC, NODE, spec(meta=(("mesh-port", "9000"),))))
    labels = dict(instance.endpoint.labels)
    assert (labels["version"], labels["tier"], labels["nomad.alloc"]) == ("v2", "gold", "a1")
    assert (instance.protocol, instance.mesh_port, instance.port) == ("grpc", 9000, 21000)
    (service,), _ = convert.services(("shop", "web"), [instance])
    assert service.ports[0].protocol is Protocol.GRPC


def test_a_canary_is_labelled_and_has_the_canarys_meta_if_there_is_any() -> None:
    both = spec(meta=(("version", "1"),), canary_meta=(("version", "2"),))
    canary = attrs.evolve(ALLOC, canary=True)
    told = [dict(made(around=Around(alloc, NODE, both)).endpoint.labels) for alloc in (ALLOC, canary)]
    assert [(each["canary"], each["version"]) for each in told] == [("false", "1"), ("true", "2")]
    only = Around(canary, NODE, spec(meta=(("version", "1"),)))
    assert dict(made(around=only).endpoint.labels)["version"] == "1"


@pytest.mark.parametrize(
    ("alloc", "node", "checks", "checked", "expected"),
    [
        ({}, "ready", None, False, Health.HEALTHY),
        ({"client_status": "pending"}, "ready", None, False, Health.UNHEALTHY),
        ({"client_status": "unknown"}, "ready", ("success",), True, Health.UNHEALTHY),
        ({"desired_status": "stop"}, "ready", ("success",), True, Health.DRAINING),
        ({"desired_status": "evict"}, "down", None, False, Health.DRAINING),
        ({"migrate": True}, "ready", None, False, Health.DRAINING),
        ({}, "down", ("success",), True, Health.UNHEALTHY),
        ({}, "disconnected", None, False, Health.UNHEALTHY),
        ({}, "ready", ("failure", "success"), True, Health.UNHEALTHY),
        ({}, "ready", ("pending", "success"), True, Health.HEALTHY),
        ({"healthy": False}, "ready", ("success",), True, Health.HEALTHY),
        ({"healthy": True}, "ready", ("failure",), True, Health.UNHEALTHY),
        ({}, "ready", None, True, Health.UNHEALTHY),
        ({"healthy": True}, "ready", None, True, Health.HEALTHY),
        ({"healthy": False}, "ready", None, False, Health.HEALTHY),
    ],
)
def test_health(alloc: dict[str, Any], node: str, checks: Any, checked: bool, expected: Health) -> None:
    around = Around(attrs.evolve(ALLOC, **alloc), attrs.evolve(NODE, status=node), None, checks)
    assert health(around, checked) is expected


def test_what_is_not_known_of_a_node_is_left_out() -> None:
    endpoint = made(around=Around(ALLOC)).endpoint
    assert endpoint.locality == Locality("eu", "dc1", "")
    assert dict(endpoint.labels)["nomad.node"] == "n1"
    assert endpoint.health is Health.HEALTHY


@pytest.mark.parametrize(
    ("meta", "job", "parent", "expected"),
    [
        ({}, "web", "", "web"),
        ({"mesh-service-account": "shop"}, "web", "", "shop"),
        ({}, "reports/periodic-1700000000", "", "reports"),
        ({}, "import/dispatch-17-ab12", "import", "import"),
        ({}, "team a/web", "", "team-a-web"),
        ({"mesh-service-account": "../x y"}, "web", "", "..-x-y"),
        ({}, "///", "", "default"),
    ],
)
def test_the_service_account(meta: dict[str, str], job: str, parent: str, expected: str) -> None:
    assert service_account(meta, job, parent) == expected


@pytest.mark.parametrize("change", [{"port": 0}, {"port": -1}, {"port": 70000}, {"address": ""}])
def test_without_an_address_or_port_it_is_a_problem(change: dict[str, Any]) -> None:
    instance, (problem,) = convert.instance(attrs.evolve(FOUND, **change), Around(ALLOC), region="eu", platform="n")
    assert instance is None
    assert "shop/web (r1)" in problem.where
    assert "port" in problem.mend


def test_an_address_may_be_a_name() -> None:
    assert made(attrs.evolve(FOUND, address="host.example")).endpoint.address == "host.example"


def test_a_setting_that_can_not_be_and_a_tag_of_a_megabyte_are_problems_and_ignored() -> None:
    found = attrs.evolve(FOUND, tags=("mesh-port=eighty", "big=" + "x" * 1_000_000))
    instance, problems = convert.instance(found, Around(ALLOC), region="", platform="nomad")
    assert instance is not None
    assert instance.mesh_port == 80
    assert "big" not in dict(instance.endpoint.labels)
    assert [p.where.rsplit(" ", 1)[1] for p in problems] == ["mesh-port", "labels"]


def test_a_name_that_is_no_hosts_is_a_problem() -> None:
    made_of, (problem,) = convert.services(("shop", "we b"), [made(attrs.evolve(FOUND, name=("shop", "we b")))])
    assert made_of == ()
    assert problem.where == "nomad shop/we b"


def test_two_instances_of_different_protocols_are_a_problem_and_one_counts() -> None:
    one, two = (made(attrs.evolve(FOUND, id=p, tags=(f"protocol={p}",))) for p in ("http", "tcp"))
    (service,), (problem,) = convert.services(("shop", "web"), [one, two])
    assert service.ports[0].protocol is Protocol.HTTP
    assert "protocol" in problem.where
