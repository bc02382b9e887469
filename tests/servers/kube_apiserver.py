"""A Kubernetes API server with an etcd of its own: no kubelet and no controllers, so tests write Pods and
EndpointSlices themselves."""

from __future__ import annotations

import csv
import ssl
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.servers.binaries import require
from tests.servers.etcd import Etcd
from tests.servers.http import Answer, call
from tests.servers.ports import free_port
from tests.servers.process import Process
from tests.servers.server import Server
from tests.servers.settings import write_json
from tests.servers.tls import Authority

LOOPBACK = "127.0.0.1"
ADMIN_TOKEN = "admin-token"


class KubeApiserver(Server):
    """One API server; etcd keeps its objects over a restart.

    users maps a bearer token to (user name, groups) beside the administrator's; RBAC decides what they may do.
    """

    keeps_data = True

    def __init__(self, folder: Path, *, users: Mapping[str, tuple[str, Sequence[str]]] | None = None) -> None:
        super().__init__(folder)
        self.token = ADMIN_TOKEN
        self.port = free_port()
        self.etcd = Etcd(folder / "etcd")
        self._users = {ADMIN_TOKEN: ("admin", ("system:masters",)), **(users or {})}
        self._certificate = Authority(folder / "tls").issue("kube-apiserver", "DNS:kubernetes.default.svc")
        self._account_key = _make_account_key(folder / "tls" / "service-accounts.key")

    @property
    def url(self) -> str:
        """The API's URL, without a slash at its end."""
        return f"https://{LOOPBACK}:{self.port}"

    @property
    def ca_file(self) -> Path:
        """The authority that signed the API server's certificate."""
        return self._certificate.ca_file

    @property
    def kubeconfig(self) -> Path:
        """A kubeconfig file of the administrator's, as JSON (which is YAML)."""
        return write_json(self.folder / "kubeconfig", self._kubeconfig())

    def call(self, method: str, path: str, body: object = None, *, token: str | None = None) -> Answer:
        """One request, as the administrator unless another token is given; a PATCH is a JSON merge patch."""
        headers = {"Authorization": f"Bearer {self.token if token is None else token}"}
        if method == "PATCH":
            headers["Content-Type"] = "application/merge-patch+json"
        return call(method, self.url + path, body, headers=headers, tls=ssl.create_default_context(cafile=self.ca_file))

    def get(self, path: str, *, token: str | None = None) -> Any:
        """The JSON that a GET answers."""
        return self.call("GET", path, token=token).json

    def create(self, path: str, body: object) -> Any:
        """POST an object into a collection; what the server made of it."""
        return self.call("POST", path, body).json

    def namespace(self, name: str) -> str:
        """Make a namespace; answers its name."""
        self.create("/api/v1/namespaces", {"metadata": {"name": name}})
        return name

    def start(self) -> None:
        """Start etcd if it does not run, then the API server, and wait until it is ready."""
        if not self.etcd.running:
            self.etcd.start()
        try:
            super().start()
        except BaseException:
            self.etcd.kill()
            raise

    def stop(self) -> None:
        """End both in an orderly manner."""
        super().stop()
        self.etcd.stop()

    def kill(self) -> None:
        """End both as a crash would; stop the API server alone by its process."""
        super().kill()
        self.etcd.kill()

    def clear(self) -> None:
        """Forget all objects."""
        super().clear()
        self.etcd.clear()

    def _make_process(self) -> Process:
        words = [f"--{name}={value}" for name, value in self._options().items()]
        return Process("kube-apiserver", [str(require("kube-apiserver")), *words], folder=self.folder)

    def _wait_ready(self, process: Process) -> None:
        process.wait_until(lambda: self.call("GET", "/readyz").text == "ok", "ready")
        process.wait_until(lambda: self.get("/api/v1/namespaces/default")["kind"] == "Namespace", "its namespaces made")

    def _options(self) -> dict[str, str]:
        return {
            "etcd-servers": self.etcd.url,
            "bind-address": LOOPBACK,
            "advertise-address": LOOPBACK,
            "secure-port": str(self.port),
            "tls-cert-file": str(self._certificate.cert_file),
            "tls-private-key-file": str(self._certificate.key_file),
            "token-auth-file": str(self._write_tokens()),
            "authorization-mode": "RBAC",
            "service-account-issuer": "https://kubernetes.default.svc",
            "service-account-key-file": str(self._account_key),
            "service-account-signing-key-file": str(self._account_key),
            # Without a controller manager no namespace has its default account, which this plug-in demands of Pods.
            "disable-admission-plugins": "ServiceAccount",
            "service-cluster-ip-range": "10.96.0.0/16",
            # It would write the machine's own address into the Service `kubernetes`.
            "endpoint-reconciler-type": "none",
        }

    def _write_tokens(self) -> Path:
        path = self.folder / "tokens.csv"
        with path.open("w", newline="") as out:
            for number, (token, (name, groups)) in enumerate(self._users.items()):
                csv.writer(out).writerow((token, name, f"uid-{number}", ",".join(groups)))
        return path

    def _kubeconfig(self) -> dict[str, object]:
        cluster = {"server": self.url, "certificate-authority": str(self.ca_file)}
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "tests", "cluster": cluster}],
            "users": [{"name": "admin", "user": {"token": self.token}}],
            "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "admin"}}],
            "current-context": "tests",
        }


def _make_account_key(path: Path) -> Path:
    """The key that signs the tokens of service accounts (in SEC 1 form: the API server reads no EC key in PKCS 8)."""
    command = [str(require("openssl")), "ecparam", "-genkey", "-noout", "-name", "prime256v1", "-out", str(path)]
    subprocess.run(command, check=True, capture_output=True)
    return path
