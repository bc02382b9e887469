"""Routes for a protocol that nobody speaks to the host."""

from __future__ import annotations

import pytest

from galley.analyze import analyze
from galley.config import Config
from galley.route_findings import Spoken
from tests.unit.galley.objects import accepted

HOST = "db.service.consul"
HTTP = {"http": [{"route": [{"destination": {"host": HOST}}]}]}
TCP = {"tcp": [{"route": [{"destination": {"host": HOST}}]}]}
TLS = {"tls": [{"match": [{"sniHosts": [HOST]}], "route": [{"destination": {"host": HOST}}]}]}


@pytest.mark.parametrize(
    ("routes", "spoken", "told"),
    [
        (HTTP, Spoken(http=True), []),
        (TCP, Spoken(opaque=True), []),
        ({**HTTP, **TCP}, Spoken(http=True, opaque=True), []),
        (HTTP, Spoken(opaque=True), ["spec.http is passed over: no port of 'db.service.consul' is for HTTP"]),
        (TCP, Spoken(http=True), ["spec.tcp is passed over: all ports of 'db.service.consul' are for HTTP"]),
        (
            {**TLS, **TCP},
            Spoken(http=True),
            ["spec.tls and spec.tcp are passed over: all ports of 'db.service.consul' are for HTTP"],
        ),
    ],
)
def test_routes_that_no_port_takes(routes: dict[str, object], spoken: Spoken, told: list[str]) -> None:
    rule = accepted("VirtualService", {"hosts": [HOST], **routes})
    found = analyze(Config.of([rule]), {HOST}, {HOST: spoken})
    assert [each.message for each in found] == told
    assert all(each.warning and each.mend for each in found)


def test_a_rule_for_gateways_is_not_judged_by_the_mesh() -> None:
    rule = accepted("VirtualService", {"hosts": ["db"], "gateways": ["edge"], **TCP})
    found = analyze(Config.of([rule]), {HOST}, {HOST: Spoken(http=True)})
    assert [each.code for each in found] == ["IST0101"]


@pytest.mark.parametrize(("protocol", "told"), [("HTTP", 1), ("TCP", 0), ("TLS", 0)])
def test_ports_of_a_service_entry_count(protocol: str, told: int) -> None:
    ports = [{"number": 9000, "name": "main", "protocol": protocol}]
    entry = accepted("ServiceEntry", {"hosts": [HOST], "ports": ports, "resolution": "DNS"})
    rule = accepted("VirtualService", {"hosts": [HOST], **TCP})
    assert len(analyze(Config.of([entry, rule]), ())) == told
