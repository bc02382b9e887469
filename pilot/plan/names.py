"""The names others rely on, in Istio's grammar: clusters and routes. One place, so that they can't drift apart."""

from __future__ import annotations

PASSTHROUGH = "PassthroughCluster"


def outbound_cluster(host: str, port: int, subset: str = "") -> str:
    """`outbound|80|v1|web.service.consul`."""
    return f"outbound|{port}|{subset}|{host}"


def server_name(host: str, port: int, subset: str = "") -> str:
    """What TLS of the mesh asks for: `outbound_.80_.v1_.web.service.consul`."""
    return f"outbound_.{port}_.{subset}_.{host}"


def parse_outbound_cluster(name: str) -> tuple[str, int, str] | None:
    """Host, port and subset of a name that `outbound_cluster` made; None for another."""
    direction, *rest = name.split("|", 3)
    return (rest[2], int(rest[0]), rest[1]) if direction == "outbound" and len(rest) == 3 else None


def inbound_cluster(port: int) -> str:
    """`inbound|8080||`."""
    return f"inbound|{port}||"


def host_route(host: str, port: int) -> str:
    """The route configuration of a listener that serves one service: `web.service.consul:80`."""
    return f"{host}:{port}"
