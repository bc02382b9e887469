"""The names others rely on, in Istio's grammar: clusters and routes. One place, so that they can't drift apart."""

from __future__ import annotations


def outbound_cluster(host: str, port: int, subset: str = "") -> str:
    """`outbound|80|v1|web.service.consul`."""
    return f"outbound|{port}|{subset}|{host}"


def inbound_cluster(port: int) -> str:
    """`inbound|8080||`."""
    return f"inbound|{port}||"


def host_route(host: str, port: int) -> str:
    """The route configuration of a listener that serves one service: `web.service.consul:80`."""
    return f"{host}:{port}"
