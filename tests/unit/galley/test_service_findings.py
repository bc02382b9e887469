"""What ServiceEntries and Sidecars have against each other: warnings, each under the object that it is about."""

from __future__ import annotations

from typing import Any

from galley.analyze import analyze
from galley.config import Config, ConfigObject
from tests.unit.galley.objects import accepted

PORTS = [{"number": 80, "name": "http", "protocol": "HTTP"}]


def entry(name: str, host: str, resolution: str = "DNS", **more: Any) -> ConfigObject[Any]:
    endpoints = [{"address": "10.0.0.1"}] if resolution == "STATIC" else []
    spec = {"hosts": [host], "ports": PORTS, "resolution": resolution, "endpoints": endpoints}
    return accepted("ServiceEntry", spec, name, **more)


def sidecar(name: str, *hosts: str, **more: Any) -> ConfigObject[Any]:
    return accepted("Sidecar", {"egress": [{"hosts": list(hosts)}], **more}, name)


def told(*objects: ConfigObject[Any], hosts: tuple[str, ...] = ()) -> list[tuple[str, str, str]]:
    problems = analyze(Config.of(objects), hosts)
    assert all(each.warning for each in problems)
    return [(each.object.partition("/")[2], each.code, each.message) for each in problems]


def test_a_host_of_an_entry_is_known_to_routes() -> None:
    route = {"hosts": ["api.example.com"], "http": [{"route": [{"destination": {"host": "api.example.com"}}]}]}
    assert told(entry("api", "api.example.com"), accepted("VirtualService", route)) == []


def test_an_entry_for_a_host_of_a_platform_adds_endpoints_only() -> None:
    assert told(entry("api", "api.example.com", "STATIC"), hosts=("api.example.com",)) == []
    ((name, _, message),) = told(entry("api", "api.example.com"), hosts=("api.example.com",))
    assert name == "api"
    assert message.startswith("a platform knows api.example.com")


def test_two_entries_for_a_host_ought_to_agree_about_resolution() -> None:
    first, second = entry("a", "api.example.com"), entry("b", "api.example.com", "STATIC")
    assert told(first, second) == [
        ("b", "", "api.example.com has another resolution in ServiceEntry default/a (rules.yaml:1), which counts")
    ]
    assert told(first, entry("b", "api.example.com", "STATIC", namespace="other")) == []


def test_one_sidecar_of_a_namespace_is_for_all_of_it() -> None:
    selecting = sidecar("c", "./*", workloadSelector={"labels": {"a": "b"}})
    assert told(sidecar("a", "./*"), sidecar("b", "./*"), selecting) == [
        ("b", "IST0111", "Sidecar default/a (rules.yaml:1) is for the whole namespace too, and counts")
    ]


def test_an_egress_host_that_nobody_knows_is_told() -> None:
    objects = (entry("api", "api.example.com"), sidecar("a", "./api.example.com", "./web", "*/no.example.com", "~/x"))
    assert told(*objects, hosts=("web.service.consul",)) == [
        ("a", "IST0101", "spec.egress[0].hosts[2] refers to host 'no.example.com', not found")
    ]
