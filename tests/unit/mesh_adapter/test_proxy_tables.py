"""Rows of the tables that `proxy-config` prints."""

from __future__ import annotations

from typing import Any

import pytest

from mesh_adapter.proxy_tables import ROWS, Filter, ProxyDump, cluster_parts, listener_rows
from tests.unit.mesh_adapter.envoy_dump import DUMP


@pytest.fixture
def dump() -> ProxyDump:
    return ProxyDump.of(DUMP)


def rows(dump: ProxyDump, singular: str, **chosen: Any) -> list[list[str]]:
    return [row for each in Filter(**chosen).apply(singular, dump) for row in ROWS[singular](each)]


def test_clusters_static_dynamic_and_warming_by_name(dump: ProxyDump) -> None:
    assert rows(dump, "cluster") == [
        ["-", "8080", "-", "inbound", "STATIC", ""],
        ["web.example", "80", "v1", "outbound", "EDS", "default/web"],
        ["new.example", "80", "-", "outbound", "EDS", ""],
        ["xds", "-", "-", "-", "STRICT_DNS", ""],
    ]


def test_endpoints_with_health_and_weight(dump: ProxyDump) -> None:
    assert rows(dump, "endpoint") == [
        ["10.0.0.1:8080", "HEALTHY", "3", "outbound|80|v1|web.example"],
        ["10.0.0.2:8080", "UNHEALTHY", "1", "outbound|80|v1|web.example"],
        ["127.0.0.1:15010", "HEALTHY", "1", "xds"],
    ]


def test_an_endpoint_that_is_no_socket(dump: ProxyDump) -> None:
    pipe = {"cluster_name": "c", "endpoints": [{"lb_endpoints": [{"endpoint": {"address": {"pipe": {}}}}]}]}
    assert ROWS["endpoint"](pipe) == [["?:?", "HEALTHY", "1", "c"]]


def test_listeners_with_where_each_filter_chain_leads(dump: ProxyDump) -> None:
    assert rows(dump, "listener") == [
        ["db", "127.0.0.1", "5432", "ALL", "Cluster: outbound|5432||db.example"],
        ["db", "127.0.0.1", "5432", "ALL", "Clusters: a 9, b 0"],
        ["db", "127.0.0.1", "5432", "ALL", "-"],
        ["metrics", "127.0.0.1", "15090", "ALL", "Inline Route: stats"],
        ["virtualOutbound", "127.0.0.1", "15001", "http/1.1,h2c", "Route: 15001"],
    ]


def test_routes_with_the_virtual_service_behind_them(dump: ProxyDump) -> None:
    where = ["15001", "web.example:80", "web.example, web.example:80 + 2 more"]
    assert rows(dump, "route") == [
        [*where, "/api* +headers", "default/web", "one 90, two 10"],
        [*where, "/exact", "", "exact"],
        [*where, "regex /v[0-9]+", "", "regex"],
        [*where, "/*", "", "-"],
        [*where, "/*", "", "503 direct"],
    ]


def test_a_listener_of_a_grpc_client_is_shown_by_its_target() -> None:
    manager = {"@type": "…HttpConnectionManager", "rds": {"route_config_name": "web.example:80"}}
    listener = {"name": "web.example:80", "api_listener": {"api_listener": manager}}
    assert listener_rows(listener) == [["web.example:80", "-", "-", "ALL", "Route: web.example:80"]]


@pytest.mark.parametrize(
    ("singular", "chosen", "names"),
    [
        ("cluster", {"fqdn": "web.example"}, ["outbound|80|v1|web.example"]),
        ("cluster", {"port": 8080}, ["inbound|8080||"]),
        ("cluster", {"port": 80, "fqdn": "xds"}, []),
        ("cluster", {"name": "xds"}, ["xds"]),
        ("endpoint", {"fqdn": "web.example", "port": 80}, ["outbound|80|v1|web.example"]),
        ("listener", {"port": 5432}, ["db"]),
        ("listener", {"name": "metrics", "port": 5432}, []),
        ("route", {"fqdn": "web:80"}, ["15001"]),
        ("route", {"fqdn": "none.example"}, []),
    ],
)
def test_filters(dump: ProxyDump, singular: str, chosen: dict[str, Any], names: list[str]) -> None:
    found = Filter(**chosen).apply(singular, dump)
    assert [each.get("name") or each["cluster_name"] for each in found] == names


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("outbound|80|v1|web.example", ("web.example", "80", "v1", "outbound")),
        ("inbound|8080||", ("-", "8080", "-", "inbound")),
        ("xds", ("xds", "-", "-", "-")),
    ],
)
def test_parts_of_a_cluster_name(name: str, parts: tuple[str, ...]) -> None:
    assert cluster_parts(name) == parts


def test_a_proxy_that_has_nothing_yet() -> None:
    assert ProxyDump.of({"configs": []}) == ProxyDump()


@pytest.mark.parametrize("other", [[], {}, {"configs": None}, "text", None])
def test_what_is_no_dump_is_refused(other: Any) -> None:
    with pytest.raises(ValueError, match="configs"):
        ProxyDump.of(other)
