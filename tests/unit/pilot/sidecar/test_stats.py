from __future__ import annotations

import re

import pytest

from pilot.sidecar.stats import stats_config


@pytest.mark.parametrize(
    ("tag", "statistic", "name", "value"),
    [
        (
            "envoy.cluster_name",
            "cluster.outbound|80||web.service.consul.upstream_rq_total",
            "cluster.upstream_rq_total",
            "outbound|80||web.service.consul",
        ),
        (
            "envoy.cluster_name",
            "cluster.outbound|80||web.default.service.nomad.upstream_rq_total",
            "cluster.upstream_rq_total",
            "outbound|80||web.default.service.nomad",
        ),
        (
            "envoy.cluster_name",
            "cluster.outbound|80||web.default.service.nomad.default.total_match_count",
            "cluster.default.total_match_count",
            "outbound|80||web.default.service.nomad",
        ),
        ("envoy.cluster_name", "cluster.xds-grpc.http2.tx_reset", "cluster.http2.tx_reset", "xds-grpc"),
        (
            "envoy.cluster_name",
            "cluster.inbound|8080||.circuit_breakers.default.cx_open",
            "cluster.circuit_breakers.default.cx_open",
            "inbound|8080||",
        ),
        (
            "envoy.http_conn_manager_prefix",
            "http.outbound|80||web.service.consul.downstream_rq_total",
            "http.downstream_rq_total",
            "outbound|80||web.service.consul",
        ),
        (
            "envoy.http_conn_manager_prefix",
            "listener.0.0.0.0_15006.http.inbound_8080.downstream_rq_2xx",
            "listener.0.0.0.0_15006.http.downstream_rq_2xx",
            "inbound_8080",
        ),
        ("envoy.tcp_prefix", "tcp.outbound|5432||db.a.service.nomad.downstream_cx_total", None, None),
    ],
)
def test_a_name_with_a_host_in_it_becomes_a_label(
    tag: str, statistic: str, name: str | None, value: str | None
) -> None:
    regex = next(each["regex"] for each in stats_config()["stats_tags"] if each["tag_name"] == tag)
    found = re.search(regex, statistic)
    assert found is not None
    assert found[2] == (value or "outbound|5432||db.a.service.nomad")
    assert statistic.replace(found[1], "", 1) == (name or "tcp.downstream_cx_total")
