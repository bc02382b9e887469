"""Services and rules of a Kubernetes cluster are followed by traffic, beside those of Consul in the same mesh."""

from __future__ import annotations

import collections
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.contract.kubernetes_objects import endpoint, endpoint_slice, pod, service
from tests.e2e.world import Instance, Mesh, Sidecar, eventually
from tests.servers.kube_apiserver import KubeApiserver
from tests.servers.kube_objects import account_token, apply, apply_file, delete, kubeconfig_of, remove_all

pytestmark = pytest.mark.e2e

MANIFESTS = Path(__file__).parents[2] / "deploy" / "kubernetes"
SPACE = "ke-shop"
HOST = f"cart.{SPACE}.svc.cluster.local"
RULES = f"""
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: cart, namespace: {SPACE}}}
spec:
  host: cart
  subsets: [{{name: v1, labels: {{version: v1}}}}, {{name: v2, labels: {{version: v2}}}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: cart, namespace: {SPACE}}}
spec:
  hosts: [cart]
  http: [{{route: [{{destination: {{host: cart, subset: v1}}}}]}}]
"""


@pytest.fixture
def cluster(mesh: Mesh, kube_apiserver: KubeApiserver, tmp_path: Path) -> Iterator[KubeApiserver]:
    """A mesh that runs on Consul and a cluster, with the rights of our manifests in the latter."""
    definitions = apply_file(kube_apiserver, MANIFESTS / "crds.yaml")
    for name in ("rbac.yaml", "rbac-config.yaml"):
        apply_file(kube_apiserver, MANIFESTS / name)
    kube_apiserver.namespace(SPACE)
    token = tmp_path / "token"
    token.write_text(account_token(kube_apiserver, "mesh-system", "mesh-adapter"))
    options = ("--platform", "kubernetes", "--kubeconfig", kubeconfig_of(kube_apiserver, token))
    mesh.start(*options, "--kube-namespace", SPACE, "--config", f"kubernetes:{SPACE}")
    yield kube_apiserver
    remove_all(kube_apiserver, definitions)


def own_address() -> str:
    """An address of this machine: Kubernetes takes none of loopback for an endpoint's."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # sends nothing
        return str(probe.getsockname()[0])


def workload(mesh: Mesh, name: str) -> Instance:
    """One that is reached at that address."""
    return mesh.workload("cart", name, address="0.0.0.0")


def put(cluster: KubeApiserver, instance: Instance, version: str, **conditions: Any) -> None:
    """The instance as a pod, in a slice of its own since it has a port of its own."""
    apply(cluster, pod(instance.name, SPACE, labels={"version": version}, account="cart"))
    endpoints = [endpoint(own_address(), instance.name, SPACE, **conditions)]
    apply(cluster, endpoint_slice(instance.name, "cart", endpoints, SPACE, port=instance.port))


def wait_served_by(client: Sidecar, *instances: Instance) -> None:
    wanted = {each.name for each in instances}

    def shares() -> bool:
        replies = [client.get(HOST) for _ in range(20)]
        return {reply.instance for reply in replies} == wanted and {reply.status for reply in replies} == {200}

    eventually(shares, f"served by {sorted(wanted)}")


def test_traffic_follows_services_and_rules_of_a_cluster(mesh: Mesh, cluster: KubeApiserver) -> None:
    client = mesh.client()
    one, two = workload(mesh, "cart-1"), workload(mesh, "cart-2")
    elsewhere = mesh.instance("elsewhere")
    apply(cluster, service("cart", SPACE))
    put(cluster, one, "v1")
    put(cluster, two, "v2")
    wait_served_by(client, one, two)
    client.wait_served_by("elsewhere", elsewhere)

    rules = list(yaml.safe_load_all(RULES))
    for each in rules:
        apply(cluster, each)
    wait_served_by(client, one)
    rules[1]["spec"]["http"][0]["route"][0]["destination"]["subset"] = "v2"
    apply(cluster, rules[1])
    wait_served_by(client, two)

    broken = {**rules[1], "spec": {"hosts": [], "http": 7}}
    apply(cluster, broken)
    origin = f"kubernetes: VirtualService {SPACE}/cart"
    eventually(lambda: origin in mesh.control.get("/debug/problems"), "a problem with the object's coordinates")
    wait_served_by(client, two)
    delete(cluster, rules[1])
    wait_served_by(client, one, two)

    put(cluster, two, "v2", ready=False)
    wait_served_by(client, one)
    put(cluster, two, "v2")
    wait_served_by(client, one, two)


def test_a_cluster_that_is_away_takes_nothing_from_traffic(mesh: Mesh, tmp_path: Path) -> None:
    with KubeApiserver(tmp_path / "kube") as own:
        own.namespace(SPACE)
        mesh.start("--platform", "kubernetes", "--kubeconfig", str(own.kubeconfig))
        client = mesh.client()
        one = workload(mesh, "cart-1")
        apply(own, service("cart", SPACE))
        put(own, one, "v1")
        wait_served_by(client, one)
        own.kill()

        def is_stale() -> bool:
            return any(each["name"] == "kubernetes" and each["stale"] for each in mesh.control.debug("platforms"))

        eventually(is_stale, "stale")
        statuses = collections.Counter(client.get(HOST).status for _ in range(100))
        assert statuses == {200: 100}
        elsewhere = mesh.instance("elsewhere")
        client.wait_served_by("elsewhere", elsewhere)
