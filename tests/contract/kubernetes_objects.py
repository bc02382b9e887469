"""Short ways to write Kubernetes objects, for tests against the server in this process and against the real one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Json = dict[str, Any]

SERVICES = "/api/v1/services"
PODS = "/api/v1/pods"
NODES = "/api/v1/nodes"
SLICES = "/apis/discovery.k8s.io/v1/endpointslices"


def service(name: str, namespace: str = "default", **spec: Any) -> Json:
    """A Service of one port, 80, unless `spec` says otherwise."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"ports": [{"name": "http", "port": 80, "protocol": "TCP"}]} | spec,
    }


def pod(
    name: str,
    namespace: str = "default",
    *,
    labels: Mapping[str, str] | None = None,
    account: str = "default",
    node: str = "",
) -> Json:
    spec: Json = {"containers": [{"name": "app", "image": "app"}], "serviceAccountName": account}
    metadata = {"name": name, "namespace": namespace, "labels": dict(labels or {})}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": spec | ({"nodeName": node} if node else {}),
    }


def node(name: str, **labels: str) -> Json:
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}}


def endpoint(address: str, pod: str = "", namespace: str = "default", **more: Any) -> Json:
    """One endpoint of a slice, ready, of a pod if one is named. `more`: conditions by their names; zone; nodeName."""
    conditions = {"ready": True} | {k: v for k, v in more.items() if k in ("ready", "serving", "terminating")}
    found: Json = {"addresses": [address], "conditions": conditions}
    if pod:
        found["targetRef"] = {"kind": "Pod", "name": pod, "namespace": namespace}
    return found | {k: v for k, v in more.items() if k in ("zone", "nodeName")}


def endpoint_slice(
    name: str,
    of: str,
    endpoints: Iterable[Json],
    namespace: str = "default",
    *,
    family: str = "IPv4",
    port: int = 8080,
    port_name: str = "http",
) -> Json:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": name, "namespace": namespace, "labels": {"kubernetes.io/service-name": of}},
        "addressType": family,
        "ports": [{"name": port_name, "port": port, "protocol": "TCP"}],
        "endpoints": list(endpoints),
    }
