"""The Kubernetes platform against Kubernetes itself: kinds of services, rights, tokens, restarts, many objects."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters.kubernetes.options import KubernetesOptions
from adapters.kubernetes.watch import KubernetesPlatform
from adapters.platform import Delete
from pilot.model.service import Health, Locality, Port, Protocol, Resolution, ServiceKey
from tests.contract.kubernetes_objects import endpoint, endpoint_slice, node, pod, service
from tests.contract.platform_suite import Listener
from tests.servers.http import RefusedError
from tests.servers.kube_apiserver import KubeApiserver
from tests.servers.kube_objects import account_token, apply, apply_file, delete, kubeconfig_of

pytestmark = pytest.mark.integration

RBAC = Path(__file__).parents[2] / "deploy" / "kubernetes" / "rbac.yaml"
SLOW = 40.0

Listen = Callable[..., Listener]


@pytest.fixture
def listen() -> Iterator[Listen]:
    listeners: list[Listener] = []

    def start(kubeconfig: object, **options: Any) -> Listener:
        found = KubernetesOptions(kubeconfig=str(kubeconfig), **options)
        listeners.append(Listener(KubernetesPlatform(found)))
        return listeners[-1]

    yield start
    for listener in listeners:
        listener.close()


def key(name: str, namespace: str) -> ServiceKey:
    return ServiceKey(namespace, f"{name}.{namespace}.svc.cluster.local")


def account(server: KubeApiserver, folder: Path) -> str:
    """The kubeconfig of the control plane's own service account, with no more rights than it is given."""
    apply_file(server, RBAC)
    token = folder / "token"
    token.write_text(account_token(server, "mesh-system", "mesh-adapter"))
    return kubeconfig_of(server, token)


def slice_of(name: str, namespace: str, *addresses: str, **conditions: Any) -> dict[str, Any]:
    endpoints = [endpoint(address, f"{name}-{address}", namespace, **conditions) for address in addresses]
    return endpoint_slice(f"{name}-1", name, endpoints, namespace)


def appear(server: KubeApiserver, name: str, namespace: str, *addresses: str) -> None:
    for address in addresses:
        apply(server, pod(f"{name}-{address}", namespace, labels={"app": name}, account=name))
    apply(server, service(name, namespace))
    apply(server, slice_of(name, namespace, *addresses))


def test_with_the_rights_of_its_manifest_a_service_comes_moves_fails_and_goes(
    kube_apiserver: KubeApiserver, listen: Listen, tmp_path: Path
) -> None:
    space = kube_apiserver.namespace("kp-life")
    zone = {"topology.kubernetes.io/region": "eu", "topology.kubernetes.io/zone": "eu-1"}
    apply(kube_apiserver, node("kp-node", **zone))
    heard = listen(account(kube_apiserver, tmp_path)).synced()
    apply(kube_apiserver, pod("web-a", space, labels={"version": "v2"}, account="shop", node="kp-node"))
    apply(kube_apiserver, service("web", space))
    apply(kube_apiserver, endpoint_slice("web-1", "web", [endpoint("10.0.0.1", "web-a", space)], space))
    heard.until_addresses(key("web", space), "10.0.0.1")
    found = heard.endpoints(key("web", space))["10.0.0.1"]
    assert found.locality == Locality("eu", "eu-1")
    assert (found.service_account, dict(found.labels)["version"]) == ("shop", "v2")
    assert found.instance == f"{space}/web-a"
    assert heard.services[key("web", space)].ports == (Port("http", 80, Protocol.HTTP),)
    for address, conditions, health in (
        ("10.0.0.1", {"ready": False}, Health.UNHEALTHY),
        ("10.0.0.1", {"ready": False, "serving": True, "terminating": True}, Health.DRAINING),
        ("10.0.0.2", {}, Health.HEALTHY),
    ):
        endpoints = [endpoint(address, "web-a", space, **conditions)]
        apply(kube_apiserver, endpoint_slice("web-1", "web", endpoints, space))
        heard.until_addresses(key("web", space), address)
        heard.until(
            lambda address=address, health=health: (  # type: ignore[misc]
                heard.endpoints(key("web", space))[address].health is health
            ),
            str(health),
        )
    delete(kube_apiserver, service("web", space))
    heard.until(lambda: key("web", space) not in heard.services, "Delete")
    assert heard.stale == ""
    assert heard.problems == {}


def test_each_right_of_the_manifest_is_needed_and_others_are_not_given(
    kube_apiserver: KubeApiserver, listen: Listen, tmp_path: Path
) -> None:
    kubeconfig = account(kube_apiserver, tmp_path)
    token = (tmp_path / "token").read_text()
    for path in ("/api/v1/secrets", "/api/v1/configmaps", "/api/v1/namespaces", "/api/v1/nodes/none"):
        with pytest.raises(RefusedError) as refused:
            kube_apiserver.get(path, token=token)
        assert refused.value.status == 403, path
    (role,) = [
        each for each in apply_file(kube_apiserver, RBAC) if each["kind"] == "ClusterRole" and "platform" in str(each)
    ]
    try:
        for rule, resource in [(n, r) for n, each in enumerate(role["rules"]) for r in each["resources"]]:
            lesser = copy.deepcopy(role)
            lesser["rules"][rule]["resources"].remove(resource)
            if not lesser["rules"][rule]["resources"]:
                del lesser["rules"][rule]
            apply(kube_apiserver, lesser)
            misses(listen(kubeconfig), resource)
    finally:
        apply(kube_apiserver, role)


def misses(heard: Listener, resource: str) -> None:
    """Until it says that this may not be read."""
    words = f"{resource} may not be read"
    heard.until(lambda: words in f"{heard.stale} {heard.problems}", words)
    heard.close()


def test_kinds_of_services(kube_apiserver: KubeApiserver, listen: Listen) -> None:
    space = kube_apiserver.namespace("kp-kinds")
    heard = listen(kube_apiserver.kubeconfig, namespaces=(space,)).synced()
    appear(kube_apiserver, "plain", space, "10.0.0.1")
    apply(kube_apiserver, service("headless", space, clusterIP="None", publishNotReadyAddresses=True))
    apply(kube_apiserver, slice_of("headless", space, "10.0.0.1", ready=False))
    apply(kube_apiserver, pod("headless-10.0.0.1", space))
    apply(kube_apiserver, service("external", space, type="ExternalName", externalName="db.example.com"))
    ports = [
        {"name": "a", "port": 81, "appProtocol": "kubernetes.io/h2c"},
        {"name": "dns", "port": 53, "protocol": "UDP"},
    ]
    apply(kube_apiserver, service("several", space, ports=ports))
    apply(
        kube_apiserver,
        endpoint_slice("named", "several", [endpoint("db.example.com")], space, family="FQDN", port_name="a"),
    )
    apply(kube_apiserver, service("portless", space, clusterIP="None", ports=[]))
    heard.until(lambda: len(heard.services) == 4 and len(heard.problems) == 1, "four services and a problem")
    heard.until(lambda: all(each.endpoints for each in heard.services.values()), "their endpoints")
    plain = heard.services[key("plain", space)]
    assert plain.addresses[0].startswith("10.96.")
    assert heard.services[key("headless", space)].addresses == ()
    heard.until_health(key("headless", space), "10.0.0.1", healthy=True)
    external = heard.services[key("external", space)]
    assert (external.resolution, external.external) == (Resolution.DNS, True)
    assert [(e.address, e.ports) for e in external.endpoints] == [("db.example.com", (("http", 80),))]
    assert heard.services[key("several", space)].ports == (Port("a", 81, Protocol.HTTP2),)
    assert set(heard.endpoints(key("several", space))) == {"db.example.com"}
    assert list(heard.problems) == [f"kubernetes Service {space}/portless ports"]


def test_more_objects_than_a_page_holds(kube_apiserver: KubeApiserver, listen: Listen) -> None:
    space = kube_apiserver.namespace("kp-many")
    for number in range(510):
        apply(
            kube_apiserver,
            endpoint_slice(f"s-{number}", "web", [endpoint(f"10.1.{number // 250}.{number % 250}")], space),
        )
    apply(kube_apiserver, service("web", space))
    heard = listen(kube_apiserver.kubeconfig, namespaces=(space,)).synced()
    assert len(heard.endpoints(key("web", space))) == 510


def test_restarted_with_its_data_tells_only_differences_and_without_is_suspect(tmp_path: Path, listen: Listen) -> None:
    with KubeApiserver(tmp_path / "kube") as server:
        for name, address in (("web", "10.0.0.1"), ("db", "10.0.0.9")):
            appear(server, name, "default", address)
        kubeconfig = account(server, tmp_path)
        heard = listen(kubeconfig).synced()
        web = key("web", "default")
        count = len(heard.settled())
        server.kill()
        heard.until(lambda: heard.stale != "", "Stale", SLOW)
        server.start()
        apply(server, pod("web-b", "default"))
        apply(server, endpoint_slice("web-2", "web", [endpoint("10.0.0.2", "web-b")]))
        heard.until(lambda: heard.stale == "", "Fresh", SLOW)
        heard.until_addresses(web, "10.0.0.1", "10.0.0.2")
        assert not [e for e in heard.events[count:] if isinstance(e, Delete)]
        server.kill()
        server.clear()
        server.start()
        heard.until(lambda: "credentials are not accepted" in heard.stale, "Stale that names the credentials", SLOW)
        account(server, tmp_path)
        heard.until(lambda: "suspect" in heard.stale, "suspicion", SLOW)
        assert set(heard.endpoints(web)) == {"10.0.0.1", "10.0.0.2"}
        for name, address in (("web", "10.0.0.1"), ("db", "10.0.0.9")):
            appear(server, name, "default", address)
        apply(server, pod("web-b", "default"))
        apply(server, endpoint_slice("web-2", "web", [endpoint("10.0.0.2", "web-b")]))
        heard.until(lambda: heard.stale == "", "Fresh", SLOW)
        assert set(heard.endpoints(web)) == {"10.0.0.1", "10.0.0.2"}
        assert not [e for e in heard.events[count:] if isinstance(e, Delete)]
        heard.close()  # an API server that ends in peace waits for its watches
