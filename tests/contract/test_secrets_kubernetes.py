"""The contract of secret sources, against a real kube-apiserver with the rights that we ship."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from citadel.credentials import Found, SecretSource, Stale, Synced
from citadel.credentials.kubernetes import KubernetesSource
from kubeapi.access import Access
from tests.contract.secret_suite import SecretSuite, Watching
from tests.servers.kube_apiserver import KubeApiserver
from tests.servers.kube_objects import account_token, apply, apply_file, delete, kubeconfig_of
from tests.unit.citadel.credentials.pem import pair

pytestmark = pytest.mark.integration
MANIFESTS = Path(__file__).parents[2] / "deploy" / "kubernetes"
NAMESPACES = ("default", "other", "late")


class Cluster:
    """The namespaces of the suite, read with the token of the control plane's account."""

    def __init__(self, server: KubeApiserver, folder: Path) -> None:
        self.server = server
        self.there: dict[tuple[str, str], None] = {}
        apply_file(server, MANIFESTS / "rbac.yaml")
        for name in NAMESPACES:
            if name != "default":
                apply(server, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
            for each in yaml.safe_load_all((MANIFESTS / "rbac-credentials.yaml").read_text()):
                apply(server, {**each, "metadata": {**each["metadata"], "namespace": name}})
        token = folder / "token"
        token.write_text(account_token(server, "mesh-system", "mesh-adapter"))
        self.access = Access(kubeconfig_of(server, token))

    def source(self, *more: str) -> SecretSource:
        return KubernetesSource(self.access, (*NAMESPACES, *more), patience=0.1)

    def put(self, namespace: str, name: str, data: Mapping[str, bytes]) -> None:
        self.there[namespace, name] = None
        apply(self.server, _secret(namespace, name, data))

    def remove(self, namespace: str, name: str) -> None:
        del self.there[namespace, name]
        delete(self.server, _secret(namespace, name, {}))


def _secret(namespace: str, name: str, data: Mapping[str, bytes]) -> dict[str, Any]:
    encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
    metadata = {"namespace": namespace, "name": name}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque", "data": encoded}


@pytest.fixture
def backend(kube_apiserver: KubeApiserver, tmp_path: Path) -> Iterator[Cluster]:
    found = Cluster(kube_apiserver, tmp_path)
    yield found
    for namespace, name in tuple(found.there):
        found.remove(namespace, name)


class TestKubernetes(SecretSuite):
    """The suite."""

    def test_only_what_is_for_tls_is_kept(self, backend: Cluster, watch: Callable[[], Watching]) -> None:
        backend.put("default", "password", {"password": b"x"})
        backend.put("default", "mixed", {**pair(), "password": b"x"})
        watching = watch()
        watching.until(lambda event: isinstance(event, Synced))
        (found,) = [each for each in watching.events if isinstance(each, Found)]
        assert (found.name, sorted(found.data)) == ("mixed", ["tls.crt", "tls.key"])

    def test_a_namespace_without_the_right_is_said(self, backend: Cluster) -> None:
        watching = Watching(backend.source("kube-public"))
        event = watching.until(lambda each: isinstance(each, Stale))
        assert isinstance(event, Stale)
        assert "may not be read" in event.reason
        watching.source.close()
