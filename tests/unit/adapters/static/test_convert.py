"""A static file's services, and what is said of those that can't be used."""

from __future__ import annotations

import pytest

from adapters.static.convert import Parsed, parse
from pilot.model.service import Endpoint, Health, Locality, Port, Protocol, Service, ServiceKey

GOOD = """\
services:
- name: web.example
  namespace: shop
  ports:
  - {name: http, port: 80, protocol: HTTP}
  - {port: 9000, name: tcp-admin}
  endpoints:
  - address: 10.0.0.1
    ports: {tcp-admin: 9001, http: 8080}
    labels: {version: 1.10, canary: true}
    locality: eu/eu-1/rack-3
    weight: 5
    healthy: false
    serviceAccount: web
- name: db.example
  ports: [{port: 5432}]
  endpoints: [{address: "fd00::1", port: 5432}]
"""


def of(text: str) -> Parsed:
    return parse(text.encode(), "a.yaml", "static")


def one(fields: str) -> Parsed:
    return of(f"services:\n- {{name: web.example, {fields}}}\n")


def test_a_file_as_the_reference_has_it() -> None:
    parsed = of(GOOD)
    assert parsed.problems == ()
    web, db = parsed.services
    assert web == Service(
        ServiceKey("shop", "web.example"),
        (Port("http", 80, Protocol.HTTP), Port("tcp-admin", 9000, Protocol.TCP)),
        (
            Endpoint(
                "10.0.0.1",
                (("http", 8080), ("tcp-admin", 9001)),
                "shop/web.example/10.0.0.1/8080,9001",
                (("canary", "true"), ("version", "1.10")),
                Locality("eu", "eu-1", "rack-3"),
                5,
                Health.UNHEALTHY,
                "web",
                platform="static",
            ),
        ),
        origin="a.yaml:2",
    )
    assert db.key.namespace == "default"
    assert db.ports == (Port("default", 5432, Protocol.UNSPECIFIED),)
    assert db.endpoints[0].address == "fd00::1"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ("ports: [{port: 80}], colour: red", "unknown field 'colour'"),
        ("ports: [{port: 80}], ports: []", "twice"),
        ("ports: []", "empty"),
        ("ports: 80", "not a list"),
        ("endpoints: []", "no 'ports'"),
        ("ports: [{port: 0}]", "1 to 65535"),
        ("ports: [{port: 70000}]", "1 to 65535"),
        ('ports: [{port: "80"}]', "1 to 65535"),
        ("ports: [{port: 8e1}]", "1 to 65535"),
        ("ports: [{port: " + "9" * 5000 + "}]", "1 to 65535"),
        ("ports: [{port: 80, protocol: carrier}]", "unknown protocol 'carrier'"),
        ("ports: [{port: 53, protocol: udp}]", "unknown protocol 'udp'"),
        ("ports: [{port: 53, name: udp-dns}]", "UDP can't be served"),
        ("ports: [{port: 80}, {port: 80, name: b}]", "another port's"),
        ("ports: [{port: 80}], endpoints: [{port: 80}]", "no 'address'"),
        ("ports: [{port: 80}], endpoints: [{address: web.local, port: 80}]", "not an IP address"),
        ("ports: [{port: 80}], endpoints: [{address: 10.0.0.1}]", "either port or ports"),
        ("ports: [{port: 80}], endpoints: [{address: 10.0.0.1, port: 80, ports: {a: 1}}]", "either port or ports"),
        ("ports: [{port: 80}, {port: 81, name: b}], endpoints: [{address: 10.0.0.1, port: 80}]", "has 2 ports"),
        ("ports: [{port: 80}], endpoints: [{address: 10.0.0.1, ports: {x: 1}}]", "unknown field 'x'"),
        ("ports: [{port: 80}], endpoints: [{address: 10.0.0.1, ports: {}}]", "empty"),
        ("ports: [{port: 80}], endpoints: [{address: 10.0.0.1, port: 1, weight: -1}]", "0 to"),
        ("ports: [{port: 80}], endpoints: [{address: 10.0.0.1, port: 1, healthy: maybe}]", "true nor false"),
        ("ports: [{port: 80}], endpoints: [{address: 10.0.0.1, port: 1, labels: [a]}]", "not a mapping"),
        ("ports: [{port: 80}], endpoints: [{address: 10.0.0.1, port: 1, labels: {a: []}}]", "a label's value"),
        ("ports: [{port: 80}], endpoints: [{address: 10.0.0.1, port: 1, locality: a/b/c/d}]", "three parts"),
        ("ports: [{port: 80}], endpoints: [{address: 10.0.0.1, port: 1, serviceAccount: ~}]", "not a text"),
        ("ports: [{port: 80}], endpoints: [{address: 10.0.0.1, port: 1}, {address: 10.0.0.1, port: 1}]", "second time"),
        ("ports: [{port: 80}], namespace: UPPER", "no such name"),
    ],
)
def test_a_fault_costs_its_service_and_says_where(fields: str, said: str) -> None:
    parsed = one(fields)
    assert parsed.services == ()
    assert not parsed.broken
    (problem,) = parsed.problems
    assert said in problem.message
    assert problem.where.startswith("a.yaml:2:")
    assert problem.mend


def test_a_fault_leaves_the_other_services() -> None:
    parsed = of(GOOD.replace("weight: 5", "weight: five"))
    assert [s.key.host for s in parsed.services] == ["db.example"]
    assert parsed.bad == {ServiceKey("shop", "web.example")}
    assert parsed.problems[0].where == "a.yaml:12:13"


@pytest.mark.parametrize(
    "text", ["", "services:", "services: {}", "[]", "web: []", "services: []\nmore: 1", "a: [", "x"]
)
def test_a_fault_around_the_services_costs_the_file(text: str) -> None:
    parsed = of(text)
    assert parsed.broken
    assert len(parsed.problems) == 1


def test_no_services_is_a_word() -> None:
    assert of("services: []") == Parsed()


@pytest.mark.parametrize("entry", ["7", "{}", "{name: }", "{name: [a]}", "{name: 'a b', ports: [{port: 80}]}"])
def test_a_service_without_a_readable_name_is_known_to_be_there(entry: str) -> None:
    parsed = of(f"services: [{entry}]")
    assert parsed.nameless
    assert len(parsed.problems) == 1


def test_of_a_service_that_is_there_twice_the_first_counts() -> None:
    twice = "services:\n- {name: web.example, ports: [{port: 80}]}\n- {name: web.example, ports: [{port: 81}]}\n"
    parsed = of(twice)
    assert [s.ports[0].number for s in parsed.services] == [80]
    assert parsed.problems[0].where == "a.yaml:3:3"
    assert parsed.bad == frozenset()
