"""Sidecar and ProxyConfig: what passes, what is refused and in which words."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.galley.objects import accepted, refusals, validated

HTTP = {"number": 9080, "name": "http", "protocol": "HTTP"}
TCP = {"number": 5432, "name": "db", "protocol": "TCP"}


def ingress(**more: Any) -> dict[str, Any]:
    return {"ingress": [{"port": HTTP, "defaultEndpoint": "127.0.0.1:8080", **more}]}


def egress(**more: Any) -> dict[str, Any]:
    return {"egress": [{"hosts": ["./*"], **more}]}


@pytest.mark.parametrize(
    "spec",
    [
        egress(),
        egress(hosts=["*/*", "~/*", "shop/*.example.com", "./web"]),
        egress(port=HTTP, bind="127.0.0.2", captureMode="NONE"),
        egress(port=TCP, hosts=["*/db.example.com"]),
        {"egress": [{"port": HTTP, "hosts": ["./*"]}, {"hosts": ["*/*"]}]},
        ingress(),
        ingress(defaultEndpoint="unix:///run/a.sock", bind="::1", captureMode="DEFAULT"),
        ingress(defaultEndpoint="127.0.0.1:9080", bind="10.0.0.1"),
        ingress(connectionPool={"tcp": {"maxConnections": 3}}),
        {"inboundConnectionPool": {"http": {"maxRetries": 2}}},
        {"workloadSelector": {"labels": {"a": "b"}}, "outboundTrafficPolicy": {"mode": "ALLOW_ANY"}},
        {"outboundTrafficPolicy": {"mode": "ALLOW_ANY", "egressProxy": {"host": "out.example", "port": {"number": 1}}}},
    ],
)
def test_what_can_be_carried_out_passes(spec: dict[str, Any]) -> None:
    accepted("Sidecar", spec)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({}, "spec is empty"),
        (
            {**egress(), "workloadSelector": {}},
            "spec.workloadSelector has no labels: it would select every workload of the namespace",
        ),
        (egress(hosts=[]), "spec.egress[0].hosts is missing"),
        (egress(hosts=["web"]), "spec.egress[0].hosts[0] 'web' is not of the form namespace/host"),
        (egress(hosts=["A/web"]), "spec.egress[0].hosts[0] 'A' is not a valid DNS label"),
        (egress(hosts=["./a*"]), "spec.egress[0].hosts[0] 'a*' has a wildcard where none is allowed"),
        (
            {"egress": [{"hosts": ["./*"]}, {"port": HTTP, "hosts": ["./*"]}]},
            "spec.egress[0] has no port, which only the last listener may leave out",
        ),
        (egress(bind="127.0.0.1"), "spec.egress[0].bind can't be given without a port"),
        (egress(port=HTTP, bind="unix:///a"), "spec.egress[0].bind is a Unix domain socket, which is not listened on"),
        (egress(port=HTTP, bind="here"), "spec.egress[0].bind 'here' is not an IP address"),
        (egress(port={**HTTP, "number": 15001}), "spec.egress[0].port.number is a port that every proxy listens on"),
        (
            egress(port=TCP),
            "spec.egress[0].hosts must name one host for protocol TCP: only HTTP says which of many is meant",
        ),
        (
            egress(port={"number": 1, "name": "tcp-a"}),
            "spec.egress[0].hosts must name one host for protocol tcp: only HTTP says which of many is meant",
        ),
        (
            egress(port=HTTP, captureMode="IPTABLES"),
            "spec.egress[0].captureMode IPTABLES is not supported by this version of mesh-adapter: no traffic is "
            "captured, clients name the listener that they mean",
        ),
        (
            egress(port={**HTTP, "targetPort": 1}),
            "spec.egress[0].port.targetPort is not supported by this version of mesh-adapter",
        ),
        ({"ingress": [{"defaultEndpoint": "127.0.0.1:1"}]}, "spec.ingress[0].port is missing"),
        (
            {"ingress": [*ingress()["ingress"], *ingress()["ingress"]]},
            "spec.ingress[1].port.number ports on listeners must be unique, 9080 is not",
        ),
        (
            ingress(port={**HTTP, "protocol": "udp"}),
            "spec.ingress[0].port.protocol UDP can't be served: no listener of the mesh takes datagrams",
        ),
        (
            ingress(defaultEndpoint=""),
            "spec.ingress[0].defaultEndpoint is missing: without captured traffic nothing else says where it goes",
        ),
        (
            ingress(defaultEndpoint="0.0.0.0:8080"),
            "spec.ingress[0].defaultEndpoint '0.0.0.0:8080': 0.0.0.0 stands for the workload's own address, which may "
            "differ from proxy to proxy",
        ),
        (
            ingress(defaultEndpoint="10.0.0.1:80"),
            "spec.ingress[0].defaultEndpoint '10.0.0.1:80' is no endpoint beside the proxy",
        ),
        (
            ingress(defaultEndpoint="127.0.0.1:99999"),
            "spec.ingress[0].defaultEndpoint '127.0.0.1:99999' is no endpoint beside the proxy",
        ),
        (ingress(defaultEndpoint="unix://a"), "spec.ingress[0].defaultEndpoint 'unix://a' is not an absolute path"),
        (
            ingress(defaultEndpoint="127.0.0.1:9080"),
            "spec.ingress[0].defaultEndpoint '127.0.0.1:9080' is what the listener itself listens on",
        ),
        (
            ingress(tls={"mode": "SIMPLE"}),
            "spec.ingress[0].tls is not supported by this version of mesh-adapter: listeners have no certificates yet",
        ),
        (
            ingress(connectionPool={"tcp": {"maxConnections": -1}}),
            "spec.ingress[0].connectionPool.tcp.maxConnections must not be negative, it is -1",
        ),
        (
            {"outboundTrafficPolicy": {"egressProxy": {"host": "a", "port": {"number": 1}}}},
            "spec.outboundTrafficPolicy.egressProxy has an effect with mode ALLOW_ANY only",
        ),
        (
            {"outboundTrafficPolicy": {"mode": "ALLOW_ANY", "egressProxy": {"host": "a"}}},
            "spec.outboundTrafficPolicy.egressProxy.port is missing",
        ),
    ],
)
def test_what_is_bad_is_told_with_its_place(spec: dict[str, Any], message: str) -> None:
    assert refusals("Sidecar", spec) == [message]


@pytest.mark.parametrize(
    ("spec", "place", "way_out"),
    [
        ({"selector": {"matchLabels": {"a": "b"}}}, "spec.selector", "remove it"),
        ({"concurrency": 4}, "spec.concurrency", "--concurrency 4"),
        ({"concurrency": 0}, "spec.concurrency", "--concurrency CORES"),
        ({"concurrency": -1}, "spec.concurrency", "number of worker threads"),
        ({"environmentVariables": {"A": "b"}}, "spec.environmentVariables", "mesh-adapter sidecar"),
        ({"image": {"imageType": "debug"}}, "spec.image", "--envoy"),
    ],
)
def test_a_proxy_config_is_refused_with_the_option_that_does_it(spec: dict[str, Any], place: str, way_out: str) -> None:
    (problem,) = validated("ProxyConfig", spec, api_version="networking.istio.io/v1beta1").problems
    assert not problem.warning
    assert problem.message.startswith(place)
    assert way_out in problem.mend


def test_a_proxy_config_that_says_nothing_passes() -> None:
    assert validated("ProxyConfig", {}, api_version="networking.istio.io/v1beta1").object is not None
