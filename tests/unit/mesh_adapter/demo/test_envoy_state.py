"""What Envoy's admin interface says, read."""

from __future__ import annotations

from typing import Any

from mesh_adapter.demo.envoy_state import Endpoint, endpoints, weights


def dump(*virtual_hosts: dict[str, Any]) -> dict[str, Any]:
    return {"configs": [{}, {"route_config": {"name": "15001", "virtual_hosts": list(virtual_hosts)}}]}


def virtual_host(name: str, action: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "routes": [{"route": {"cluster": "outbound|80|canary|reviews.demo"}}, {"route": action}]}


def test_the_weights_are_those_of_the_last_route() -> None:
    clusters = [
        {"name": "outbound|80|v1|reviews.demo", "weight": 90},
        {"name": "outbound|80|v2|reviews.demo", "weight": 10},
    ]
    said = dump(
        virtual_host("web.demo:80", {"cluster": "outbound|80||web.demo"}),
        virtual_host("reviews.demo:80", {"weighted_clusters": {"clusters": clusters}}),
    )
    assert weights(said, "reviews") == {"v1": 90, "v2": 10}


def test_a_single_cluster_has_it_all() -> None:
    assert weights(dump(virtual_host("reviews.demo:80", {"cluster": "outbound|80|v1|reviews.demo"})), "reviews") == {
        "v1": 100
    }
    assert weights(dump(virtual_host("reviews.demo:80", {"cluster": "outbound|80||reviews.demo"})), "reviews") == {
        "": 100
    }


def test_without_a_route_there_are_no_weights() -> None:
    assert weights(dump(), "reviews") == {}
    assert weights({}, "reviews") == {}
    assert weights(dump(virtual_host("reviews.demo:80", {})), "reviews") == {}


def test_endpoints_of_the_versions_own_cluster() -> None:
    def host(port: int, **more: Any) -> dict[str, Any]:
        return {"address": {"socket_address": {"address": "127.0.0.1", "port_value": port}}, **more}

    statistics = [{"name": "cx_active"}, {"name": "cx_total", "value": "12"}]
    said = {
        "cluster_statuses": [
            {"name": "outbound|80||reviews.demo", "host_statuses": [host(3)]},
            {
                "name": "outbound|80|v2|reviews.demo",
                "host_statuses": [host(1, health_status={"failed_outlier_check": True}, stats=statistics), host(2)],
            },
        ]
    }
    assert endpoints(said, "reviews", "v2") == {1: Endpoint(True, 12), 2: Endpoint(False, 0)}
    assert endpoints({}, "reviews", "v2") == {}
