"""What Envoy's protocols tell of who reports and where it went."""

from __future__ import annotations

from typing import Any

from envoy_data_plane.envoy.config.core import v3 as core

from mixer.faces import peers
from pilot.envoy import codec

Node: Any = codec.message(core.Node)


def test_a_proxy_that_calls_is_the_source_and_one_that_is_called_the_destination() -> None:
    node = Node(id="sidecar~10.0.0.1~web-1.shop~service.consul")
    node.metadata.update({"LABELS": {"version": "v1"}})
    out = peers.told_by_node(node, {"context.reporter.kind": "outbound"})
    assert (out["source.name"], out["source.namespace"], out["source.labels"]) == ("web-1", "shop", {"version": "v1"})
    assert peers.told_by_node(node, {})["destination.name"] == "web-1"


def test_a_node_of_another_form_says_nothing() -> None:
    assert peers.told_by_node(Node(id="envoy-1"), {}) == {}


def test_a_cluster_s_name_tells_the_host() -> None:
    assert peers.host_of_cluster("outbound|80|v1|web.example") == "web.example"
    assert peers.host_of_cluster("mixer") == ""
