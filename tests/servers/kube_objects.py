"""Manifests and accounts on a test's API server: what `kubectl apply` and `kubectl create token` do."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.servers.http import RefusedError
from tests.servers.kube_apiserver import KubeApiserver

PLURALS = {
    "ClusterRole": "clusterroles",
    "ClusterRoleBinding": "clusterrolebindings",
    "CustomResourceDefinition": "customresourcedefinitions",
    "Deployment": "deployments",
    "EndpointSlice": "endpointslices",
    "Namespace": "namespaces",
    "Node": "nodes",
    "Pod": "pods",
    "Role": "roles",
    "RoleBinding": "rolebindings",
    "Service": "services",
    "ServiceAccount": "serviceaccounts",
}


def collection(item: Mapping[str, Any]) -> str:
    """The path of the collection that an object belongs to; a kind of our own is its lower case and an s."""
    version, kind = str(item["apiVersion"]), str(item["kind"])
    plural = PLURALS.get(kind) or kind.lower().removesuffix("y") + ("ies" if kind.endswith("y") else "s")
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    namespace = item["metadata"].get("namespace")
    return f"{root}/namespaces/{namespace}/{plural}" if namespace else f"{root}/{plural}"


def apply(server: KubeApiserver, item: Mapping[str, Any]) -> None:
    """Create the object, or replace it."""
    path = collection(item)
    try:
        server.create(path, item)
    except RefusedError as refused:
        if refused.status != 409:
            raise
        one = f"{path}/{item['metadata']['name']}"
        there = server.get(one)
        version = {"resourceVersion": there["metadata"]["resourceVersion"]}
        kept = {"clusterIP": there["spec"].get("clusterIP")} if item["kind"] == "Service" else {}
        merged = dict(item) | {"metadata": dict(item["metadata"]) | version}
        if kept.get("clusterIP") and item["spec"].get("type") != "ExternalName":
            merged["spec"] = kept | dict(item["spec"])
        server.call("PUT", one, merged)


def apply_all(server: KubeApiserver, items: Iterable[Mapping[str, Any]]) -> None:
    for item in items:
        apply(server, item)


def apply_file(server: KubeApiserver, manifest: Path) -> list[dict[str, Any]]:
    """All documents of a file; answers them."""
    items = [each for each in yaml.safe_load_all(manifest.read_text(encoding="utf-8")) if each]
    apply_all(server, items)
    return items


def delete(server: KubeApiserver, item: Mapping[str, Any]) -> None:
    """Delete it at once, as if nothing had to end in peace."""
    server.call("DELETE", f"{collection(item)}/{item['metadata']['name']}?gracePeriodSeconds=0")


def remove_all(server: KubeApiserver, items: Sequence[Mapping[str, Any]]) -> None:
    """Delete them and wait until they are gone, which definitions are only after their objects."""
    for item in items:
        delete(server, item)
    for item in items:
        path = f"{collection(item)}/{item['metadata']['name']}"
        server.process.wait_until(lambda path=path: _is_gone(server, path), f"{path} gone")  # type: ignore[misc]


def _is_gone(server: KubeApiserver, path: str) -> bool:
    try:
        server.get(path)
    except RefusedError as refused:
        return refused.status == 404
    return False


def account_token(server: KubeApiserver, namespace: str, account: str) -> str:
    """A token of a service account, as the kubelet gives it to pods."""
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}
    made = server.create(f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token", request)
    return str(made["status"]["token"])


def kubeconfig_of(server: KubeApiserver, token_file: Path) -> str:
    """A kubeconfig beside the token file, whose user has what that file holds."""
    cluster = {"server": server.url, "certificate-authority": str(server.ca_file)}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "tests", "cluster": cluster}],
        "users": [{"name": "account", "user": {"tokenFile": str(token_file)}}],
        "contexts": [{"name": "account", "context": {"cluster": "tests", "user": "account"}}],
        "current-context": "account",
    }
    path = token_file.with_suffix(".kubeconfig")
    path.write_text(json.dumps(config), encoding="utf-8")
    return str(path)
