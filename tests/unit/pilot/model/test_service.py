"""The values that platforms are translated to."""

from __future__ import annotations

import attrs
import pytest

from pilot.model.catalog import Catalog
from pilot.model.service import Endpoint, Locality, Port, Protocol, Service, ServiceKey, has_labels, labels

WEB = Service(ServiceKey("default", "web.example"), (Port("http", 80, Protocol.HTTP),), origin="here:1")


@pytest.mark.parametrize(
    ("text", "protocol"),
    [
        ("http", Protocol.HTTP),
        (" GRPC ", Protocol.GRPC),
        ("HTTP/2", Protocol.HTTP2),
        ("redis", Protocol.TCP),
        ("grpc-web", Protocol.GRPC_WEB),
        ("kubernetes.io/h2c", Protocol.HTTP2),
        ("kubernetes.io/ws", Protocol.HTTP),
        ("kubernetes.io/wss", Protocol.HTTPS),
        ("udp", None),
        ("?", None),
    ],
)
def test_a_protocol_is_known_by_its_names(text: str, protocol: Protocol | None) -> None:
    assert Protocol.parse(text) is protocol


@pytest.mark.parametrize(
    ("name", "protocol"),
    [
        ("http-web", Protocol.HTTP),
        ("grpc", Protocol.GRPC),
        ("grpc-web", Protocol.GRPC_WEB),
        ("grpc-web-api", Protocol.GRPC_WEB),
        ("grpc-website", Protocol.GRPC),
        ("mysql-db", Protocol.TCP),
        ("https-web", Protocol.HTTPS),
        ("web-http", Protocol.UNSPECIFIED),
        ("", Protocol.UNSPECIFIED),
    ],
)
def test_the_first_word_of_a_ports_name_is_its_protocol(name: str, protocol: Protocol) -> None:
    assert Protocol.of_port_name(name) is protocol


@pytest.mark.parametrize(
    ("protocol", "is_http", "is_http2"),
    [
        (Protocol.HTTP, True, False),
        (Protocol.HTTP2, True, True),
        (Protocol.GRPC, True, True),
        (Protocol.GRPC_WEB, True, True),
        (Protocol.HTTPS, False, False),
        (Protocol.TCP, False, False),
        (Protocol.UNSPECIFIED, False, False),
    ],
)
def test_what_is_spoken_over_http(protocol: Protocol, is_http: bool, is_http2: bool) -> None:
    assert (protocol.is_http, protocol.is_http2) == (is_http, is_http2)


def test_labels_are_equal_whatever_order_they_came_in() -> None:
    assert labels({"b": "2", "a": "1"}) == labels({"a": "1", "b": "2"})


def test_a_selector_wants_all_of_its_labels_and_an_empty_one_nothing() -> None:
    have = labels({"app": "web", "version": "v1"})
    assert has_labels(have, ())
    assert has_labels(have, labels({"app": "web"}))
    assert not has_labels(have, labels({"app": "web", "tier": "1"}))


@pytest.mark.parametrize("text", ["", "eu", "eu/eu-1", "eu/eu-1/a"])
def test_a_locality_is_written_as_it_is_read(text: str) -> None:
    assert str(Locality.parse(text)) == text


def test_an_endpoint_knows_its_ports_by_name() -> None:
    endpoint = Endpoint("10.0.0.1", (("http", 8080),), "web-1")
    assert (endpoint.port("http"), endpoint.port("admin")) == (8080, None)


def test_of_two_ports_with_one_number_the_first_counts() -> None:
    first, again = Port("http", 80), Port("again", 80)
    assert attrs.evolve(WEB, ports=(first, again)).distinct_ports == (first,)
    assert attrs.evolve(WEB, ports=(first, again)).port(80) is first


def test_endpoints_and_origin_do_not_make_another_service() -> None:
    moved = attrs.evolve(WEB, endpoints=(Endpoint("10.0.0.1", (), "web-1"),), origin="there:2")
    assert moved.differs_in_endpoints_only(WEB)
    assert not attrs.evolve(moved, labels=(("team", "a"),)).differs_in_endpoints_only(WEB)


def test_a_catalog_tells_what_was_added_removed_and_replaced() -> None:
    other, gone, new = (attrs.evolve(WEB, key=ServiceKey("default", host)) for host in ("other", "gone", "new"))
    before = Catalog({each.key: each for each in (WEB, other, gone)})
    after = Catalog({each.key: each for each in (attrs.evolve(WEB), other, new)})
    assert after.changed(before) == {WEB.key, gone.key, new.key}
    assert after.changed(after) == frozenset()
