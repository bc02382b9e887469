"""From options to a certificate authority: what `start` and `cert` have in common."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import attrs
import click

from citadel import identity
from citadel.authority import Authority, authority_class
from citadel.embedded import EmbeddedAuthority
from citadel.identity import IdentityError
from citadel.vault import MOUNT, ROLE, VaultAuthority
from citadel.vault_client import METHODS, Login, VaultClient
from mesh_adapter.commands.options import Duration


@attrs.frozen
class VaultOptions:
    """Where Vault is and how to log in to it."""

    addr: str = ""
    ca_file: str = ""
    namespace: str = ""
    mount: str = MOUNT
    role: str = ROLE
    login: Mapping[str, str] = attrs.field(factory=dict, repr=False)

    def log_in_by(self) -> Login:
        """UsageError if something is missing. Like Vault's own command, a token may lie in ~/.vault-token."""
        given = dict(self.login)
        kept = Path.home() / ".vault-token"
        if given.get("method", "token") == "token" and not (given["token"] or given["token_file"]) and kept.exists():
            given["token_file"] = str(kept)
        try:
            return Login(**given)
        except ValueError as error:
            raise click.UsageError(str(error)) from None

    def client(self) -> VaultClient:
        """For an operator's work; not logged in yet."""
        if not self.addr:
            raise click.UsageError("say where Vault is with --vault-addr (or VAULT_ADDR)")
        return VaultClient(self.addr, self.log_in_by(), ca_file=self.ca_file, namespace=self.namespace)


@attrs.frozen
class AuthorityOptions:
    """What the commands were told about the authority. `name` is empty where none was named."""

    name: str
    trust_domain: str
    folder: Path
    passphrase_file: str = ""
    spread: timedelta = timedelta(hours=1)
    vault: VaultOptions = VaultOptions()

    @property
    def chosen(self) -> str:
        """The one named; else Vault where its address is known."""
        return self.name or ("vault" if self.vault.addr else "embedded")


def authority_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--ca` and what goes with it; the command takes them as one argument `ca: AuthorityOptions`."""

    def gathered(
        *args: Any,
        ca_name: str,
        trust_domain: str,
        ca_dir: str,
        ca_passphrase_file: str,
        ca_root_spread: timedelta,
        **others: Any,
    ) -> Any:
        vault, others = _vault_options(others)
        try:
            identity.trust_domain(trust_domain)
        except IdentityError as error:
            raise click.UsageError(f"--trust-domain: {error}") from None
        options = AuthorityOptions(ca_name, trust_domain, Path(ca_dir), ca_passphrase_file, ca_root_spread, vault)
        return command(*args, ca=options, **others)

    gathered.__name__, gathered.__doc__ = command.__name__, command.__doc__
    gathered.__click_params__ = getattr(command, "__click_params__", [])  # type: ignore[attr-defined]
    for option in reversed(_OPTIONS):
        gathered = option(gathered)
    return gathered


def _vault_options(given: dict[str, Any]) -> tuple[VaultOptions, dict[str, Any]]:
    """The options of Vault, and the rest."""
    vault = {key.removeprefix("vault_"): value for key, value in given.items() if key.startswith("vault_")}
    others = {key: value for key, value in given.items() if not key.startswith("vault_")}
    place = {name: vault.pop(name) for name in ("addr", "ca_file", "namespace", "mount", "role")}
    names = {"auth": "method", "auth_mount": "mount", "auth_role": "role"}
    return VaultOptions(**place, login={names.get(key, key): value for key, value in vault.items()}), others


def _state_folder() -> str:
    return str(Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "mesh-adapter" / "ca")


_OPTIONS = (
    click.option(
        "--ca",
        "ca_name",
        default="",
        help="Who signs certificates: embedded, vault. Default: vault where --vault-addr is given.",
    ),
    click.option(
        "--trust-domain", default="cluster.local", show_default=True, help="Trust domain of the mesh's identities."
    ),
    click.option(
        "--ca-dir",
        default=_state_folder,
        show_default="~/.local/state/mesh-adapter/ca",
        help="Folder of the embedded CA; made at the first start, or with your ca-cert.pem, ca-key.pem, root-cert.pem "
        "and cert-chain.pem in it.",
    ),
    click.option("--ca-passphrase-file", default="", help="File with the passphrase of the embedded CA's key."),
    click.option(
        "--ca-root-spread",
        type=Duration(),
        default="1h",
        show_default=True,
        help="How long a new root is trusted everywhere before anything is signed by it.",
    ),
    click.option(
        "--vault-addr",
        default="",
        envvar=["MESH_ADAPTER_VAULT_ADDR", "VAULT_ADDR"],
        help="Vault, as http(s)://HOST:PORT.",
    ),
    click.option(
        "--vault-ca-file",
        default="",
        envvar=["MESH_ADAPTER_VAULT_CA_FILE", "VAULT_CACERT"],
        help="CA certificate that Vault's must be signed by.",
    ),
    click.option(
        "--vault-namespace",
        default="",
        envvar=["MESH_ADAPTER_VAULT_NAMESPACE", "VAULT_NAMESPACE"],
        help="Namespace of Vault Enterprise.",
    ),
    click.option(
        "--vault-mount", default=MOUNT, show_default=True, help="PKI engine that signs; its root is in NAME-root."
    ),
    click.option("--vault-role", default=ROLE, show_default=True, help="Role of the PKI engine."),
    click.option(
        "--vault-auth", type=click.Choice(METHODS), default="token", show_default=True, help="How to log in to Vault."
    ),
    click.option("--vault-auth-mount", default="", help="Where that auth method is mounted. Default: its own name."),
    click.option("--vault-auth-role", default="", help="Role to log in with, by kubernetes or jwt."),
    click.option(
        "--vault-token",
        default="",
        envvar=["MESH_ADAPTER_VAULT_TOKEN", "VAULT_TOKEN"],
        help="Token. Default: ~/.vault-token.",
    ),
    click.option("--vault-token-file", default="", help="File with the token, read at each login."),
    click.option("--vault-role-id", default="", help="Role id of AppRole."),
    click.option("--vault-secret-id", default="", help="Secret id of AppRole."),
    click.option("--vault-secret-id-file", default="", help="File with the secret id, read at each login."),
    click.option(
        "--vault-jwt-file",
        default="",
        help="File with the JWT to log in with, read at each login. Default for kubernetes: the pod's own.",
    ),
)


def make(options: AuthorityOptions) -> Authority:
    """The authority that the options name; click's UsageError if they can't be carried out."""
    try:
        cls: Any = authority_class(options.chosen)
    except LookupError as error:
        raise click.UsageError(f"--ca: {error}") from None
    if cls is EmbeddedAuthority:
        return EmbeddedAuthority(
            options.folder, options.trust_domain, spread=options.spread, passphrase=_passphrase(options.passphrase_file)
        )
    if cls is VaultAuthority:
        vault = options.vault
        if not vault.addr:
            raise click.UsageError("--ca vault: say where Vault is with --vault-addr (or VAULT_ADDR)")
        return VaultAuthority(
            vault.addr,
            vault.log_in_by(),
            mount=vault.mount,
            role=vault.role,
            ca_file=vault.ca_file,
            namespace=vault.namespace,
        )
    made: Authority = cls()
    return made


def _passphrase(path: str) -> bytes:
    if not path:
        return b""
    try:
        found = Path(path).read_bytes().strip()
    except OSError as error:
        raise click.UsageError(f"--ca-passphrase-file {path}: {error.strerror}") from None
    if not found:
        raise click.UsageError(f"--ca-passphrase-file {path} is empty")
    return found
