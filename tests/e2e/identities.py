"""Certificates of the mesh for sidecars, issued by the product's own command from a CA of the tests'."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.world import Mesh, Sidecar, mesh_adapter

TRUST_DOMAIN = "cluster.local"


class Identities:
    """Folders of certificates below a mesh's folder, one for each service account of namespace default."""

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh
        self._folder = mesh.folder / "identities"

    def issue(self, account: str, *, ca: str = "ca", namespace: str = "default") -> Path:
        """cert-chain.pem, key.pem and root-cert.pem; another `ca` is one that the mesh does not trust."""
        out = self._folder / ca / namespace / account
        if not (out / "root-cert.pem").exists():
            named = ("--namespace", namespace, "--service-account", account, "--out", str(out))
            done = mesh_adapter("cert", "issue", "--ca-dir", str(self._folder / ca / "authority"), *named)
            assert done.returncode == 0, done.stderr
        return out

    def client(self, name: str, *arguments: str, ca: str = "ca", namespace: str = "default") -> Sidecar:
        """A sidecar that calls as this account."""
        folder = self.issue(name, ca=ca, namespace=namespace)
        return self._mesh.client("--identity-files", str(folder), "--namespace", namespace, *arguments, name=name)
