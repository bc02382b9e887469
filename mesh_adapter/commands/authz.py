"""`mesh-adapter authz check`: which AuthorizationPolicy decides a request, told from the documents alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import attrs
import click

from citadel.identity import SCHEME
from galley.load import load_files
from mesh_adapter.commands import options
from pilot.plan.peers import Peers
from pilot.sidecar.settings import SettingsError, parse_labels
from pilot.verdict import Request, Verdict, verdict


@click.group()
def authz() -> None:
    """Explain who may ask whom."""


@authz.command()
@click.option("--config", "-f", "files", multiple=True, required=True, help="Documents: a file or folder. Repeatable.")
@click.option(
    "--from", "source", default="", metavar="WHO", help="NAMESPACE/ACCOUNT, or a whole principal. Default: nobody."
)
@click.option(
    "--to", required=True, metavar="[NAMESPACE/]NAME", help="The workload; its label app is NAME unless told."
)
@click.option("--gateway", default="", metavar="NAME", help="The Gateway whose routers are asked, where it is one.")
@click.option("--label", multiple=True, metavar="KEY=VALUE", help="Label of the workload. Repeatable.")
@click.option("--path", default="/", show_default=True, help="Path of the request, as the proxy normalizes it.")
@click.option("--method", default="GET", show_default=True, help="Method of the request.")
@click.option("--host", default="", help="Host of the request.")
@click.option("--header", multiple=True, metavar="NAME=VALUE", help="Header of the request. Repeatable.")
@click.option("--port", type=click.IntRange(1, 65535), default=80, show_default=True, help="Port of the workload.")
@click.option("--source-ip", default="127.0.0.1", show_default=True, help="Address that the connection is from.")
@click.option("--remote-ip", default="", help="Address of the client by X-Forwarded-For. Default: the same.")
@click.option("--sni", default="", help="Server name that the connection asks for.")
@click.option("--jwt-claims", default="{}", metavar="JSON", help="Claims of the request's verified token.")
@click.option("--tcp", is_flag=True, help="A connection that is not looked into, instead of a request.")
@options.output("table", "json")
@click.pass_context
def check(
    ctx: click.Context,
    /,
    files: tuple[str, ...],
    gateway: str,
    source: str,
    to: str,
    label: tuple[str, ...],
    output: str,
    jwt_claims: str,
    header: tuple[str, ...],
    tcp: bool,
    **said: Any,
) -> None:
    """Say which policy decides a request. Exit status 0 if it is allowed, 1 if it is denied, 2 for bad input."""
    config, problems = load_files(files)
    for problem in problems:
        click.echo(str(problem), err=True)
    if any(not problem.warning for problem in problems):
        raise click.UsageError("some documents are refused: what they would decide is not known")
    peers = Peers.of(config)
    namespace, _, name = to.rpartition("/")
    request = Request(
        principal=_principal(source, peers.mesh.trust_domain),
        headers=_pairs(header, "--header"),
        claims=_claims(jwt_claims),
        http=not tcp,
        **said,
    )
    labels = {"app": name, **_pairs(label, "--label")}
    found = verdict(
        config.authorization_policies,
        request,
        namespace or "default",
        labels,
        peers.trust_domains,
        root_namespace=peers.root_namespace,
        gateway=gateway,
    )
    _tell(found, output)
    ctx.exit(0 if found.allowed else 1)


def _tell(found: Verdict, output: str) -> None:
    if output == "json":
        click.echo(json.dumps(attrs.asdict(found), indent=2))
        return
    click.echo(f"{'allowed' if found.allowed else 'denied'}: {' '.join(filter(None, (found.policy, found.reason)))}")
    for each in found.audited:
        click.echo(f"audited: {each}")
    for each in found.trials:
        click.echo(f"matched in a trial run, which decides nothing: {each}")


def _principal(source: str, trust_domain: str) -> str:
    if not source or source.startswith(SCHEME):
        return source.removeprefix(SCHEME)
    match source.split("/"):
        case [namespace, account] if namespace and account:
            return f"{trust_domain}/ns/{namespace}/sa/{account}"
        case [_, "ns", _, "sa", _]:
            return source
    raise click.UsageError(f"--from {source!r} is neither NAMESPACE/ACCOUNT nor DOMAIN/ns/NAMESPACE/sa/ACCOUNT")


def _pairs(given: tuple[str, ...], option: str) -> Mapping[str, str]:
    try:
        return dict(parse_labels(given))
    except SettingsError as error:
        raise click.UsageError(f"{option}: {error}") from error


def _claims(text: str) -> Mapping[str, Any]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise click.UsageError(f"--jwt-claims is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise click.UsageError("--jwt-claims is no JSON object")
    return found
