"""From `--credentials` to the sources of secrets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from citadel.credentials import SecretSource
from citadel.credentials.files import FilesSource
from citadel.credentials.kubernetes import KubernetesSource
from citadel.credentials.vault import VaultSource
from kubeapi.access import Access
from mesh_adapter.assembly import Options, SetupError
from mesh_adapter.authorities import VaultOptions

_KNOWN = "give a directory, vault:MOUNT/PREFIX, or kubernetes:[NAMESPACE,…]"
_WHY_NOT = {"consul": ": whoever reads the KV or its backups would have the private keys"}


def secret_sources(options: Options, vault: VaultOptions, clock: Callable[[], datetime]) -> Mapping[str, SecretSource]:
    """By what the operator called them, not watching yet. SetupError for one that can't be carried out."""
    return {spec: _source(spec, options, vault, clock) for spec in options.credentials}


def _source(spec: str, options: Options, vault: VaultOptions, clock: Callable[[], datetime]) -> SecretSource:
    scheme, colon, rest = spec.partition(":")
    try:
        if not colon or "/" in scheme:
            return FilesSource(spec)
        if scheme == "vault":
            return VaultSource(vault.client(), rest, clock=clock)
        if scheme == "kubernetes":
            said = options.kinds.get("kubernetes", {})
            namespaces = [each.strip() for each in rest.split(",") if each.strip()]
            return KubernetesSource(Access(said.get("kubeconfig", ""), said.get("context", "")), namespaces)
    except ValueError as error:
        raise SetupError(f"--credentials {spec}: {error}") from error
    raise SetupError(f"--credentials {spec}: source {scheme!r} is not known{_WHY_NOT.get(scheme, '')}: {_KNOWN}")
