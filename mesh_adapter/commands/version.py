"""`mesh-adapter version`."""

from __future__ import annotations

import json

import click

from mesh_adapter import __version__
from mesh_adapter.commands import options


@click.command()
@options.output("table", "json")
def version(output: str) -> None:
    """Print the version."""
    click.echo(json.dumps({"version": __version__}) if output == "json" else f"mesh-adapter {__version__}")
