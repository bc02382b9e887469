"""`mesh-adapter platforms`: each platform of a running control plane, and whether what it told is current."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import click
import yaml

from mesh_adapter.commands import options
from mesh_adapter.control_client import get_json
from mesh_adapter.table import table


@click.command(name="platforms")
@click.argument("name", required=False)
@options.http_address
@options.output("table", "json", "yaml")
@click.pass_context
def platforms(ctx: click.Context, name: str | None, http_addr: str, output: str) -> None:
    """Show for each platform: SYNCED, SYNCING or STALE, and what it tells.

    NAME is one of them; without it all are shown. Exit status 1 if one is not SYNCED, or if NAME is none of them.
    """
    found = get_json(http_addr, "/debug/platforms", "the control plane", "--http-addr")
    if name is not None:
        known = ", ".join(each["name"] for each in found) or "none"
        found = [each for each in found if each["name"] == name]
        if not found:
            raise click.ClickException(f"no platform {name!r} at {http_addr}: there are {known}")
    if output == "json":
        click.echo(json.dumps(found, indent=2))
    elif output == "yaml":
        click.echo(yaml.safe_dump(found, sort_keys=False), nl=False)
    else:
        click.echo(render(found))
    ctx.exit(1 if any(each["state"] != "SYNCED" for each in found) else 0)


def render(found: Sequence[Mapping[str, Any]]) -> str:
    """The table, and below it why a platform is stale and which of its objects can't be used."""
    rows = [
        [
            each["name"],
            each["kind"],
            each["state"],
            str(each["services"]),
            str(each["endpoints"]),
            str(each["held"]),
            str(len(each["problems"])),
            str(each["failures"]),
        ]
        for each in found
    ]
    text = table(["NAME", "KIND", "STATE", "SERVICES", "ENDPOINTS", "HELD", "PROBLEMS", "FAILURES"], rows)
    return "\n".join([text, *(["", *said] if (said := _explained(found)) else [])])


def _explained(found: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = [f"{each['name']}: stale since {each['stale_since']}: {each['stale']}" for each in found if each["stale"]]
    for each in found:
        for problem in each["problems"]:
            mend = f" ({problem['mend']})" if problem["mend"] else ""
            lines.append(f"{each['name']}: {problem['where']}: {problem['message']}{mend}")
    return lines
