"""`mesh-adapter mixer check|report|quota`: calls of Mixer's API, as a program would make them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import click

from mesh_adapter.commands.mixer_attributes import read_attributes
from mixer.attributes import Value
from mixer.client import Decision, MixerClient, MixerUnavailableError

DEFAULT = "127.0.0.1:9091"


def _shared(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of all three."""
    for option in (
        click.option("--timeout", type=click.FloatRange(0.001, 600), default=5.0, show_default=True, metavar="SECONDS"),
        click.option("--mixer-addr", default=DEFAULT, show_default=True, help="Where Mixer listens."),
        click.option("--manifest", "manifests", type=click.Path(), multiple=True, help="As for eval. Repeatable."),
        click.option("--attributes", type=click.Path(), help="JSON or YAML file: attributes by name."),
        click.option("-a", "--attribute", "pairs", multiple=True, metavar="NAME=VALUE", help="One more. Repeatable."),
    ):
        command = option(command)
    return command


@click.command()
@_shared
@click.pass_context
def check(ctx: click.Context, /, mixer_addr: str, timeout: float, **told: Any) -> None:
    """Ask whether something may happen. Exit status 1 if it is refused, or no answer comes."""
    with MixerClient(mixer_addr, timeout=timeout) as client:
        _tell(ctx, client.check(_bag(**told)))


@click.command()
@click.argument("name")
@click.argument("amount", type=click.IntRange(1, 2**63 - 1))
@click.option("--best-effort", is_flag=True, help="Take what there is, if that is less.")
@click.option("--dedup-id", default="", metavar="TEXT", help="Repeated with the same, it takes nothing more.")
@_shared
@click.pass_context
def quota(
    ctx: click.Context,
    /,
    name: str,
    amount: int,
    best_effort: bool,
    dedup_id: str,
    mixer_addr: str,
    timeout: float,
    **told: Any,
) -> None:
    """Take AMOUNT of the quota NAME. Exit status 1 if it is not granted, or no answer comes."""
    with MixerClient(mixer_addr, timeout=timeout) as client:
        bag = _bag(**told)
        _tell(ctx, client.quota(name, amount, bag, best_effort=best_effort, deduplication_id=dedup_id))


@click.command()
@_shared
def report(mixer_addr: str, timeout: float, **told: Any) -> None:
    """Tell what has happened. Exit status 1 if it can't be told."""
    with MixerClient(mixer_addr, timeout=timeout) as client:
        try:
            client.tell([_bag(**told)])
        except MixerUnavailableError as error:
            raise click.ClickException(f"{mixer_addr}: {error}") from error
    click.echo("told")


def _bag(attributes: str | None, manifests: tuple[str, ...], pairs: tuple[str, ...]) -> dict[str, Value]:
    return read_attributes(attributes, manifests, pairs)


def _tell(ctx: click.Context, decision: Decision) -> None:
    status, directive = decision.status, decision.directive
    edits = [
        {"on": side, "operation": each.operation.value, "name": each.name, "value": each.value}
        for side, edited in (("request", directive.request_headers), ("response", directive.response_headers))
        for each in edited
    ]
    answer = {"status": status.code.name, "message": status.message}
    more = {"granted": dict(decision.granted), "headers": edits}
    click.echo(json.dumps({**answer, **{name: each for name, each in more.items() if each}}, indent=2))
    ctx.exit(0 if decision.allowed else 1)
