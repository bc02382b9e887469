"""ServiceEntry, WorkloadEntry and WorkloadGroup: what passes, what is refused and in which words."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.galley.objects import accepted, refusals, warnings

HTTP = {"number": 80, "name": "http", "protocol": "HTTP"}
TCP = {"number": 5432, "name": "tcp", "protocol": "TCP"}


def entry(**more: Any) -> dict[str, Any]:
    return {"hosts": ["api.example.com"], "ports": [HTTP], "resolution": "DNS", **more}


@pytest.mark.parametrize(
    "spec",
    [
        entry(),
        entry(hosts=["a.example.com", "b.example.com"]),
        entry(hosts=["*.example.com"], resolution="NONE"),
        entry(hosts=["*.example.com"], resolution="DYNAMIC_DNS"),
        entry(hosts=["*.example.com"], resolution="STATIC", endpoints=[{"address": "10.0.0.1"}]),
        entry(resolution="STATIC", endpoints=[{"address": "unix:///run/a.sock"}], addresses=["10.0.0.9"]),
        entry(resolution="STATIC", workloadSelector={"labels": {"a": "b"}}, location="MESH_INTERNAL"),
        entry(endpoints=[{"address": "eu.example.com", "ports": {"http": 8080}, "weight": 3, "locality": "eu/a"}]),
        entry(ports=[HTTP, {"number": 81, "name": "any"}, TCP], exportTo=[".", "shop"]),
        entry(ports=[{"number": 1, "name": name, "protocol": name} for name in ("grpc-web",)]),
        entry(exportTo=["*"]),
        entry(exportTo=["~"]),
    ],
)
def test_what_can_be_served_passes(spec: dict[str, Any]) -> None:
    accepted("ServiceEntry", spec)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (entry(hosts=[]), "spec.hosts is missing"),
        (entry(hosts=["*"]), "spec.hosts[0] '*' is not allowed"),
        (entry(hosts=["a", "a"]), "spec.hosts[1] 'a' is given twice"),
        (entry(hosts=["a/b"]), "spec.hosts[0] 'a/b' is not a valid host"),
        (entry(hosts=["*.a"]), "spec.hosts[0] must be a full name if no endpoints are provided for resolution DNS"),
        (entry(resolution="DYNAMIC_DNS"), "spec.hosts[0] must be a wildcard for resolution DYNAMIC_DNS"),
        (entry(addresses=["nowhere"]), "spec.addresses[0] 'nowhere' is not an IP address"),
        (
            entry(addresses=["10.0.0.0/8"]),
            "spec.addresses[0] '10.0.0.0/8' is a range: proxies are spoken to explicitly, so that only HTTP says which "
            "host of many is meant",
        ),
        (
            entry(hosts=["a", "b"], addresses=["10.0.0.1"]),
            "spec.addresses can't be shared by several hosts: proxies are spoken to explicitly, so that only HTTP says "
            "which host of many is meant",
        ),
        (entry(ports=[]), "spec.ports is missing"),
        (entry(ports=[{**HTTP, "name": ""}]), "spec.ports[0].name is missing"),
        (entry(ports=[{**HTTP, "number": 0}]), "spec.ports[0].number port number 0 must be in the range 1..65535"),
        (entry(ports=[HTTP, {**TCP, "name": "http"}]), "spec.ports[1].name 'http' is already defined"),
        (entry(ports=[HTTP, {**TCP, "number": 80}]), "spec.ports[1].number 80 is already defined"),
        (
            entry(ports=[{**HTTP, "targetPort": 70000}]),
            "spec.ports[0].targetPort port number 70000 must be in the range 1..65535",
        ),
        (
            entry(ports=[{**HTTP, "protocol": "UDP"}]),
            "spec.ports[0].protocol UDP can't be served: no listener of the mesh takes datagrams",
        ),
        (entry(ports=[{**HTTP, "protocol": "X"}]), "spec.ports[0].protocol 'X' is not a known protocol"),
        (
            entry(hosts=["*.a"], resolution="NONE", ports=[TCP]),
            "spec.ports[0].protocol TCP can't be served for a wildcard host: proxies are spoken to explicitly, so that "
            "only HTTP says which host of many is meant",
        ),
        (
            entry(hosts=["*.a"], resolution="NONE", ports=[{**HTTP, "targetPort": 8080}]),
            "spec.ports[0].targetPort can't be carried out where hosts are resolved as requests name them",
        ),
        (
            entry(resolution="NONE", endpoints=[{"address": "10.0.0.1"}]),
            "spec.endpoints can't be given with resolution NONE",
        ),
        (
            entry(resolution="NONE", workloadSelector={"labels": {"a": "b"}}),
            "spec.workloadSelector can't be given with resolution NONE",
        ),
        (
            entry(endpoints=[{"address": "a"}], workloadSelector={"labels": {"a": "b"}}),
            "spec.endpoints can't stand beside workloadSelector: only one of the two says who serves",
        ),
        (
            entry(workloadSelector={"labels": {}}),
            "spec.workloadSelector has no labels: it would select every workload of the namespace",
        ),
        (
            entry(workloadSelector={"labels": {"a": "*"}}),
            "spec.workloadSelector.labels 'a': '*' is no label",
        ),
        (
            entry(resolution="DNS_ROUND_ROBIN", endpoints=[{"address": "a"}, {"address": "b"}]),
            "spec.endpoints must be none or one for resolution DNS_ROUND_ROBIN",
        ),
        (
            entry(resolution="STATIC", endpoints=[{"address": "a.example.com"}]),
            "spec.endpoints[0].address 'a.example.com' is not an IP address",
        ),
        (
            entry(endpoints=[{"address": "unix:///a"}]),
            "spec.endpoints[0].address is a Unix domain socket, which DNS does not resolve",
        ),
        (entry(endpoints=[{}]), "spec.endpoints[0].address is missing"),
        (
            entry(endpoints=[{"address": "a", "ports": {"ftp": 21}}]),
            "spec.endpoints[0].ports.ftp is no port of the service entry",
        ),
        (entry(exportTo=["*", "a"]), "spec.exportTo has '*' beside others"),
        (entry(exportTo=["A B"]), "spec.exportTo[0] 'A B' is not a valid DNS label"),
    ],
)
def test_what_is_bad_is_told_with_its_place(spec: dict[str, Any], message: str) -> None:
    assert refusals("ServiceEntry", spec) == [message]


def test_what_has_no_effect_yet_is_told() -> None:
    assert warnings("ServiceEntry", entry(subjectAltNames=["spiffe://a/b"])) == [
        "spec.subjectAltNames has no effect yet: connections to the service are not secured by TLS"
    ]
    assert warnings("ServiceEntry", entry(addresses=["10.0.0.1"], ports=[TCP])) == [
        "spec.addresses has an effect on HTTP only: connections reach TCP ports by an egress listener or an upstream"
    ]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({}, "spec.address is missing"),
        ({"address": "a b"}, "spec.address 'a b' is not a valid host"),
        ({"address": "unix://relative"}, "spec.address 'unix://relative' is not an absolute path"),
        ({"address": "unix:///a", "ports": {"a": 1}}, "spec.ports can't be given with a Unix domain socket"),
        ({"address": "a", "ports": {"a": 0}}, "spec.ports.a port number 0 must be in the range 1..65535"),
        ({"address": "a", "ports": {"": 1}}, "spec.ports has a port without name"),
        ({"address": "a", "labels": {"": "x"}}, "spec.labels has an empty label name"),
        ({"address": "a", "locality": "a/b/c/d"}, "spec.locality 'a/b/c/d' has more than three parts"),
    ],
)
def test_a_workload_entry_is_checked_by_itself(spec: dict[str, Any], message: str) -> None:
    assert refusals("WorkloadEntry", spec) == [message]


def test_a_workload_entry_passes_with_all_of_its_fields() -> None:
    accepted(
        "WorkloadEntry",
        {
            "address": "10.0.0.1",
            "ports": {"http": 8080},
            "labels": {"app": "shop"},
            "network": "vm",
            "locality": "eu/a/b",
            "weight": 7,
            "serviceAccount": "shop",
        },
    )


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({}, "spec.template is missing"),
        (
            {"template": {"address": "10.0.0.1"}},
            "spec.template.address can't be given in a template: every workload of the group has its own",
        ),
        (
            {"template": {"ports": {"a": 70000}}},
            "spec.template.ports.a port number 70000 must be in the range 1..65535",
        ),
        ({"template": {}, "metadata": {"labels": {"": "x"}}}, "spec.metadata.labels has an empty label name"),
        (
            {"template": {}, "probe": {"periodSeconds": 3}},
            "spec.probe is not supported by this version of mesh-adapter: workloads do not register themselves yet, so "
            "that nobody would probe them",
        ),
    ],
)
def test_a_workload_group_is_a_template(spec: dict[str, Any], message: str) -> None:
    assert refusals("WorkloadGroup", spec) == [message]


def test_a_workload_group_passes() -> None:
    accepted(
        "WorkloadGroup",
        {
            "metadata": {"labels": {"app": "shop"}, "annotations": {"a": "b"}},
            "template": {"ports": {"http": 80}, "serviceAccount": "shop", "labels": {"v": "1"}},
        },
    )
