"""The resources of golden cases as one bootstrap that Envoy can judge without a control plane.

Envoy's validation speaks to nobody, so what would come by ADS is put where it is used: a load assignment into its
cluster, a route configuration into its listener, a secret beside both. What only gRPC clients ask for is left out. It
reads the files that are named, so those of the tests stand in for a proxy's. All else stays as it is served. Cases
share one Envoy, so each case's clusters and listeners get its name in front and every listener a port of its own.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator, Mapping
from typing import Any

Resources = Mapping[str, list[dict[str, Any]]]
"""What an `envoy.yaml` holds: clusters, endpoints, listeners, routes, and secrets if there are any."""

FIRST_PORT = 20000
PAIR = "tls_certificate"
STAND_INS = {PAIR: ("certificate_chain", "private_key"), "validation_context": ("trusted_ca",)}


def bootstrap(cases: Mapping[str, Resources], files: Mapping[str, str] | None = None) -> dict[str, Any]:
    """All cases in one; their names come back in Envoy's complaints. `files` by the field that names such a file."""
    ports = itertools.count(FIRST_PORT)
    cases = {case: _with_secrets(case, resources) for case, resources in cases.items()}
    clusters = [_named(case, each) for case, resources in cases.items() for each in _clusters(resources)]
    listeners = [_named(case, each) for case, resources in cases.items() for each in _listeners(resources)]
    for listener in listeners:
        listener["address"]["socket_address"]["port_value"] = next(ports)
    return {
        "static_resources": {
            "clusters": _with_files(clusters, files or {}),
            "listeners": _with_files(listeners, files or {}),
            "secrets": _with_files(
                [each for resources in cases.values() for each in resources["secrets"]], files or {}
            ),
        }
    }


def _with_secrets(case: str, resources: Resources) -> Resources:
    """Secrets in the bootstrap, for names of the case; one that is not told has a stand-in."""
    found = {each["name"]: each for each in resources.get("secrets", ())}

    def static(value: Any) -> Any:
        if isinstance(value, list):
            return [static(each) for each in value]
        if not isinstance(value, dict):
            return value
        if "sds_config" in value:
            part = (
                "validation_context" if "root" in value["name"].lower() or value["name"].endswith("-cacert") else PAIR
            )
            found.setdefault(value["name"], {part: dict.fromkeys(STAND_INS[part])})
            return {"name": f"{case}/{value['name']}"}
        return {key: static(each) for key, each in value.items() if key != "watched_directory"}

    rest = {kind: static(each) for kind, each in resources.items() if kind != "secrets"}
    return {**rest, "secrets": [{**static(each), "name": f"{case}/{name}"} for name, each in found.items()]}


def _with_files(value: Any, files: Mapping[str, str]) -> Any:
    if isinstance(value, list):
        return [_with_files(each, files) for each in value]
    if not isinstance(value, dict):
        return value
    return {key: {"filename": files[key]} if key in files else _with_files(each, files) for key, each in value.items()}


def _named(case: str, resource: dict[str, Any]) -> dict[str, Any]:
    for chain in resource.get("filter_chains", ()):
        tracing = chain["filters"][0]["typed_config"].get("tracing", {})
        collector = tracing.get("provider", {}).get("typed_config", {})
        if "collector_cluster" in collector:  # of all that names a cluster, the one that Envoy looks up at once
            collector["collector_cluster"] = f"{case}/{collector['collector_cluster']}"
    return {**resource, "name": f"{case}/{resource['name']}"}


def _clusters(resources: Resources) -> Iterator[dict[str, Any]]:
    assignments = {each["cluster_name"]: each for each in resources["endpoints"]}
    for cluster in copy.deepcopy(resources["clusters"]):
        if cluster.get("type") == "EDS":
            name = cluster.pop("eds_cluster_config").get("service_name", cluster["name"])
            cluster |= {"type": "STATIC", "load_assignment": assignments[name]}
        yield cluster


def _listeners(resources: Resources) -> Iterator[dict[str, Any]]:
    routes = {each["name"]: each for each in resources["routes"]}
    for listener in copy.deepcopy([each for each in resources["listeners"] if "api_listener" not in each]):
        for chain in listener["filter_chains"]:
            for each in chain["filters"]:
                manager = each["typed_config"]
                if "rds" in manager:
                    manager["route_config"] = routes[manager.pop("rds")["route_config_name"]]
        yield listener
