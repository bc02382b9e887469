"""`mesh-adapter proxy-status`: each connected proxy, and by type whether it has what it should have."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import click
import yaml

from mesh_adapter.commands import options
from mesh_adapter.control_client import get_json
from mesh_adapter.table import table

TYPES = ("CDS", "LDS", "EDS", "RDS")


@click.command(name="proxy-status")
@click.argument("proxy", required=False)
@options.http_address
@options.output("table", "json", "yaml")
@click.pass_context
def proxy_status(ctx: click.Context, proxy: str | None, http_addr: str, output: str) -> None:
    """Show for each proxy and type: SYNCED, STALE, NACKED or NOT SENT.

    PROXY is an id or NAME.NAMESPACE; without it all are shown. Exit status 1 if a proxy rejected something, or if PROXY
    is not connected.
    """
    proxies = merged(get_json(http_addr, "/debug/syncz", "the control plane", "--http-addr"))
    if proxy is not None:
        proxies = [each for each in proxies if proxy in (each["proxy"], each["name"])]
        if not proxies:
            raise click.ClickException(f"proxy {proxy!r} is not connected to the control plane at {http_addr}")
    if output == "json":
        click.echo(json.dumps(proxies, indent=2))
    elif output == "yaml":
        click.echo(yaml.safe_dump(proxies, sort_keys=False), nl=False)
    else:
        click.echo(render(proxies))
    ctx.exit(1 if rejections(proxies) else 0)


def merged(connections: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One entry a proxy: a proxy that uses the single-type services has a connection a type."""
    found: dict[str, dict[str, Any]] = {}
    for each in connections:
        entry = found.setdefault(each["proxy"], {**each, "name": short_name(each["proxy"]), "types": {}})
        entry["types"].update({name: status for name, status in each["types"].items() if name not in entry["types"]})
        for name, status in each["types"].items():
            if status["state"] != "NOT SENT":
                entry["types"][name] = status
    return list(found.values())


def short_name(proxy: str) -> str:
    """NAME.NAMESPACE of an id in Istio's grammar; else the id."""
    parts = proxy.split("~")
    return parts[2] if len(parts) == 4 else proxy


def rejections(proxies: Sequence[Mapping[str, Any]]) -> list[str]:
    """A line for each type that a proxy rejected: who, what, why, and the object that caused it."""
    lines = []
    for proxy in proxies:
        for name, status in proxy["types"].items():
            if status["state"] == "NACKED":
                objects = ", ".join(
                    f"{each['name']} ({each['origin']})" if each["origin"] else each["name"]
                    for each in status["objects"]
                )
                lines.append(
                    f"{proxy['name']} {name}: {status['error']}" + (f"; caused by {objects}" if objects else "")
                )
    return lines


def render(proxies: Sequence[Mapping[str, Any]]) -> str:
    """The table, and below it why something was rejected."""
    rows = [
        [
            each["name"],
            *(each["types"].get(name, {"state": "NOT SENT"})["state"] for name in TYPES),
            each["variant"],
            each["version"] or "?",
        ]
        for each in proxies
    ]
    text = table(["NAME", *TYPES, "XDS", "VERSION"], rows)
    return "\n".join([text, *(["", *found] if (found := rejections(proxies)) else [])])
