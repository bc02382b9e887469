from __future__ import annotations

from typing import Any

import pytest

from pilot.model.proxy import Upstream
from pilot.model.service import Locality, Protocol
from pilot.sidecar.settings import (
    SettingsError,
    SidecarSettings,
    XdsAddress,
    parse_labels,
    parse_locality,
    parse_upstream,
)


@pytest.mark.parametrize(
    ("text", "upstream"),
    [
        ("db.service.consul:5432@5432", Upstream("db.service.consul", 5432, 5432)),
        ("web@8081", Upstream("web", 80, 8081)),
    ],
)
def test_an_upstream(text: str, upstream: Upstream) -> None:
    assert parse_upstream(text) == upstream


@pytest.mark.parametrize("text", ["", "db", "@80", "db:@80", "db:0@80", "db:80@", "db:80@70000", "d b@80", ":80@80"])
def test_an_upstream_that_is_none_names_option_and_form(text: str) -> None:
    with pytest.raises(SettingsError, match=r"^--upstream: .*: give HOST\[:PORT\]@BINDPORT, as in"):
        parse_upstream(text)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:15010", XdsAddress("127.0.0.1", 15010)),
        ("[::1]:15010", XdsAddress("::1", 15010)),
        ("pilot.service.consul:15010", XdsAddress("pilot.service.consul", 15010)),
        ("unix:/run/mesh/xds.sock", XdsAddress("", 0, "/run/mesh/xds.sock")),
    ],
)
def test_an_xds_address(text: str, address: XdsAddress) -> None:
    assert XdsAddress.parse(text) == address
    assert address.needs_dns is text.startswith("pilot")


@pytest.mark.parametrize("text", ["", "15010", "host", "host:", ":15010", "::1:15010", "host:99999", "unix:run/xds"])
def test_an_xds_address_that_is_none(text: str) -> None:
    with pytest.raises(SettingsError, match=r"^--xds-addr: .*: give "):
        XdsAddress.parse(text)


def test_labels_are_sorted_and_may_hold_an_equals_sign() -> None:
    assert parse_labels(["version=v1", "app=a=b", "empty="]) == (("app", "a=b"), ("empty", ""), ("version", "v1"))


@pytest.mark.parametrize(
    ("texts", "message"),
    [(["v1"], "'v1' is not key=value"), (["=v1"], "is not"), (["a=1", "a=2"], "'a' is given twice")],
)
def test_labels_that_are_none(texts: list[str], message: str) -> None:
    with pytest.raises(SettingsError, match=f"^--label: .*{message}"):
        parse_labels(texts)


def test_a_locality() -> None:
    assert parse_locality("eu/eu-1") == Locality("eu", "eu-1")
    assert parse_locality("") == Locality()
    for text in ("a/b/c/d", "/b"):
        with pytest.raises(SettingsError, match=r"^--locality: "):
            parse_locality(text)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"service": ""}, "--service: '' is no name: give one without"),
        ({"service": "a~b"}, "--service: 'a~b' is no name"),
        ({"namespace": "a.b"}, "--namespace: 'a.b' has a dot: give a single word"),
        ({"instance": "a b"}, "--instance: 'a b' is no name"),
        ({"dns_domain": ""}, "--dns-domain: '' is no name"),
        ({"address": "web"}, "--address: 'web' is not an IP address: give this host's address"),
        ({"protocol": Protocol.HTTP}, "--protocol: there is no --port that it could be of: give --port"),
        ({"port": 70000}, "--port: 70000 is not a port: give one between 1 and 65535$"),
        ({"outbound_port": 0}, "--outbound-port: 0 is not a port: give one between 1 and 65535$"),
        ({"health_port": -1}, "--health-port: -1 is not a port: give one between 1 and 65535, or 0"),
        ({"health_port": 15000}, "--health-port: port 15000 is taken by --admin-port already: give each"),
        ({"port": 15006}, "--inbound-port: port 15006 is taken by --port already"),
        ({"upstreams": (Upstream("db", 1, 15001),)}, "--upstream db:1@15001: port 15001 is taken by --outbound-port"),
        (
            {"upstreams": (Upstream("a", 1, 2), Upstream("b", 1, 2))},
            "--upstream b:1@2: port 2 is taken by --upstream a",
        ),
    ],
)
def test_a_value_that_can_not_work_names_its_option_and_the_mend(values: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=f"^{message}"):
        SidecarSettings(**{"service": "web"} | values)


@pytest.mark.parametrize(
    ("values", "option"), [({"port": 8080}, "--port"), ({"upstreams": (Upstream("db", 80, 8081),)}, "--upstream")]
)
def test_a_gateway_stands_beside_no_workload(values: dict[str, Any], option: str) -> None:
    with pytest.raises(SettingsError, match=f"^{option}: a gateway stands beside no workload: leave it out"):
        SidecarSettings("edge", gateway=True, **values)


def test_a_gateway_has_no_port_for_calls() -> None:
    options = [each.option for each in SidecarSettings("edge", gateway=True, outbound_port=15000).listening]
    assert options == ["--admin-port", "--health-port", "--metrics-port"]


def test_ports_that_are_off_or_unused_are_not_shared() -> None:
    SidecarSettings("web", admin_port=0, health_port=0, metrics_port=0)
    SidecarSettings("web", outbound_port=15006)
