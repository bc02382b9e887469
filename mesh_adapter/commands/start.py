"""`mesh-adapter start`: runs the control plane until it is told to stop."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
from datetime import UTC, datetime

import attrs
import click
import uvloop
from aiohttp import web
from prometheus_client import CollectorRegistry

from mesh_adapter import assembly, logs
from mesh_adapter.commands import options
from mesh_adapter.control_plane import ControlPlane
from mesh_adapter.http import application
from mesh_adapter.metrics import ControlPlaneCollector
from pilot.xds.server import Listen, XdsServer

log = logging.getLogger(__name__)

GRACE = 5.0
"""Seconds that streams and requests get to end after SIGTERM."""


@attrs.frozen
class Addresses:
    xds: str
    http: str


@click.command()
@click.option("--platform", multiple=True, help="Where services live: static, consul. Repeatable.")
@click.option("--static-file", default="", help="File or directory of services, for the platform static.")
@click.option(
    "--config", "config", multiple=True, help="Directory or file of configuration documents, watched. Repeatable."
)
@click.option(
    "--consul-addr",
    default="http://127.0.0.1:8500",
    envvar=["MESH_ADAPTER_CONSUL_ADDR", "CONSUL_HTTP_ADDR"],
    show_default=True,
    help="Consul agent.",
)
@click.option(
    "--consul-token",
    default="",
    envvar=["MESH_ADAPTER_CONSUL_TOKEN", "CONSUL_HTTP_TOKEN"],
    help="ACL token for Consul.",
)
@click.option("--consul-token-file", default="", help="File with the ACL token, read again when it changes.")
@click.option("--consul-ca-file", default="", help="CA certificate that Consul's must be signed by.")
@click.option("--consul-cert-file", default="", help="Client certificate for Consul.")
@click.option("--consul-key-file", default="", help="Key of the client certificate.")
@click.option(
    "--consul-datacenter",
    multiple=True,
    help="Datacenter to read; repeatable; '*' for all. Default: the agent's own.",
)
@click.option(
    "--consul-warning",
    type=click.Choice(["include", "exclude"]),
    default="exclude",
    show_default=True,
    help="Whether an instance whose check warns takes traffic.",
)
@click.option(
    "--consul-empty-hold",
    type=float,
    default=300.0,
    show_default=True,
    help="Seconds that services are kept when Consul suddenly tells of none; 0 believes it at once.",
)
@click.option("--xds-addr", default="127.0.0.1:15010", show_default=True, help="Where proxies connect, plaintext.")
@options.http_address
@click.option(
    "--debounce",
    type=click.FloatRange(0, 10),
    default=0.05,
    show_default=True,
    help="Seconds between two snapshots under a burst of changes; a single change is published at once.",
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    show_default=True,
)
@click.option("--log-format", type=click.Choice(logs.FORMATS), default="text", show_default=True)
def start(
    platform: tuple[str, ...],
    static_file: str,
    config: tuple[str, ...],
    consul_addr: str,
    consul_token: str,
    consul_token_file: str,
    consul_ca_file: str,
    consul_cert_file: str,
    consul_key_file: str,
    consul_datacenter: tuple[str, ...],
    consul_warning: str,
    consul_empty_hold: float,
    xds_addr: str,
    http_addr: str,
    debounce: float,
    log_level: str,
    log_format: str,
) -> None:
    """Run the control plane.

    Prints one line per listening address, and `ready` once every platform and configuration source has told all it
    has. Ends cleanly on SIGTERM and SIGINT.
    """
    logs.configure(log_level, log_format)
    chosen = assembly.Options(
        platforms=platform,
        static_file=static_file,
        consul=assembly.ConsulOptions(
            addr=consul_addr,
            token=consul_token,
            token_file=consul_token_file,
            ca_file=consul_ca_file,
            cert_file=consul_cert_file,
            key_file=consul_key_file,
            datacenters=consul_datacenter or None,
            warning=consul_warning,
            empty_hold=consul_empty_hold,
        ),
        config=config,
    )
    try:
        uvloop.run(serve(chosen, Addresses(xds_addr, http_addr), debounce))
    except assembly.SetupError as error:
        raise click.UsageError(str(error)) from error
    except OSError as error:
        raise click.ClickException(str(error)) from error


async def serve(chosen: assembly.Options, addresses: Addresses, debounce: float = 0.05) -> None:
    """Runs until SIGTERM or SIGINT. SetupError for options that can't be carried out, OSError for addresses."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    plane = ControlPlane(
        assembly.platforms(chosen),
        assembly.sources(chosen.config),
        clock=_now,
        debounce=debounce,
    )
    registry = CollectorRegistry()
    ControlPlaneCollector(plane, registry)
    xds = XdsServer(plane.discovery, registry=registry, clock=_now)
    xds_port = await _start_xds(xds, addresses.xds)
    runner = web.AppRunner(application(plane, xds, registry), access_log=None)
    try:
        http_port = await _start_http(runner, addresses.http)
        click.echo(f"xds listening on {_with_port(addresses.xds, xds_port)}")
        click.echo(f"http listening on {_with_port(addresses.http, http_port)}")
        plane.start()
        await _announce(plane, stop)
        await stop.wait()
    finally:
        await xds.stop(GRACE)
        await runner.cleanup()
        await plane.close()
    click.echo("stopped")


async def _announce(plane: ControlPlane, stop: asyncio.Event) -> None:
    """Prints `ready` when it is so; says what is waited for every ten seconds until then."""
    stopped = asyncio.ensure_future(stop.wait())
    ready = asyncio.ensure_future(plane.ready.wait())
    try:
        while not stopped.done() and not ready.done():
            await asyncio.wait((stopped, ready), timeout=10.0, return_when=asyncio.FIRST_COMPLETED)
            if ready.done():
                _calm_collector()
                click.echo("ready")
            elif not stopped.done():
                log.info("not ready yet: waiting for %s", "; ".join(plane.status().waiting))
    finally:
        stopped.cancel()
        ready.cancel()


async def _start_xds(xds: XdsServer, address: str) -> int:
    try:
        (port,) = await xds.start([Listen(address)])
    except OSError as error:
        raise OSError(f"{error} with --xds-addr") from error
    return port


def _calm_collector() -> None:
    """What was made until now stays: the garbage collector need not look at it at every push (a tenth of the time)."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


async def _start_http(runner: web.AppRunner, address: str) -> int:
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise assembly.SetupError(f"--http-addr {address!r} is not HOST:PORT")
    await runner.setup()
    site = web.TCPSite(runner, host.strip("[]"), int(port))
    try:
        await site.start()
    except OSError as error:
        raise OSError(
            f"cannot listen on {address} for HTTP: {error.strerror or error}; stop what listens there "
            "(ss -ltnp shows it) or choose another with --http-addr"
        ) from error
    bound: int = runner.addresses[0][1]
    return bound


def _with_port(address: str, port: int) -> str:
    host, _, _ = address.rpartition(":")
    return f"{host}:{port}" if host and not address.startswith("unix:") else address


def _now() -> datetime:
    return datetime.now(UTC)
