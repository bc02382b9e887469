"""`mesh-adapter validate`: reads documents as the control plane would, and says what it would refuse."""

from __future__ import annotations

import json

import attrs
import click

from galley.load import load_files
from mesh_adapter.checks import CHECKS
from mesh_adapter.commands import options
from mixer.rules import compile_rules


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path())
@options.output("table", "json")
@click.pass_context
def validate(ctx: click.Context, paths: tuple[str, ...], output: str) -> None:
    """Check configuration documents in files and directories. Exit status 1 if one would be refused."""
    config, problems = load_files(paths, CHECKS)
    problems += compile_rules(config).problems
    if output == "json":
        objects = [{"object": str(each), "origin": each.origin} for each in config.objects()]
        found = [attrs.asdict(each) for each in problems]
        click.echo(json.dumps({"objects": objects, "problems": found}, indent=2, default=str))
    else:
        for problem in problems:
            click.echo(str(problem))
        count = len(config.objects())
        click.echo(f"{_counted(count, 'object')} valid, {_counted(len(problems), 'problem')}")
    ctx.exit(1 if any(not each.warning for each in problems) else 0)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
