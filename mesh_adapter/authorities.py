"""From options to a certificate authority: what `start` and `cert` have in common."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import attrs
import click

from citadel import identity
from citadel.authority import Authority, authority_class
from citadel.embedded import EmbeddedAuthority
from citadel.identity import IdentityError
from galley.duration import parse_duration


class Duration(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """`10s`, `1h30m`, `24h`: more than nothing."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        if isinstance(value, timedelta):
            return value
        found = parse_duration(str(value))
        if found is None or found <= timedelta():
            self.fail(f"{value!r} is not a duration above zero: write it as in 10s, 1h30m or 24h", param, ctx)
        return found


@attrs.frozen
class AuthorityOptions:
    """What the commands were told about the authority. `name` is empty where none was named."""

    name: str
    trust_domain: str
    folder: Path
    passphrase_file: str = ""
    spread: timedelta = timedelta(hours=1)

    @property
    def chosen(self) -> str:
        return self.name or "embedded"


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
        try:
            identity.trust_domain(trust_domain)
        except IdentityError as error:
            raise click.UsageError(f"--trust-domain: {error}") from None
        options = AuthorityOptions(ca_name, trust_domain, Path(ca_dir), ca_passphrase_file, ca_root_spread)
        return command(*args, ca=options, **others)

    gathered.__name__, gathered.__doc__ = command.__name__, command.__doc__
    gathered.__click_params__ = getattr(command, "__click_params__", [])  # type: ignore[attr-defined]
    for option in reversed(_OPTIONS):
        gathered = option(gathered)
    return gathered


def _state_folder() -> str:
    return str(Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "mesh-adapter" / "ca")


_OPTIONS = (
    click.option("--ca", "ca_name", default="", help="Who signs certificates: embedded."),
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
