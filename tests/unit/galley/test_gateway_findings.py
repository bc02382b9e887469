"""Gateways against each other, and the names that virtual services give them."""

from __future__ import annotations

from typing import Any

import pytest

from galley.config import Config, ConfigObject
from galley.gateway_findings import gateway_findings
from tests.unit.galley.objects import accepted

SELECTOR = {"istio": "ingressgateway"}
HTTP = {"number": 80, "name": "http", "protocol": "HTTP"}
TCP = {"number": 80, "name": "tcp", "protocol": "TCP"}
TLS = {"number": 80, "name": "tls", "protocol": "TLS"}
HTTPS = {"number": 80, "name": "https", "protocol": "HTTPS"}


def gateway(name: str, *servers: dict[str, Any], **more: Any) -> ConfigObject[Any]:
    namespace = more.pop("namespace", "default")
    return accepted("Gateway", {"selector": SELECTOR, "servers": list(servers), **more}, name, namespace=namespace)


def server(port: dict[str, Any], *hosts: str, **more: Any) -> dict[str, Any]:
    tls = {"tls": {"mode": "PASSTHROUGH"}} if port in (TLS, HTTPS) else {}
    return {"port": port, "hosts": list(hosts), **tls, **more}


def told(*objects: ConfigObject[Any]) -> list[tuple[str, str, str]]:
    problems = list(gateway_findings(Config.of(objects)))
    assert all(each.warning for each in problems)
    return [(each.object, each.code, each.message) for each in problems]


@pytest.mark.parametrize("name", ["edge", "./edge", "default/edge", "edge.default.svc.cluster.local", "mesh"])
def test_a_gateway_that_is_there_goes_by_any_of_its_names(name: str) -> None:
    route = {"hosts": ["a.example"], "gateways": [name], "http": [{"route": [{"destination": {"host": "a"}}]}]}
    assert told(gateway("edge", server(HTTP, "*")), accepted("VirtualService", route)) == []


@pytest.mark.parametrize("name", ["edges", "shop/edge", "edge.shop.svc.cluster.local"])
def test_a_gateway_that_nobody_made_is_told(name: str) -> None:
    route = {"hosts": ["a.example"], "gateways": ["edge", name], "http": [{"route": [{"destination": {"host": "a"}}]}]}
    ((subject, code, message),) = told(gateway("edge", server(HTTP, "*")), accepted("VirtualService", route))
    assert (subject, code) == ("VirtualService default/a", "IST0101")
    assert message == f"spec.gateways[1] refers to gateway {name!r}, not found"


@pytest.mark.parametrize(
    ("first", "second", "why"),
    [
        (server(HTTP, "a.example"), server(HTTP, "b.example"), ""),
        (server(HTTP, "a.example"), server(HTTP, "a.example", bind="10.0.0.1"), ""),
        (server(HTTP, "a.example"), server({**HTTP, "number": 81}, "a.example"), ""),
        (server(HTTP, "a.example"), server({**HTTP, "protocol": "HTTP2"}, "./A.example"), "is taken for a.example"),
        (server(TLS, "a.example", "b.example"), server(HTTPS, "b.example"), "is taken for b.example"),
        (server(TLS, "a.example"), server(HTTP, "b.example"), "is taken for TLS"),
        (server(TCP, "*"), server(TCP, "*"), "is taken: only HTTP and TLS share a port, TCP does not"),
    ],
)
def test_servers_of_one_selector_that_cannot_share_a_port(
    first: dict[str, Any], second: dict[str, Any], why: str
) -> None:
    found = told(gateway("a", first), gateway("b", second))
    wanted = f"spec.servers[0]: port 80 {why} by Gateway default/a ("
    if not why:
        assert found == []
        return
    ((subject, code, message),) = found
    assert (subject, code) == ("Gateway default/b", "IST0145")
    assert message.startswith(wanted)


def test_other_selectors_are_for_other_proxies() -> None:
    one = gateway("a", server(TCP, "*"))
    assert told(one, gateway("b", server(TCP, "*"), selector={"istio": "egressgateway"})) == []


def test_a_narrower_selector_meets_a_wider_one() -> None:
    wide, narrow = (
        gateway("a", server(TCP, "*")),
        gateway("b", server(TCP, "*"), selector={**SELECTOR, "zone": "north"}),
    )
    ((subject, code, _),) = told(wide, narrow)
    assert (subject, code) == ("Gateway default/b", "IST0145")
    assert told(narrow, gateway("c", server(TCP, "*"), selector={**SELECTOR, "zone": "south"})) == []


def test_http_servers_of_one_gateway_may_repeat_a_host() -> None:
    again = server({**HTTP, "name": "again"}, "a.example")
    assert told(gateway("a", server(HTTP, "a.example"), again)) == []
