"""`mesh-adapter inject`: prints a Nomad job with an Envoy beside each group that has a service."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import click

from adapters.api import ApiError
from adapters.nomad import parse
from adapters.nomad.inject import DRIVERS, Envoy
from adapters.nomad.inject import inject as injected
from adapters.nomad.options import NomadOptions
from adapters.options import OptionError
from mesh_adapter.commands import platform_options
from mesh_adapter.nomad_bootstrap import template
from pilot.sidecar.envoy_binary import VERSION
from pilot.sidecar.launch import LOG_LEVELS
from pilot.sidecar.settings import SettingsError, XdsAddress

IMAGE = f"docker.io/envoyproxy/envoy:v{VERSION}"
CONNECTION = ("addr", "token", "token_file", "ca_file", "cert_file", "key_file", "tls_server_name")
POSITIVE = click.IntRange(1)
SECONDS = click.IntRange(0, 3600)


@click.command()
@click.argument("job", type=click.File(encoding="utf-8"))
@click.option(
    "--control-plane",
    required=True,
    metavar="HOST:PORT",
    help="Where the tasks reach the control plane; HOST may be a variable of Nomad's.",
)
@click.option(
    "--driver", type=click.Choice(DRIVERS), help="What runs Envoy. Default: the driver of the group's first task."
)
@click.option("--envoy-image", default=IMAGE, show_default=True, help="Envoy's image, for docker.")
@click.option(
    "--envoy-path",
    default=Envoy(IMAGE).path,
    show_default=True,
    help="Envoy's program on the nodes, for exec and raw_exec.",
)
@click.option("--cpu", type=POSITIVE, default=Envoy(IMAGE).cpu, show_default=True, help="Megahertz for Envoy.")
@click.option("--memory", type=POSITIVE, default=Envoy(IMAGE).memory, show_default=True, help="Megabytes for Envoy.")
@click.option(
    "--concurrency", type=click.IntRange(1, 1024), default=1, show_default=True, help="Envoy's worker threads."
)
@click.option("--log-level", type=click.Choice(LOG_LEVELS), default="info", show_default=True, help="What Envoy logs.")
@click.option(
    "--shutdown-delay",
    type=SECONDS,
    default=Envoy(IMAGE).shutdown_delay,
    show_default=True,
    help="Seconds between a group's leaving the registry and its end, where the job says nothing.",
)
@click.option("--var-file", type=click.File(encoding="utf-8"), help="Values of the variables of the HCL.")
@platform_options.of_kind("nomad", CONNECTION)
def inject(job: TextIO, control_plane: str, var_file: TextIO | None, **given: Any) -> None:
    """Print the job in the file JOB (- for stdin) with an Envoy beside each group that has a service.

    JOB is HCL, which a Nomad agent is asked to read, or JSON as of `nomad job inspect`. What is printed is JSON: run it
    with `nomad job run -json`. Exit status 1, and nothing printed, if a group can't have an Envoy.
    """
    nomad = {name.removeprefix("nomad__"): given.pop(name) for name in tuple(given) if name.startswith("nomad__")}
    try:
        address = XdsAddress.parse(control_plane)
        read = parse.job(job.read(), _called(job), NomadOptions(**nomad), var_file.read() if var_file else "")
    except SettingsError as error:
        raise click.UsageError(str(error).replace("--xds-addr", "--control-plane")) from error
    except OptionError as error:
        raise click.UsageError(str(error)) from error
    except (ApiError, ValueError, OSError) as error:
        raise click.ClickException(str(error)) from error
    made, refusals = injected(read, _envoy(given), partial(template, control_plane=address))
    for refusal in refusals:
        click.echo(str(refusal), err=True)
    if refusals:
        raise SystemExit(1)
    click.echo(json.dumps({"Job": made}, indent=2))


def _envoy(given: dict[str, Any]) -> Envoy:
    return Envoy(
        image=given["envoy_image"],
        path=given["envoy_path"],
        driver=given["driver"] or "",
        cpu=given["cpu"],
        memory=given["memory"],
        concurrency=given["concurrency"],
        log_level=given["log_level"],
        shutdown_delay=given["shutdown_delay"],
    )


def _called(job: TextIO) -> str:
    name = str(getattr(job, "name", "-"))
    return "stdin" if name in ("-", "<stdin>") else Path(name).name
