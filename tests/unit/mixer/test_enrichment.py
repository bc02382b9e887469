"""What the Catalog adds to a bag of attributes, and what it leaves as the caller said."""

from __future__ import annotations

import attrs

from mixer.attributes import Condition, Reference, Value
from mixer.enrichment import Directory, rests_on
from pilot.model.catalog import Catalog
from pilot.model.service import Endpoint, Port, Service, ServiceKey


def web(*endpoints: Endpoint, namespace: str = "shop", host: str = "web.example") -> Service:
    return Service(ServiceKey(namespace, host), (Port("http", 80),), endpoints, name=host.partition(".")[0])


def at(address: str, port: int = 8080, account: str = "", instance: str = "web-1") -> Endpoint:
    return Endpoint(
        address, (("http", port),), instance, (("version", "v1"),), service_account=account, platform="consul"
    )


def catalog(*services: Service) -> Catalog:
    return Catalog({each.key: each for each in services})


def enriched(directory: Directory, **bag: Value) -> dict[str, Value]:
    found = {name.replace("__", "."): value for name, value in bag.items()}
    directory.enrich(found)
    return found


def knowing(*services: Service) -> Directory:
    directory = Directory()
    directory.update(catalog(*services))
    return directory


def test_a_destination_is_known_by_address_and_port() -> None:
    found = enriched(knowing(web(at("10.0.0.1"))), destination__ip=b"\x0a\0\0\1", destination__port=8080)
    assert found["destination.workload.name"] == "web"
    assert found["destination.namespace"] == "shop"
    assert found["destination.labels"] == {"version": "v1"}
    assert found["destination.uid"] == "consul://web-1.shop"
    assert found["destination.service.host"] == "web.example"
    assert found["destination.service.uid"] == "istio://shop/services/web"


def test_what_the_caller_said_stays() -> None:
    directory = knowing(web(at("10.0.0.1")))
    found = enriched(
        directory, destination__ip=b"\x0a\0\0\1", destination__port=8080, destination__service__host="other.example"
    )
    assert found["destination.service.host"] == "other.example"


def test_a_service_is_known_by_the_host_that_a_request_names() -> None:
    found = enriched(knowing(web()), request__host="WEB.example.:8080")
    assert found["destination.service.name"] == "web"


def test_an_address_of_several_workloads_is_told_apart_by_the_identity_only() -> None:
    directory = knowing(
        web(at("10.0.0.1", account="web")),
        web(at("10.0.0.1", 9090, account="pay", instance="pay-1"), host="pay.example"),
    )
    assert "source.name" not in enriched(directory, source__ip=b"\x0a\0\0\1")
    found = enriched(directory, source__ip=b"\x0a\0\0\1", source__principal="mesh/ns/shop/sa/pay")
    assert found["source.name"] == "pay-1"


def test_an_identity_that_no_workload_of_the_address_has_is_nobody() -> None:
    directory = knowing(web(at("10.0.0.1", account="web")))
    assert "source.name" not in enriched(directory, source__ip=b"\x0a\0\0\1", source__principal="mesh/ns/shop/sa/evil")


def test_what_leaves_the_catalog_is_forgotten_and_what_changes_is_known_anew() -> None:
    directory = knowing(web(at("10.0.0.1")))
    directory.update(catalog(web(at("10.0.0.2"))))
    assert "destination.name" not in enriched(directory, destination__ip=b"\x0a\0\0\1", destination__port=8080)
    assert enriched(directory, destination__ip=b"\x0a\0\0\2", destination__port=8080)["destination.name"] == "web-1"
    directory.update(Catalog())
    assert enriched(directory, request__host="web.example") == {"request.host": "web.example"}


def test_the_service_of_the_namespace_that_is_known_is_meant() -> None:
    directory = knowing(web(), web(namespace="test"))
    found = enriched(directory, request__host="web.example", destination__namespace="test")
    assert found["destination.service.namespace"] == "test"


def test_only_what_changed_is_learned_again() -> None:
    stays = web(at("10.0.0.1"))
    directory = knowing(stays)
    directory.update(catalog(stays, attrs.evolve(web(at("10.0.0.3")), key=ServiceKey("shop", "new.example"))))
    assert enriched(directory, destination__ip=b"\x0a\0\0\1", destination__port=8080)["destination.name"] == "web-1"


def test_a_verdict_on_what_was_found_out_rests_on_what_it_was_found_by() -> None:
    said: dict[str, Value] = {"destination.service.host": "web.example", "request.method": "GET"}
    found = rests_on(
        {Reference("destination.labels", "version"): Condition.EXACT, Reference("request.method"): Condition.EXACT},
        said,
    )
    assert found[Reference("destination.service.host")] is Condition.EXACT
    assert found[Reference("destination.ip")] is Condition.ABSENCE
    assert found[Reference("request.method")] is Condition.EXACT
    assert Reference("destination.labels", "version") not in found
