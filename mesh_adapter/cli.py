"""The command `mesh-adapter`: one file a subcommand in `commands/`, each imported when it is asked for.

Every option has an environment variable, the same for all commands: `--xds-addr` is MESH_ADAPTER_XDS_ADDR. Exit
status: 0 fine, 1 problems found, 2 usage.
"""

from __future__ import annotations

import importlib

import click

from mesh_adapter import __version__, conflicts

COMMANDS = {
    "start": "mesh_adapter.commands.start:start",
    "bootstrap": "mesh_adapter.commands.bootstrap:bootstrap",
    "sidecar": "mesh_adapter.commands.sidecar:sidecar",
    "inject": "mesh_adapter.commands.inject:inject",
    "validate": "mesh_adapter.commands.validate:validate",
    "proxy-status": "mesh_adapter.commands.proxy_status:proxy_status",
    "platforms": "mesh_adapter.commands.platforms:platforms",
    "proxy-config": "mesh_adapter.commands.proxy_config:proxy_config",
    "authz": "mesh_adapter.commands.authz:authz",
    "cert": "mesh_adapter.commands.cert:cert",
    "demo": "mesh_adapter.commands.demo:demo",
    "mixer": "mesh_adapter.commands.mixer:mixer",
    "version": "mesh_adapter.commands.version:version",
}


class LazyGroup(click.Group):
    """Imports a subcommand when it is used, so that `version` does not pay for Envoy's API."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        target = COMMANDS.get(cmd_name)
        if target is None:
            return None
        module, _, attribute = target.partition(":")
        found: click.Command = getattr(importlib.import_module(module), attribute)
        _name_variables(found)
        return found


def _name_variables(command: click.Command) -> None:
    """MESH_ADAPTER_XDS_ADDR for every `--xds-addr`, of commands of a group too; click's own prefix adds their names."""
    for each in command.params:
        if isinstance(each, click.Option) and each.envvar is None:
            longest = max(each.opts, key=len)
            each.envvar = "MESH_ADAPTER_" + longest.lstrip("-").replace("-", "_").upper()
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            _name_variables(inner)


@click.group(cls=LazyGroup, context_settings={"max_content_width": 100})
@click.version_option(__version__, prog_name="mesh-adapter")
def cli() -> None:
    """A service mesh for Consul and Nomad: Istio's configuration, stock Envoy proxies."""


def main() -> None:
    """Entry point of the console script."""
    problem = conflicts.foreign_packages()
    if problem:
        raise SystemExit(problem)
    cli(prog_name="mesh-adapter")
