"""Attributes that a generator adds from the Catalog before the other rules are asked."""

from __future__ import annotations

from typing import Any

import pytest

from mixer.dispatch import Dispatcher
from mixer.enrichment import Directory
from mixer.handler import handler_type
from pilot.model.catalog import Catalog
from pilot.model.service import Endpoint, Port, Service, ServiceKey
from tests.unit.mixer.configuration import accepted, handler, instance, rule, sound
from tests.unit.mixer.handlers.opened import instance as made
from tests.unit.mixer.handlers.opened import opened_now

ADDRESS = b"\x0a\0\0\x07"
FOUND = {
    "source_pod_uid": "consul://web-1.shop",
    "source_pod_ip": ADDRESS,
    "source_pod_name": "web-1",
    "source_labels": {"app": "web"},
    "source_namespace": "shop",
    "source_service_account_name": "web",
    "source_workload_uid": "istio://shop/workloads/web",
    "source_workload_name": "web",
    "source_workload_namespace": "shop",
}


def _directory() -> Directory:
    endpoint = Endpoint(
        "10.0.0.7", (("http", 8080),), "web-1", (("app", "web"),), service_account="web", platform="consul"
    )
    key = ServiceKey("shop", "web.example")
    directory = Directory()
    directory.update(Catalog({key: Service(key, (Port("http", 80),), (endpoint,), name="web")}))
    return directory


@pytest.mark.parametrize("adapter", ["kubernetesenv", "consulenv", "nomadenv"])
def test_a_workload_is_found_by_its_address(adapter: str) -> None:
    generator = opened_now(adapter, {}, directory=_directory())
    assert generator.generate(made("kubernetes", sourceIp=ADDRESS, destinationIp=b"\0\0\0\0")) == FOUND


def test_a_workload_is_found_by_its_uid() -> None:
    generator = opened_now("consulenv", {}, directory=_directory())
    found = generator.generate(made("kubernetes", sourceUid="consul://web-1.shop"))
    assert found == {name: value for name, value in FOUND.items() if name != "source_pod_ip"}
    assert generator.generate(made("kubernetes", sourceUid="consul://web-2.shop")) == {}


def test_a_destination_is_found_by_address_and_port() -> None:
    generator = opened_now("nomadenv", {}, directory=_directory())
    found = generator.generate(made("kubernetes", destinationIp=ADDRESS, destinationPort=8080))
    assert found["destination_workload_name"] == "web"
    assert generator.generate(made("kubernetes", destinationIp=ADDRESS, destinationPort=9)) == {}


async def test_what_is_found_is_bound_to_attributes_before_the_checks() -> None:
    bindings = {
        "source.labels": "$out.source_labels | emptyStringMap()",
        "source.workload.name": '$out.source_workload_name | "unknown"',
    }
    given = {"compiledTemplate": "kubernetes", "params": {"source_ip": 'source.ip | ip("0.0.0.0")'}}
    rules = sound(
        handler("env", "kubernetesenv"),
        accepted("instance", "who", {**given, "attributeBindings": bindings}),
        rule("generate", "", "env", ("who",)),
        handler("deny", "denier"),
        instance("nothing", "checknothing"),
        rule("refuse", 'source.labels["app"] == "web" && source.workload.name == "web"', "deny", ("nothing",)),
    )
    dispatcher = Dispatcher({"directory": _directory()})
    dispatcher.install(rules)
    bag: dict[str, Any] = {"destination.namespace": "shop", "source.ip": ADDRESS}
    assert not (await dispatcher.check(bag)).status.ok
    assert (await dispatcher.check({**bag, "source.ip": b"\x0a\0\0\x08"})).status.ok
    await dispatcher.close()


def test_parameters_of_istios_adapter_are_told_to_have_no_effect() -> None:
    _, findings = handler_type("kubernetesenv").parse({"kubeconfigPath": "/a", "cacheRefreshDuration": "5m"})
    assert [each.warning for each in findings] == [True, True]


def test_without_a_directory_it_says_so() -> None:
    with pytest.raises(TypeError, match="no directory of workloads is lent"):
        opened_now("nomadenv", {})
