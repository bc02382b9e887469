"""Attestors against the platforms themselves: whose word counts, and whose does not any more."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from citadel.attest import Attested, Attestor, AttestorAwayError, EvidenceError
from citadel.attest.consul import ConsulAttestor
from citadel.attest.kubernetes import KubernetesAttestor
from citadel.attest.nomad import NomadAttestor
from citadel.vault import VaultAuthority
from citadel.vault_client import Login
from tests.integration.test_vault_authority import with_setup
from tests.servers.consul import Consul
from tests.servers.kube_apiserver import KubeApiserver
from tests.servers.nomad import Nomad
from tests.servers.ports import free_port
from tests.servers.vault import Vault
from tests.unit.citadel.requests import ec_key
from tests.unit.citadel.tokens import es256, forgeries, part

pytestmark = pytest.mark.integration
FORGERIES = tuple(forgeries(f"{part({})}.{part({})}.AAAAAAAAAAAAAAAA"))


@pytest.fixture
async def closing() -> AsyncIterator[Callable[[Any], Any]]:
    made: list[Attestor] = []

    def keep(attestor: Any) -> Any:
        made.append(attestor)
        return attestor

    yield keep
    for each in made:
        await each.close()


Closing = Callable[[Any], Any]


# -- Nomad


@pytest.fixture(scope="module")
def locked_nomad(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nomad]:
    """A Nomad with ACLs on."""
    with Nomad(tmp_path_factory.mktemp("nomad"), management_token=str(uuid.uuid4())) as found:
        yield found


@pytest.fixture(scope="module")
def reader(locked_nomad: Nomad) -> str:
    """A token that may read jobs, and nothing else: what the attestor needs."""
    rules = 'namespace "*" { capabilities = ["read-job"] }'
    locked_nomad.call("POST", "/v1/acl/policy/attest", {"Name": "attest", "Rules": rules})
    made = locked_nomad.call("POST", "/v1/acl/token", {"Name": "attest", "Type": "client", "Policies": ["attest"]})
    return str(made.json["SecretID"])


def job(name: str) -> dict[str, object]:
    task = {
        "Name": "serve",
        "Driver": "raw_exec",
        "Config": {"command": "/bin/sleep", "args": ["600"]},
        "Identity": {"File": True},
        "Resources": {"CPU": 10, "MemoryMB": 16},
    }
    group = {"Name": "group", "Count": 1, "Tasks": [task]}
    return {"ID": name, "Name": name, "Type": "service", "Datacenters": ["dc1"], "TaskGroups": [group]}


def workload_identity(nomad: Nomad, name: str) -> str:
    """Runs the job, and reads what Nomad put beside its task."""
    nomad.run(job(name))
    (allocation,) = nomad.wait_running(name)
    (file,) = (nomad.data / "alloc" / allocation["ID"]).glob("*/secrets/nomad_token")
    text: str = file.read_text()
    return text


async def test_nomad_vouches_for_a_task_and_for_no_forgery(locked_nomad: Nomad, reader: str, closing: Closing) -> None:
    attestor = closing(NomadAttestor(locked_nomad.url, token=reader))
    await attestor.check()
    token = await asyncio.to_thread(workload_identity, locked_nomad, "attested")
    assert await attestor.attest(token) == Attested("default", "attested")
    for name, forged in forgeries(token).items():
        with pytest.raises(EvidenceError):
            assert await attestor.attest(forged), name
    await asyncio.to_thread(locked_nomad.remove, "attested")
    with pytest.raises(EvidenceError):
        await attestor.attest(token)
    await asyncio.to_thread(locked_nomad.process.wait_until, lambda: _ended(locked_nomad), "rid of the allocation")
    with pytest.raises(EvidenceError, match=r"its allocation has ended|is being stopped|not there any more"):
        await attestor.attest(token)


def _ended(nomad: Nomad) -> bool:
    return not [each for each in nomad.get("/v1/allocations") if each["ClientStatus"] in ("pending", "running")]


async def test_a_nomad_token_is_no_evidence(locked_nomad: Nomad, reader: str, closing: Closing) -> None:
    """Neither a management token nor one that reads the job's variable says who its bearer is."""
    attestor = closing(NomadAttestor(locked_nomad.url, token=reader))
    with pytest.raises(EvidenceError):
        await attestor.attest(str(locked_nomad.management_token))


async def test_a_key_of_somebody_s_own(locked_nomad: Nomad, reader: str, closing: Closing) -> None:
    claims: dict[str, object] = {
        "nomad_namespace": "default",
        "nomad_job_id": "attested",
        "nomad_allocation_id": str(uuid.uuid4()),
        "nomad_task": "serve",
    }
    attestor = closing(NomadAttestor(locked_nomad.url, token=reader))
    with pytest.raises(EvidenceError, match="Nomad does not accept the token"):
        await attestor.attest(es256(ec_key(), claims))
    with pytest.raises(EvidenceError, match=r"is for vault\.io"):
        await attestor.attest(es256(ec_key(), claims | {"aud": ["vault.io"]}))
    with pytest.raises(EvidenceError, match="expired"):
        await attestor.attest(es256(ec_key(), claims | {"exp": 1_000_000}))


async def test_an_attestor_without_rights_of_its_own_says_which(locked_nomad: Nomad, closing: Closing) -> None:
    attestor = closing(NomadAttestor(locked_nomad.url))
    token = await asyncio.to_thread(workload_identity, locked_nomad, "unreadable")
    with pytest.raises((AttestorAwayError, EvidenceError), match=r"read-job|HTTP 500|not there"):
        await attestor.attest(token)
    await asyncio.to_thread(locked_nomad.remove, "unreadable")


async def test_a_nomad_without_acls_vouches_for_nobody(nomad: Nomad, closing: Closing) -> None:
    attestor = closing(NomadAttestor(nomad.url))
    with pytest.raises(AttestorAwayError, match="ACLs are off"):
        await attestor.check()
    token = es256(ec_key(), {"nomad_namespace": "default", "nomad_job_id": "web", "nomad_task": "t"})
    with pytest.raises(AttestorAwayError, match="ACLs are off"):
        await attestor.attest(token)


@pytest.mark.parametrize("kind", [NomadAttestor, ConsulAttestor])
async def test_a_platform_that_is_away(kind: Callable[..., Attestor], closing: Closing) -> None:
    attestor = closing(kind(f"http://127.0.0.1:{free_port()}"))
    with pytest.raises(AttestorAwayError, match="can't be reached"):
        await attestor.attest(es256(ec_key(), {"nomad_namespace": "a", "nomad_job_id": "b"})[:250])


# -- Consul


@pytest.fixture(scope="module")
def locked_consul(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Consul]:
    """A Consul with ACLs on, and an auth method whose logins are bound to the service they name."""
    with Consul(tmp_path_factory.mktemp("consul"), management_token=str(uuid.uuid4())) as found:
        yield found


def consul_token(consul: Consul, **wishes: object) -> str:
    return str(consul.put("/v1/acl/token", wishes)["SecretID"])


async def test_consul_vouches_for_a_token_of_one_service(locked_consul: Consul, closing: Closing) -> None:
    attestor = closing(ConsulAttestor(locked_consul.url))
    await attestor.check()
    token = consul_token(locked_consul, ServiceIdentities=[{"ServiceName": "web"}])
    assert await attestor.attest(token) == Attested("default", "web")


async def test_consul_vouches_for_a_login(locked_consul: Consul, closing: Closing) -> None:
    key = ec_key()
    pem = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    config = {
        "JWTValidationPubKeys": [pem.decode()],
        "BoundAudiences": ["consul"],
        "ClaimMappings": {"service": "service"},
    }
    locked_consul.put("/v1/acl/auth-method", {"Name": "jwt", "Type": "jwt", "Config": config})
    rule = {"AuthMethod": "jwt", "BindType": "service", "BindName": "${value.service}"}
    locked_consul.put("/v1/acl/binding-rule", rule)
    now = int(datetime.now(UTC).timestamp())
    jwt = es256(key, {"aud": "consul", "service": "reviews", "iat": now, "exp": now + 600})
    login = locked_consul.call("POST", "/v1/acl/login", {"AuthMethod": "jwt", "BearerToken": jwt}, token="").json
    attestor = closing(ConsulAttestor(locked_consul.url))
    assert await attestor.attest(login["SecretID"]) == Attested("default", "reviews")
    locked_consul.call("POST", "/v1/acl/logout", token=login["SecretID"])
    with pytest.raises(EvidenceError, match="does not know the token"):
        await attestor.attest(login["SecretID"])


@pytest.mark.parametrize(
    ("wishes", "reason"),
    [
        ({}, "bound to 0 services"),
        ({"ServiceIdentities": [{"ServiceName": "a"}, {"ServiceName": "b"}]}, "bound to 2 services"),
        ({"NodeIdentities": [{"NodeName": "n", "Datacenter": "dc1"}]}, "bound to 0 services"),
    ],
)
async def test_a_consul_token_that_is_of_no_one_service(
    locked_consul: Consul, closing: Closing, wishes: dict[str, object], reason: str
) -> None:
    attestor = closing(ConsulAttestor(locked_consul.url))
    with pytest.raises(EvidenceError, match=reason):
        await attestor.attest(consul_token(locked_consul, **wishes))


@pytest.mark.parametrize("evidence", ["", "wrong", str(uuid.uuid4()), "anonymous", "a\r\nX-Consul-Token: b", "x" * 999])
async def test_what_consul_does_not_know(locked_consul: Consul, closing: Closing, evidence: str) -> None:
    attestor = closing(ConsulAttestor(locked_consul.url))
    with pytest.raises(EvidenceError):
        await attestor.attest(evidence)


async def test_the_management_token_is_no_service(locked_consul: Consul, closing: Closing) -> None:
    attestor = closing(ConsulAttestor(locked_consul.url))
    with pytest.raises(EvidenceError, match="bound to 0"):
        await attestor.attest(str(locked_consul.management_token))


async def test_an_expired_consul_token(locked_consul: Consul, closing: Closing) -> None:
    token = consul_token(locked_consul, ServiceIdentities=[{"ServiceName": "web"}], ExpirationTTL="60s")
    attestor = closing(ConsulAttestor(locked_consul.url))
    assert await attestor.attest(token)
    accessor = locked_consul.get("/v1/acl/token/self", token=token)["AccessorID"]
    locked_consul.call("DELETE", f"/v1/acl/token/{accessor}")
    with pytest.raises(EvidenceError):
        await attestor.attest(token)


async def test_a_consul_without_acls_vouches_for_nobody(consul: Consul, closing: Closing) -> None:
    attestor = closing(ConsulAttestor(consul.url))
    with pytest.raises(AttestorAwayError, match="ACLs are off"):
        await attestor.check()
    with pytest.raises(AttestorAwayError, match="ACLs are off"):
        await attestor.attest("any")


# -- Kubernetes


def account_token(server: KubeApiserver, namespace: str, name: str, audience: str = "istio-ca") -> str:
    """A service account, and a token of it as the kubelet projects one."""
    server.create(f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": name}})
    body = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"audiences": [audience], "expirationSeconds": 600},
    }
    made = server.create(f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token", body)
    return str(made["status"]["token"])


def reviewer_token(server: KubeApiserver, namespace: str) -> str:
    """Of an account that may have tokens reviewed, and nothing else."""
    token = account_token(server, namespace, "reviewer", "https://kubernetes.default.svc")
    binding = {
        "metadata": {"name": f"reviewer-{namespace}"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:auth-delegator"},
        "subjects": [{"kind": "ServiceAccount", "name": "reviewer", "namespace": namespace}],
    }
    server.create("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", binding)
    return token


@pytest.fixture
def namespace(kube_apiserver: KubeApiserver) -> str:
    return kube_apiserver.namespace(f"attest-{uuid.uuid4().hex[:8]}")


async def test_kubernetes_vouches_for_a_service_account_and_for_no_forgery(
    kube_apiserver: KubeApiserver, namespace: str, closing: Closing
) -> None:
    attestor = closing(KubernetesAttestor(str(kube_apiserver.kubeconfig)))
    await attestor.check()
    token = account_token(kube_apiserver, namespace, "web")
    assert await attestor.attest(token) == Attested(namespace, "web")
    for name, forged in forgeries(token).items():
        with pytest.raises(EvidenceError):
            assert await attestor.attest(forged), name


async def test_an_account_that_is_gone(kube_apiserver: KubeApiserver, namespace: str, closing: Closing) -> None:
    """(Before its first review: the API server keeps the outcome of one for ten seconds.)"""
    attestor = closing(KubernetesAttestor(str(kube_apiserver.kubeconfig)))
    token = account_token(kube_apiserver, namespace, "gone")
    kube_apiserver.call("DELETE", f"/api/v1/namespaces/{namespace}/serviceaccounts/gone")
    with pytest.raises(EvidenceError, match="does not accept"):
        await attestor.attest(token)


async def test_a_token_for_another_audience(kube_apiserver: KubeApiserver, namespace: str, closing: Closing) -> None:
    """The token that every pod has is for the API server, and says nothing to us."""
    attestor = closing(KubernetesAttestor(str(kube_apiserver.kubeconfig)))
    token = account_token(kube_apiserver, namespace, "web", "https://kubernetes.default.svc")
    with pytest.raises(EvidenceError):
        await attestor.attest(token)


async def test_users_are_no_service_accounts(kube_apiserver: KubeApiserver, closing: Closing) -> None:
    attestor = closing(KubernetesAttestor(str(kube_apiserver.kubeconfig)))
    with pytest.raises(EvidenceError, match="not a signed token"):
        await attestor.attest(kube_apiserver.token)


async def test_a_kubernetes_that_is_away(tmp_path: Path, closing: Closing) -> None:
    config = tmp_path / "kubeconfig"
    plain = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "a",
        "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
        "clusters": [{"name": "a", "cluster": {"server": f"http://127.0.0.1:{free_port()}"}}],
        "users": [{"name": "a", "user": {}}],
    }
    config.write_text(json.dumps(plain))
    attestor = closing(KubernetesAttestor(str(config)))
    with pytest.raises(AttestorAwayError, match="can't be asked"):
        await attestor.attest(es256(ec_key(), {"sub": "x"}))


async def test_vault_takes_a_login_by_kubernetes(
    kube_apiserver: KubeApiserver, namespace: str, vault: Vault, tmp_path: Path
) -> None:
    """The control plane in a pod logs in to Vault with the pod's token."""
    await asyncio.to_thread(with_setup, vault, lambda setup: setup.run())
    vault.write("/sys/auth/kubernetes", {"type": "kubernetes"})
    config = {
        "kubernetes_host": kube_apiserver.url,
        "kubernetes_ca_cert": kube_apiserver.ca_file.read_text(),
        "token_reviewer_jwt": reviewer_token(kube_apiserver, namespace),
        "disable_local_ca_jwt": True,
    }
    vault.write("/auth/kubernetes/config", config)
    role = {
        "bound_service_account_names": "mesh-adapter",
        "bound_service_account_namespaces": namespace,
        "token_policies": ["mesh-adapter"],
    }
    vault.write("/auth/kubernetes/role/mesh", role)
    (tmp_path / "jwt").write_text(
        account_token(kube_apiserver, namespace, "mesh-adapter", "https://kubernetes.default.svc")
    )
    authority = VaultAuthority(vault.url, Login("kubernetes", role="mesh", jwt_file=str(tmp_path / "jwt")))
    await authority.start()
    assert authority.signing() is not None
    expires = authority.token_expires()
    assert expires is not None
    assert expires > datetime.now(UTC) + timedelta(hours=1)
    await authority.close()
