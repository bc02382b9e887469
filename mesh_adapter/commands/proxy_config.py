"""`mesh-adapter proxy-config`: what a proxy has, in the manner of istioctl.

From the control plane (what the proxy is told), from the proxy's own admin interface (what it has), or from a file with
a config dump.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import attrs
import click
import yaml

from mesh_adapter.commands import options
from mesh_adapter.control_client import get_json
from mesh_adapter.proxy_tables import ROWS, Filter, ProxyDump
from mesh_adapter.table import table


@attrs.frozen
class Origin:
    """Where the dump comes from: exactly one of the three."""

    http_addr: str
    proxy: str = ""
    admin: str = ""
    file: str = ""

    def load(self) -> ProxyDump:
        if self.file:
            try:
                return ProxyDump.of(json.loads(Path(self.file).read_text()))
            except (OSError, ValueError) as error:
                raise click.ClickException(f"{self.file} can't be read as a config dump: {error}") from error
        if self.admin:
            plain = get_json(self.admin, "/config_dump?include_eds", "the proxy's admin interface", "--admin")
            try:
                return ProxyDump.of(plain)
            except ValueError as error:
                raise click.ClickException(f"what {self.admin} answers is no config dump: {error}") from error
        if not self.proxy:
            raise click.UsageError(
                "say which proxy: PROXY as proxy-status lists it, or --admin ADDRESS, or --file FILE"
            )
        return ProxyDump.of(
            get_json(self.http_addr, "/debug/config_dump", "the control plane", "--http-addr", proxyID=self.proxy)
        )


@click.group(name="proxy-config")
def proxy_config() -> None:
    """Show clusters, endpoints, listeners or routes of a proxy."""


def _command(name: str, singular: str, header: Sequence[str]) -> Callable[..., None]:
    @proxy_config.command(name=name, help=f"Show the {name} of a proxy.")
    @click.argument("proxy", required=False, default="")
    @click.option("--admin", default="", help="Ask the proxy itself: its admin address, 127.0.0.1:15000.")
    @click.option("--file", "dump_file", default="", help="A file with an Envoy config dump.")
    @click.option("--fqdn", default="", help="Only what concerns this host.")
    @click.option("--port", default=0, type=int, help="Only what concerns this port.")
    @click.option("--name", "only_name", default="", help="Only the resource of this name.")
    @options.http_address
    @options.output("table", "json", "yaml")
    def command(
        proxy: str, admin: str, dump_file: str, fqdn: str, port: int, only_name: str, http_addr: str, output: str
    ) -> None:
        dump = Origin(http_addr, proxy, admin, dump_file).load()
        chosen = Filter(fqdn=fqdn, port=port, name=only_name).apply(singular, dump)
        if output == "json":
            click.echo(json.dumps(chosen, indent=2))
        elif output == "yaml":
            click.echo(yaml.safe_dump(chosen, sort_keys=False), nl=False)
        else:
            rows: list[list[str]] = [row for each in chosen for row in ROWS[singular](each)]
            click.echo(table(list(header), rows))

    return command


clusters = _command("clusters", "cluster", ("SERVICE FQDN", "PORT", "SUBSET", "DIRECTION", "TYPE", "DESTINATION RULE"))
endpoints = _command("endpoints", "endpoint", ("ENDPOINT", "STATUS", "WEIGHT", "CLUSTER"))
listeners = _command("listeners", "listener", ("NAME", "ADDRESS", "PORT", "MATCH", "DESTINATION"))
routes = _command("routes", "route", ("NAME", "VHOST NAME", "DOMAINS", "MATCH", "VIRTUAL SERVICE", "DESTINATION"))
