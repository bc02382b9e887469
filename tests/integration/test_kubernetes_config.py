"""Configuration objects in Kubernetes itself, under the definitions and rights that we ship."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from galley.document import Fresh, Loaded, Removed, Stale
from galley.ingest.kubernetes import KubernetesSource
from kubeapi.access import Access
from tests.contract.source_suite import Watching
from tests.servers.http import RefusedError
from tests.servers.kube_apiserver import KubeApiserver
from tests.servers.kube_objects import account_token, apply, apply_all, apply_file, delete, kubeconfig_of, remove_all
from tests.unit.galley.documents import virtual_service

pytestmark = pytest.mark.integration

MANIFESTS = Path(__file__).parents[2] / "deploy" / "kubernetes"

Watch = Callable[..., Watching]


@pytest.fixture
def watch(request: pytest.FixtureRequest) -> Watch:
    def start(access: Access, *namespaces: str) -> Watching:
        watching = Watching(KubernetesSource(access, namespaces, discover_every=0.2))
        request.addfinalizer(watching.end)
        return watching

    return start


@pytest.fixture
def definitions(kube_apiserver: KubeApiserver) -> Iterator[list[dict[str, Any]]]:
    """Those that we ship, removed again: whoever comes next may want a cluster without."""
    found = apply_file(kube_apiserver, MANIFESTS / "crds.yaml")
    yield found
    remove_all(kube_apiserver, found)


@pytest.fixture
def one_definition(kube_apiserver: KubeApiserver) -> Iterator[None]:
    """Of VirtualService alone: a server is slow for a while after many."""
    every = yaml.safe_load_all((MANIFESTS / "crds.yaml").read_text(encoding="utf-8"))
    found = [each for each in every if each["spec"]["names"]["kind"] == "VirtualService"]
    apply_all(kube_apiserver, found)
    yield
    remove_all(kube_apiserver, found)


def account(server: KubeApiserver, folder: Path) -> Path:
    """The token of the control plane's own account, with the rights that it is given."""
    for name in ("rbac.yaml", "rbac-config.yaml"):
        apply_file(server, MANIFESTS / name)
    token = folder / "token"
    token.write_text(account_token(server, "mesh-system", "mesh-adapter"))
    return token


def rule(namespace: str, name: str = "reviews", **more: str) -> dict[str, Any]:
    item: dict[str, Any] = yaml.safe_load(virtual_service(name=name))
    item["metadata"] |= {"namespace": namespace} | more
    return item


def put(server: KubeApiserver, item: dict[str, Any]) -> None:
    """Once the API server serves the kind, which takes it a moment after its definition."""

    def served() -> bool:
        try:
            apply(server, item)
        except RefusedError as refused:
            if refused.status != 404:
                raise
            return False
        return True

    server.process.wait_until(served, f"{item['kind']} served")


def test_kinds_come_and_objects_change_and_go_with_the_rights_of_the_manifests(
    kube_apiserver: KubeApiserver, watch: Watch, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    space = kube_apiserver.namespace("kc-life")
    watching = watch(Access(kubeconfig_of(kube_apiserver, account(kube_apiserver, tmp_path))))
    assert watching.until_synced() == []
    request.getfixturevalue("definitions")
    unit = f"kubernetes: VirtualService {space}/reviews"
    put(kube_apiserver, rule(space))
    event = watching.until_loaded(unit)
    assert event.documents[0].where(("spec", "hosts")) == unit
    changed = rule(space)
    changed["spec"]["hosts"] = ["other"]
    put(kube_apiserver, changed)
    assert watching.until_loaded(unit).documents[0].body["spec"]["hosts"] == ["other"]
    delete(kube_apiserver, changed)
    watching.until(lambda event: event == Removed(unit))
    said = [each for each in watching.seen if isinstance(each, Stale | Fresh)]
    if said and isinstance(said[-1], Stale):  # kinds that were just defined are answered by 429 for a moment
        watching.until(lambda event: isinstance(event, Fresh))


@pytest.mark.usefixtures("one_definition")
def test_a_pod_reads_its_own_token_again(
    kube_apiserver: KubeApiserver, watch: Watch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a pod: address by the environment, token and authority by files, which the kubelet replaces."""
    space = kube_apiserver.namespace("kc-pod")
    put(kube_apiserver, rule(space))
    token = account(kube_apiserver, tmp_path)
    good = token.read_text()
    (tmp_path / "ca.crt").write_bytes(kube_apiserver.ca_file.read_bytes())
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(kube_apiserver.port))
    token.write_text("expired")
    watching = watch(Access(account_folder=str(tmp_path)), space)
    stale = watching.until(lambda event: isinstance(event, Stale))
    assert isinstance(stale, Stale)
    assert "the pod's service account" in stale.reason
    token.write_text(good)
    watching.until(lambda event: isinstance(event, Loaded))
    watching.until(lambda event: isinstance(event, Fresh))


def test_the_deployment_is_accepted(kube_apiserver: KubeApiserver, tmp_path: Path) -> None:
    account(kube_apiserver, tmp_path)
    remove_all(kube_apiserver, apply_file(kube_apiserver, MANIFESTS / "mesh-adapter.yaml"))
