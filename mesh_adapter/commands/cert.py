"""`mesh-adapter cert`: certificates of the mesh, issued, shown and renewed from the command line."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import click
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from citadel import ca_files, durable, identity, profile
from citadel.attest import Attested
from citadel.attest.static import new_join_token
from citadel.authority import Authority, AuthorityError
from citadel.csr import CsrError
from citadel.identity import IdentityError
from citadel.profile import ProfileError
from citadel.vault_setup import Layout, policy
from mesh_adapter import authorities
from mesh_adapter.authorities import AuthorityOptions, authority_options
from mesh_adapter.authority_status import describe, tell_status
from mesh_adapter.commands import options
from mesh_adapter.root_rotation import rotator, told, vault_setup
from mesh_adapter.table import table

T = TypeVar("T")
CHAIN, KEY, ROOTS = "cert-chain.pem", "key.pem", "root-cert.pem"


@click.group()
def cert() -> None:
    """Issue, show and rotate certificates."""


@cert.command()
@click.option("--namespace", default="default", show_default=True, help="Namespace of the identity.")
@click.option("--service-account", required=True, help="Service account of the identity.")
@click.option("--ttl", type=options.Duration(), default="24h", show_default=True, help="How long it lives.")
@click.option("--dns-name", multiple=True, help="A further DNS name or IP address of a server. Repeatable.")
@click.option("--out", default=".", show_default=True, help="Folder to write to.")
@authority_options
def issue(
    namespace: str, service_account: str, ttl: timedelta, dns_name: tuple[str, ...], out: str, ca: AuthorityOptions
) -> None:
    """Make a key and a certificate: cert-chain.pem, key.pem and root-cert.pem.

    Whoever may use the authority's key, or its token, may be anybody in the mesh: this is an operator's command.
    """
    try:
        spiffe = identity.workload(ca.trust_domain, namespace, service_account)
    except IdentityError as error:
        raise click.UsageError(str(error)) from None
    key = profile.new_key()

    async def sign(authority: Authority) -> tuple[str, str, datetime]:
        issued = await authority.sign(profile.request(key), spiffe, ttl, dns_name)
        return profile.pem(*issued.chain), profile.pem(*authority.roots()), issued.not_after

    chain, roots, until = with_authority(ca, sign)
    folder = Path(out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        durable.write(folder / KEY, profile.key_pem(key))
        durable.write(folder / CHAIN, chain.encode(), 0o644)
        durable.write(folder / ROOTS, roots.encode(), 0o644)
    except OSError as error:
        raise click.ClickException(f"--out {out}: {error.strerror}") from None
    click.echo(f"{spiffe} until {until:%Y-%m-%d %H:%M:%S} UTC: {CHAIN}, {KEY}, {ROOTS} in {folder}")


@cert.command("join-token")
@click.option("--namespace", default="default", show_default=True, help="Namespace of the identity.")
@click.option("--service-account", required=True, help="Service account of the identity.")
@click.option(
    "--ttl", type=options.Duration(), default="24h", show_default=True, help="How long it may wait for its use."
)
@click.option(
    "--join-tokens", required=True, help="Folder that the control plane's --attest static,join_tokens=… names."
)
def join_token(namespace: str, service_account: str, ttl: timedelta, join_tokens: str) -> None:
    """Make a token by which one workload gets its first certificate, once, and print it."""
    try:
        identity.workload("any", namespace, service_account)
        click.echo(new_join_token(Path(join_tokens), Attested(namespace, service_account), datetime.now(UTC) + ttl))
    except IdentityError as error:
        raise click.UsageError(str(error)) from None
    except OSError as error:
        raise click.ClickException(f"--join-tokens {join_tokens}: {error.strerror}") from None


@cert.command()
@click.argument("path", type=click.Path())
@options.output("table", "json", "yaml")
def show(path: str, output: str) -> None:
    """What the certificates of a PEM file, or of a folder that `issue` wrote, say. Exit status 1 if one has expired."""
    file = Path(path)
    try:
        found = ca_files.certificates(file / CHAIN if file.is_dir() else file)
    except AuthorityError as error:
        raise click.ClickException(str(error)) from None
    now = datetime.now(UTC)
    tell([plain(each, now) for each in found], output)
    if any(each.not_valid_after_utc <= now for each in found):
        raise SystemExit(1)


@cert.command("init-vault")
@click.option(
    "--max-ttl",
    type=options.Duration(),
    default="24h",
    show_default=True,
    help="Longest life of a leaf that the role permits.",
)
@click.option("--approle", is_flag=True, help="Make a role of AppRole for the control plane too, and print its ids.")
@click.option("--print-policy", is_flag=True, help="Only print the policy that the control plane's token needs.")
@authority_options
def init_vault(max_ttl: timedelta, approle: bool, print_policy: bool, ca: AuthorityOptions) -> None:
    """Make what the mesh needs in a Vault: root, intermediate, role and policy.

    With an operator's token. What is there already stays; running it again mends what is missing.
    """
    layout = Layout(ca.trust_domain, ca.vault.mount, ca.vault.role, max_ttl)
    if print_policy:
        click.echo(policy(layout), nl=False)
        return
    with vault_setup(ca, layout) as setup:
        for each in setup.run():
            click.echo(each)
        if approle:
            role_id, secret_id = setup.approle()
            click.echo(f"role_id {role_id}\nsecret_id {secret_id}")


@cert.command()
@click.option("--resume", is_flag=True, help="Begin nothing: only take the step that is due, for a schedule.")
@click.option("--wait", is_flag=True, help="Stay until the old root is withdrawn.")
@authority_options
def rotate(resume: bool, wait: bool, ca: AuthorityOptions) -> None:
    """Replace the root: begin, or take the step that is due. Safe to run again, whatever happened to the last run.

    The control plane takes the embedded CA's later steps by itself; with Vault each step is this command's, as
    the control plane may not change issuers.
    """
    with rotator(ca) as steps:
        if not resume:
            steps.begin()
        click.echo(told(steps.advance(), steps.due()))
        while wait and (at := steps.due()) is not None:
            time.sleep(max(0.0, min(5.0, (at - datetime.now(UTC)).total_seconds())))
            before, after = steps.state(), steps.advance()
            if after != before:
                click.echo(told(after, steps.due()))


@cert.command()
@options.output("table", "json", "yaml")
@authority_options
def status(output: str, ca: AuthorityOptions) -> None:
    """Who signs, who is trusted, how long still, and the step of a rotation.

    Exit status 1 if the authority can't sign, or a certificate has passed nine tenths of its life.
    """
    found = with_authority(ca, lambda authority: describe(authority, ca))
    tell_status(found, output)
    if any(each["alarm"] >= 90 for each in found["certificates"]):
        raise SystemExit(1)


def with_authority(ca: AuthorityOptions, work: Callable[[Authority], Awaitable[T]]) -> T:
    """Starts the authority, does the work, and turns what goes wrong into exit status 1."""

    async def run() -> T:
        authority = authorities.make(ca)
        try:
            await authority.start()
            return await work(authority)
        finally:
            await authority.close()

    try:
        return asyncio.run(run())
    except (AuthorityError, CsrError) as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        raise click.ClickException(f"{ca.chosen} CA: {error}") from None


def plain(certificate: x509.Certificate, now: datetime) -> dict[str, Any]:
    """A certificate's facts, for people and programs."""
    try:
        spiffe = str(profile.spiffe_id(certificate))
    except ProfileError:
        spiffe = ""
    left = certificate.not_valid_after_utc - now
    return {
        "spiffeId": spiffe,
        "subject": certificate.subject.rfc4514_string(),
        "issuer": certificate.issuer.rfc4514_string(),
        "serial": f"{certificate.serial_number:x}",
        "notBefore": certificate.not_valid_before_utc.isoformat(),
        "notAfter": certificate.not_valid_after_utc.isoformat(),
        "expiresInSeconds": int(left.total_seconds()),
        "valid": certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc,
        "ca": _is_ca(certificate),
        "sha256": certificate.fingerprint(hashes.SHA256()).hex(),
    }


def tell(found: list[dict[str, Any]], output: str) -> None:
    """Prints certificates as the option `-o` says."""
    if output == "json":
        click.echo(json.dumps(found, indent=2))
    elif output == "yaml":
        click.echo(yaml.safe_dump(found, sort_keys=False), nl=False)
    else:
        rows = [
            [
                each["spiffeId"] or each["subject"],
                "CA" if each["ca"] else "leaf",
                "yes" if each["valid"] else "NO",
                each["serial"],
                each["notBefore"][:19],
                each["notAfter"][:19],
            ]
            for each in found
        ]
        click.echo(table(["IDENTITY OR SUBJECT", "KIND", "VALID", "SERIAL", "NOT BEFORE", "NOT AFTER"], rows))


def _is_ca(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False
